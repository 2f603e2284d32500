import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { type DatasetNode, directoryOf, joinDatasetNode, startDatasetNode } from '../support/dataset-node.ts'
import { eventually } from '../support/eventually.ts'

const commit = async (t: TestContext, node: DatasetNode, files: Readonly<Record<string, string>>) => {
  const directory = await directoryOf(t, files)
  return node.datasets.commitDirectory({ dataset: 'data', step: 'collect', directory, message: 'x\n' })
}

/** Takes a file's content out of a copy, as a collection that was ended halfway does with a rest. */
async function lose(node: DatasetNode, oid: string): Promise<void> {
  const { path } = await node.datasets.repository('data')
  await rm(join(path, 'objects', oid.slice(0, 2), oid.slice(2)))
}

async function problems(node: DatasetNode): Promise<string[]> {
  return (await node.datasets.upkeep.verify('data')).problems.map(({ code }) => code)
}

for (const backend of ['native', 'isomorphic'] as const) {
  test(`objects that a copy lacks come again, with the ${backend} backend`, async (t) => {
    const alice = await startDatasetNode(t, { backend })
    const bob = await joinDatasetNode(t, alice, 'bob', { backend, settings: { follow: 'none' } })
    await alice.datasets.add('data')
    await eventually(() => bob.datasets.list().length === 1, 'the dataset was never heard of')
    const files = { a: 'one', 'd/b': 'two' }
    const first = await commit(t, alice, files)
    const repository = await alice.datasets.repository('data')
    const lost = (await repository.listFiles(first.commit)).find(({ path }) => path === 'a')?.oid as string

    // A commit that no branch leads to, and not all of what it leads to.
    const copy = await bob.datasets.repository('data')
    const tree = await copy.writeTreeFromDirectory(await directoryOf(t, files))
    const { parents, message, author, timeMs } = await repository.readCommit(first.commit)
    assert.equal(await copy.writeCommit({ tree, parents, message, author, timeMs }), first.commit)
    await lose(bob, lost)
    await bob.datasets.fetchNow('data')
    assert.deepEqual(await problems(bob), [])

    // The same below a branch: what is made on it does not come alone, and a check that finds it has it fetched.
    const unpack = async () => {
      const { path } = await bob.datasets.repository('data')
      execFileSync(
        'sh',
        [
          '-c',
          'mkdir p && mv objects/pack/* p/ && for i in p/*.pack; do git unpack-objects -q < $i; done; rm -r p',
        ],
        { cwd: path, env: { ...process.env, GIT_DIR: path } },
      )
    }
    await unpack()
    await lose(bob, lost)
    await commit(t, alice, { ...files, 'd/b': 'three' })
    await eventually(
      () => bob.datasets.show('data').then(({ branches }) => branches[0]?.present === false),
      'no head',
    )
    await bob.datasets.fetchNow('data')
    assert.deepEqual(await problems(bob), [])
    await unpack()
    await lose(bob, lost)
    assert.deepEqual(await problems(bob), ['MISSING'])
    await bob.datasets.fetchNow('data')
    assert.deepEqual(await problems(bob), [])
  })
}

test('whoever only looks, or asks, lays out no copy', async (t) => {
  const alice = await startDatasetNode(t)
  const bob = await joinDatasetNode(t, alice, 'bob', { settings: { follow: 'none' } })
  await alice.datasets.importDirectory('data', await directoryOf(t, { a: '0' }))
  await eventually(() => bob.datasets.list().length === 1, 'the dataset was never heard of')
  await assert.rejects(alice.datasets.ensureCommit('data', 'f'.repeat(40)), { code: 'PEER_UNREACHABLE' })
  await assert.rejects(bob.datasets.log('data'), { code: 'COMMIT_NOT_FOUND' })
  assert.deepEqual(await bob.datasets.listLocal(), [])
})
