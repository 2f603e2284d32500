import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { LocalCopyView } from '../../src/api/dataset-views.ts'
import { encodeJson } from '../../src/registry/collection.ts'
import { directoryOf, noise } from '../support/dataset-node.ts'
import { type Person, startPerson } from '../support/dataset-people.ts'
import { eventually } from '../support/eventually.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

/** Alice, who founds, and bob, who copies what he chooses. */
async function laboratory(
  t: TestContext,
  bobs: { quotaBytes?: number } = {},
): Promise<[alice: Person, bob: Person]> {
  const alice = await startPerson(t, 'alice')
  const bob = await startPerson(t, 'bob', { datasets: { follow: 'chosen', ...bobs } })
  await alice.node.createFederation({ name: 'lab' })
  const { token } = await alice.told<{ token: string }>('federation', 'invite')
  await bob.told('federation', 'join', token)
  return [alice, bob]
}

const hears = (person: Person, dataset: string, what: string) => {
  return eventually(
    async () => (await person.type('dataset', 'show', dataset)).exit === 0,
    `${what} was never heard of`,
  )
}

test('a member chooses what to copy, fetches it, and gives it up again', async (t) => {
  const [alice, bob] = await laboratory(t)
  await alice.told(
    'dataset',
    'import',
    await directoryOf(t, { 'a.csv': '1\n' }),
    '--name',
    'data',
    '--replicas',
    '2',
  )
  await hears(bob, 'data', 'data')
  assert.match((await bob.type('dataset', 'list')).stdout, /^data .* 0\/2 .*no: not chosen/m)

  // The dataset is heard of a moment before who holds it.
  await eventually(
    async () =>
      /is not here; alice had it last: "maoctl dataset follow data"/.test(
        (await bob.type('dataset', 'ls', 'data')).stderr,
      ),
    'who holds data was never heard of',
  )
  assert.match((await bob.type('dataset', 'verify', 'data')).stderr, /has no copy of data/)
  assert.deepEqual(await bob.told('dataset', 'list-local'), [], 'who looks lays out no repository')

  const fetched = await bob.type('dataset', 'fetch', 'data')
  assert.equal(fetched.exit, 0, fetched.stderr)
  assert.match(
    fetched.stdout,
    /All that was announced of data is here now:\n\n.*\nimport-alice +alice +[0-9a-f]{10} +here now/,
  )
  assert.match((await bob.type('dataset', 'fetch', 'data')).stdout, /Nothing was missing/)
  const followed = await bob.type('dataset', 'follow', 'data')
  assert.match(followed.stdout, /^data is copied here from now on; all of it is here already\.$/m)
  assert.match((await bob.type('dataset', 'list')).stdout, /yes: chosen/)

  const [copy] = await bob.told<LocalCopyView[]>('dataset', 'list-local', '--files')
  assert.ok(copy && existsSync(copy.path) && copy.bytes > 0)
  assert.deepEqual([copy.name, copy.files, copy.why, copy.former], ['data', 1, 'chosen', false])
  const held = async () =>
    (await alice.show('data')).replicas.members.some(({ member, current }) => member === 'bob' && current)
  await eventually(held, "alice never heard of bob's copy")
  assert.match(
    (await alice.type('dataset', 'show', 'data')).stdout,
    /^copies: +1 of 2 wanted beside its owner, 1 of them up to date$/m,
  )

  const holds = async () =>
    (await bob.show('data')).replicas.members.some(({ member, current }) => member === 'alice' && current)
  await eventually(holds, "bob never heard of alice's copy")
  const asked = await bob.type('dataset', 'remove-local', 'data')
  assert.equal(asked.exit, 2, 'nobody is there to say yes')
  assert.match(
    asked.stderr,
    /Delete this node's copy of data \(.*\)\? alice holds all of it\. Nobody is there to answer; add --yes/,
  )
  const gone = await bob.type('--yes', 'dataset', 'remove-local', 'data')
  assert.equal(gone.exit, 0, gone.stderr)
  assert.match(
    gone.stdout,
    /The copy of data is gone, and .* are free\. "maoctl dataset follow data" copies it again/,
  )
  assert.deepEqual(await bob.told('dataset', 'list-local'), [])
  assert.equal(existsSync(copy.path), false)
  assert.equal((await bob.type('--yes', 'dataset', 'remove-local', 'data')).exit, 3)
  const without = async () =>
    !(await alice.show('data')).replicas.members.some(({ member }) => member === 'bob')
  await eventually(without, "alice never heard that bob's copy is gone")
  const last = await alice.type('--yes', 'dataset', 'remove-local', 'data')
  assert.equal(last.exit, 4)
  assert.match(last.stderr, /No other member is known to hold all of it.*--force/)

  const refused = await bob.type('--yes', 'dataset', 'remove', 'data')
  assert.equal(refused.exit, 5, refused.stderr)
  const removed = await alice.type('--yes', 'dataset', 'remove', 'data')
  assert.equal(removed.exit, 0, removed.stderr)
  assert.match(
    removed.stdout,
    /^The dataset data is no more\. Copies are still at alice; each deletes its own with "maoctl dataset remove-local data --force"\.$/m,
  )
  const kept = await alice.type('--yes', 'dataset', 'remove-local', 'data')
  assert.equal(kept.exit, 4)
  assert.match(kept.stderr, /The dataset data was removed by alice, .*remove-local data --force/)
  const left = await alice.type('dataset', 'list-local')
  assert.match(left.stdout, /data \([0-9a-f]+\) .*left over: its dataset is no more/)
  assert.equal((await alice.type('--yes', 'dataset', 'remove-local', 'data', '--force')).exit, 0)
  assert.deepEqual(await alice.told('dataset', 'list-local'), [])
})

