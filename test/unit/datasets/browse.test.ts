import assert from 'node:assert/strict'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { isNodeError } from '../../../src/base/errors.ts'
import { Semaphore } from '../../../src/base/semaphore.ts'
import { archive } from '../../../src/datasets/browse/archive.ts'
import { list } from '../../../src/datasets/browse/listing.ts'
import { resolveRevision } from '../../../src/datasets/browse/revision.ts'
import { diffCommits } from '../../../src/datasets/diff/dataset-diff.ts'
import type { PackRepository } from '../../../src/datasets/git/repository.ts'
import { directoryOf, noise } from '../../support/dataset-node.ts'
import { eventually } from '../../support/eventually.ts'
import { BACKENDS, gitBackend, PERSON, plantCommit, TIME_MS } from '../../support/git-backends.ts'
import { temporaryDirectory } from '../../support/temporary-directory.ts'

async function open(t: TestContext, kind: (typeof BACKENDS)[number] = 'native'): Promise<PackRepository> {
  const backend = await gitBackend(t, kind)
  return backend.open(join(await temporaryDirectory(t), 'data.git'))
}

const file = (content: string) => [{ mode: '100644', name: 'a.csv', content }]

type View = Parameters<typeof resolveRevision>[1]

function viewOf(more: Partial<View> = {}): View {
  const replicas = { actual: 0, current: 0, members: [] }
  return { name: 'data', policy: 'shared', followed: true, replicas, branches: [], ...more }
}

test('words lead to the ground truth, a branch, a member or a commit, with what is known of news', async (t) => {
  const repository = await open(t)
  const first = await plantCommit(repository, file('1'))
  const second = await plantCommit(repository, file('2'), [first])
  const third = await plantCommit(repository, file('3'), [second])
  await repository.moveBranch('ground-truth', first, undefined)
  await repository.moveBranch('assess-bob', second, undefined)
  const news = 'f'.repeat(40)
  const view = viewOf({ truth: first, branches: [{ branch: 'assess-bob', commit: news, member: 'bob' }] })
  const at = (words?: string) => resolveRevision(words, view, repository)
  assert.deepEqual(await at(), { name: 'ground-truth', commit: first, fixed: false })
  const branch = { name: 'assess-bob', commit: second, fixed: false, announced: news }
  assert.deepEqual(await at('assess-bob'), branch)
  assert.deepEqual(await at('bob'), { ...branch, name: 'bob' })
  assert.deepEqual(await at(second), { name: second.slice(0, 10), commit: second, fixed: true })
  assert.deepEqual(await at(first.slice(0, 7)), { name: first.slice(0, 10), commit: first, fixed: false })
  // It is in the store, and no branch leads to it.
  await assert.rejects(at(third), (error) => isNodeError(error, 'COMMIT_NOT_FOUND'))
  await assert.rejects(at(third.slice(0, 9)), (error) => isNodeError(error, 'NOT_FOUND'))
  await assert.rejects(at(first.slice(0, 6)), (error) => isNodeError(error, 'NOT_FOUND'))
})

test('what is announced and not here is told with who has it and how it comes', async (t) => {
  const repository = await open(t)
  const away = 'e'.repeat(40)
  const branches = [{ branch: 'assess-bob', commit: away, member: 'bob' }]
  const members = [
    { member: 'carol', complete: true, current: true, bytes: 1 },
    { member: 'dave', complete: true, current: false, bytes: 1 },
  ]
  const replicas = { actual: 2, current: 1, members }
  const refusal = async (view: View, words?: string) => {
    try {
      await resolveRevision(words, view, repository)
    } catch (error) {
      if (isNodeError(error)) return `${error.code}: ${error.message}`
    }
    throw new Error('nothing was refused')
  }
  const view = viewOf({ truth: away, branches, replicas })
  const tail = `${away}, is not here; bob, carol had it last: "maoctl dataset fetch data" brings it`
  assert.equal(await refusal(view), `COMMIT_NOT_FOUND: The ground truth of data, ${tail}`)
  assert.equal(await refusal(view, 'assess-bob'), `COMMIT_NOT_FOUND: The branch assess-bob of data, ${tail}`)
  assert.equal(await refusal(view, 'bob'), `COMMIT_NOT_FOUND: The branch assess-bob of data, ${tail}`)
  assert.equal(await refusal(view, away), `COMMIT_NOT_FOUND: The commit of data, ${tail}`)
  assert.match(await refusal({ ...view, followed: false }), /"maoctl dataset follow data" brings it$/)
  const withheld = { ...view, policy: 'compute-only', livesAt: 'bob' } as const
  assert.equal(
    await refusal(withheld, 'assess-bob'),
    'DATASET_WITHHELD: The data of data stay with bob (compute-only): tools go there, and only results leave',
  )
  assert.match(
    await refusal(viewOf()),
    /^NOT_FOUND: Nothing is agreed on in data yet; nobody has written to it$/,
  )
  const several = [...branches, { branch: 'import-bob', commit: away, member: 'bob' }]
  const held = await plantCommit(repository, file('1'))
  for (const { branch } of several) await repository.moveBranch(branch, held, undefined)
  assert.match(
    await refusal(viewOf({ branches: several }), 'bob'),
    /^INVALID_INPUT: bob has 2 branches in data/,
  )
})

