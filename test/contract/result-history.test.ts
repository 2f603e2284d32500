import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { silentLogger } from '../../src/base/logger.ts'
import { History } from '../../src/consensus/reliability/history.ts'
import { resultCommit } from '../../src/consensus/result-commit.ts'
import { BACKENDS, gitBackend, PERSON, TIME_MS } from '../support/git-backends.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

for (const kind of BACKENDS) {
  test(`${kind}: what results say of their ballots is read back from their commits, and not from the founding`, async (t) => {
    const backend = await gitBackend(t, kind)
    const repository = await backend.open(join(await temporaryDirectory(t), 'data.git'))
    const tree = await repository.writeTree([])
    const result = (height: number, parent: string, departures: number) =>
      resultCommit({
        round: { dataset: 'data', step: 'collect', slot: TIME_MS + height },
        opening: { method: { name: 'identical' }, parent, height },
        counted: new Map([
          ['bob', { commit: 'b'.repeat(40), departures }],
          ['alice', { commit: 'a'.repeat(40), departures: 0 }],
        ]),
        ...{ tree, contested: 0 },
      })
    // The founder wrote a result into what the dataset was founded with.
    const { message } = result(1, 'f'.repeat(40), 9)
    const founding = await repository.writeCommit({
      tree,
      parents: [],
      message,
      author: PERSON,
      timeMs: TIME_MS,
    })
    const first = await repository.writeCommit(result(1, founding, 0))
    const second = await repository.writeCommit(result(2, first, 3))

    const history = new History({
      datasets: { repository: async () => repository, ensureCommit: () => assert.fail('all is here') },
      ...{ onRead: () => undefined, clock: { now: () => TIME_MS }, log: silentLogger },
    })
    await history.read('data', { commit: second, height: 2, openedMs: TIME_MS, view: TIME_MS })
    const read = history.upTo('data', second)
    assert.ok(typeof read !== 'string', String(read))
    assert.deepEqual(
      read.map(({ height, ballots }) => [
        height,
        ...ballots.map(({ peer, differs }) => `${peer} ${differs}`),
      ]),
      [
        [1, 'alice 0', 'bob 0'],
        [2, 'alice 0', 'bob 3'],
      ],
    )
    assert.deepEqual(history.upTo('data', founding), [])
  })
}