test('what must not leave is told apart, and the others learn why they get nothing', async (t) => {
  const [alice, bob] = await laboratory(t)
  const files = await directoryOf(t, { 'a.csv': '1\n' })
  await alice.told('dataset', 'import', files, '--name', 'secret', '--policy', 'compute-only')
  const path = await alice.type('repo', 'add', 'mine')
  assert.equal(path.exit, 0, path.stderr)
  assert.ok(existsSync(path.stdout.trim()), 'the path of the repository stands alone on standard output')
  assert.match((await alice.type('dataset', 'list')).stdout, /^mine +local-only .*yes: local-only/m)
  await alice.told('dataset', 'add', '--name', 'open', '--description', 'for all')
  await hears(bob, 'open', 'open')
  await hears(bob, 'secret', 'secret')
  const withheld = await bob.type('dataset', 'fetch', 'secret')
  assert.equal(withheld.exit, 5)
  assert.match(withheld.stderr, /compute-only: its objects stay with alice/)
  const unheld = await bob.type('dataset', 'verify', 'secret')
  assert.match(unheld.stderr, /no copy of secret; it is compute-only, and its objects stay at alice/)
  const shown = (await bob.type('dataset', 'show', 'secret')).stdout
  assert.match(shown, /^lives at: +alice$/m)
  assert.match(shown, /^import-alice .* alice +stays there$/m)
  assert.equal((await bob.type('dataset', 'show', 'mine')).exit, 3)
  const near = await bob.type('dataset', 'show', 'secrte')
  assert.match(near.stderr, /No dataset is named secrte \(did you mean secret\?\)/)

  const edited = await alice.told<{ description: string }>(
    'dataset',
    'edit',
    'open',
    '--description',
    'for everybody',
  )
  assert.equal(edited.description, 'for everybody')
  const heard = async () => (await bob.show('open')).description === 'for everybody'
  await eventually(heard, 'the new description was never heard of')
  assert.equal((await alice.type('dataset', 'edit', 'open')).exit, 2)
  const others = await bob.type('dataset', 'edit', 'open', '--description', 'mine')
  assert.equal(others.exit, 5)
  assert.match(others.stderr, /open was founded by another member; it or an operator may change/)
  assert.match(
    (await alice.type('dataset', 'edit', 'secret', '--policy', 'shared')).stderr,
    /nobody can take back\. Go on\?/,
  )
  assert.equal((await bob.type('--yes', 'dataset', 'edit', 'secret', '--policy', 'shared')).exit, 5)
  const senseless = await alice.type('dataset', 'edit', 'secret', '--replicas', '2')
  assert.match(senseless.stderr, /secret is compute-only, so that no other member copies it/)
  const opened = await alice.type('--yes', 'dataset', 'edit', 'secret', '--policy', 'shared')
  assert.equal(opened.exit, 0, opened.stderr)
  const free = async () => (await bob.type('dataset', 'fetch', 'secret')).exit === 0
  await eventually(free, 'bob never got what is shared now')
})