for (const kind of BACKENDS) {
  test(`directories, archives and comparisons are the same with the ${kind} backend`, async (t) => {
    const repository = await open(t, kind)
    const first = await plantCommit(repository, [
      ...file('id,v\n1,a\n'),
      { mode: '100755', name: 'run', content: '#!\n' },
      { mode: '120000', name: 'to', content: 'a.csv' },
    ])
    const second = await plantCommit(repository, file('id,v\n1,b\n'), [first])
    const listing = await list(repository, first, { path: '', recursive: true, limit: 2 })
    assert.deepEqual(
      listing.entries.map(({ path, type, size }) => [path, type, size]),
      [
        ['a.csv', 'file', 9],
        ['run', 'executable', 3],
      ],
    )
    assert.deepEqual([listing.total, listing.next], [3, 'run'])
    // A page may come after what has gone since.
    const rest = await list(repository, first, { path: '', recursive: false, limit: 9, after: 'b' })
    assert.deepEqual(
      rest.entries.map(({ path }) => path),
      ['run', 'to'],
    )

    const signal = new AbortController().signal
    const chunks: Uint8Array[] = []
    for await (const chunk of await archive(repository, first, { path: '', timeMs: TIME_MS, signal })) {
      chunks.push(chunk)
    }
    const bytes = Buffer.concat(chunks)
    assert.equal(bytes.toString('latin1', 0, 5), 'a.csv')
    assert.equal(Number.parseInt(bytes.toString('latin1', 136, 147), 8), TIME_MS / 1_000)
    assert.equal(bytes.length % 512, 0)

    const sides = [
      { name: 'alice', commit: first },
      { name: 'bob', commit: second },
    ] as const
    const { summary } = await diffCommits(repository, ...sides, {
      path: '',
      toldMax: 9,
      large: new Semaphore(1, 1),
    })
    assert.equal(
      summary,
      'bob differs from alice in 3 of 3 files: 1 of 1 row in a.csv (1 changed: v); run removed; to removed',
    )
  })
}

test('git does not wait for a slow reader of an archive', async (t) => {
  const repository = await (await gitBackend(t, 'native')).open(join(await temporaryDirectory(t), 'a.git'))
  const source = await directoryOf(t, { a: noise(200_000), b: noise(200_000), c: noise(200_000) })
  const tree = await repository.writeTreeFromDirectory(source)
  const commit = await repository.writeCommit({
    tree,
    parents: [],
    message: 'm\n',
    author: PERSON,
    timeMs: TIME_MS,
  })
  let isRead = false
  const contents = {
    listFiles: (oid: string) => repository.listFiles(oid),
    fileSizes: (oids: readonly string[]) => repository.fileSizes(oids),
    openBlob: () => assert.fail('a small file is read by itself'),
    readFiles: async (...args: Parameters<PackRepository['readFiles']>) => {
      await repository.readFiles(...args)
      isRead = true
    },
  }
  const { signal } = new AbortController()
  const chunks = await archive(contents, commit, { path: '', timeMs: TIME_MS, signal })
  let bytes = (await chunks.next()).value?.length ?? 0
  await eventually(() => isRead, 'git waits for the reader')
  for await (const chunk of chunks) bytes += chunk.length
  assert.equal(bytes % 512, 0)
  assert(bytes > 600_000, `${bytes} bytes`)
})
