import assert from 'node:assert/strict'
import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { directoryOf } from '../../support/dataset-node.ts'
import { BACKENDS, gitBackend, PERSON, TIME_MS } from '../../support/git-backends.ts'
import { temporaryDirectory } from '../../support/temporary-directory.ts'

for (const kind of BACKENDS) {
  test(`a repository is opened without what was half-made in it, and with all that was whole (${kind})`, async (t) => {
    const path = join(await temporaryDirectory(t), 'air.git')
    const backend = await gitBackend(t, kind)
    const repository = await backend.open(path)
    const commit = async (content: string) => {
      const tree = await repository.writeTreeFromDirectory(await directoryOf(t, { a: content }))
      return repository.writeCommit({ tree, parents: [], message: 'm\n', author: PERSON, timeMs: TIME_MS })
    }
    const packed = await commit('packed')
    await repository.moveBranch('a-alice', packed, undefined)
    await repository.collectGarbage({ pruneOlderThanMs: 1e9, keep: [] })
    const loose = await commit('loose')
    const files = async () => (await readdir(path, { recursive: true })).sort()
    const whole = await files()
    const name = 'a'.repeat(40)
    await mkdir(join(path, 'objects/ab'), { recursive: true })
    const before = await files()
    for (const rest of [
      'packed-refs.lock',
      'refs/heads/a-alice.lock',
      'objects/ab/tmp_obj_x1y2z3',
      `objects/ab/${'c'.repeat(38)}.1234.lock`,
      'objects/pack/tmp_pack_x1y2z3',
      `objects/pack/.tmp-123-pack-${name}.pack`,
      `objects/pack/pack-${name}.pack`,
      `objects/pack/pack-${name}.rev`,
      `objects/pack/pack-${name}.unreached.1234.lock`,
    ])
      await writeFile(join(path, rest), 'half')
    await backend.open(path)
    assert.deepEqual(await files(), before)
    assert(whole.every((file) => before.includes(file)))
    const again = await backend.open(path)
    assert.deepEqual([await again.hasCommit(packed), await again.hasCommit(loose)], [true, true])
  })
}