test('a branch that was wrong is reset for everybody, and what does not fit is told as such', async (t) => {
  const [alice, bob] = await laboratory(t, { quotaBytes: 200_000 })
  const first = await directoryOf(t, { 'a.csv': '1\n' })
  await alice.told('dataset', 'import', first, '--name', 'data')
  const good = (await alice.show('data')).truth as string
  await alice.told('dataset', 'import', await directoryOf(t, { 'a.csv': 'wrong\n' }), '--into', 'data')
  await hears(bob, 'data', 'data')
  const cloned = await bob.type('dataset', 'clone', 'data', join(await temporaryDirectory(t), 'clone'))
  assert.equal(cloned.exit, 0, cloned.stderr)
  assert.match(cloned.stderr, /data is not here yet \(not chosen\); it is fetched first/)
  await bob.told('dataset', 'follow', 'data')

  const words = ['dataset', 'reset', 'data', '--step', 'import', '--reason', 'wrong unit']
  assert.match(
    (await alice.type(...words, '--to', good.slice(0, 8))).stderr,
    /takes the last 1 commit off import-alice of data, for all members/,
  )
  assert.match(
    (await alice.type('--yes', ...words, '--to', 'beef')).stderr,
    /None of the last commits of import-alice begins with beef/,
  )
  assert.equal((await alice.type('--yes', ...words, '--to', 'HEAD~1')).exit, 2)
  const done = await alice.type('--yes', ...words, '--to', good.slice(0, 8))
  assert.equal(done.exit, 0, done.stderr)
  assert.match(
    done.stdout,
    /import-alice was at [0-9a-f]{10} and is at .* now; the members are told: wrong unit/,
  )
  const back = async () =>
    (await bob.show('data')).branches.some(({ commit, present }) => commit === good && present)
  await eventually(back, 'bob never followed the reset')
  assert.match(
    (await bob.type('dataset', 'show', 'data')).stdout,
    /rewritten: alice moved import-alice from .*: wrong unit/,
  )

  await alice.told('dataset', 'import', await directoryOf(t, { 'a.bin': noise(400_000) }), '--name', 'big')
  await hears(bob, 'big', 'big')
  const full = await bob.type('dataset', 'fetch', 'big')
  assert.equal(full.exit, 7, full.stderr)
  assert.match(
    full.stdout,
    /^0 branches of big came, 1 did not:\n\n.*\nimport-alice +alice +[0-9a-f]{10} .*QUOTA_EXCEEDED/m,
  )
})

test('a claim that is contested is shown with the way out, which an operator takes', async (t) => {
  const [alice, bob] = await laboratory(t)
  await alice.told('dataset', 'add', 'data')
  await hears(bob, 'data', 'the dataset')
  const { registry } = bob.node.federation
  await registry.put(
    '/dataset/data',
    encodeJson({ description: '', policy: 'shared', createdBy: 'bob', id: 'x' }),
  )
  const contested = async () =>
    /^contested: bob claims the name without a proof/m.test(
      (await alice.type('dataset', 'show', 'data')).stdout,
    )
  await eventually(contested, 'alice is not shown the claim')
  const settled = await alice.type('dataset', 'edit', 'data')
  assert.equal(settled.exit, 0, settled.stderr)
  await registry.delete('/dataset/data')
  await eventually(async () => !(await contested()), 'the claim did not go')
  const nothing = await alice.type('dataset', 'edit', 'data')
  assert.deepEqual([nothing.exit, /Nothing is to be changed/.test(nothing.stderr)], [2, true])
})
