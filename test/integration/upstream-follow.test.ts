import assert from 'node:assert/strict'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { isNodeError } from '../../src/base/errors.ts'
import { decodeJson, encodeJson } from '../../src/registry/collection.ts'
import { type DatasetNode, directoryOf, joinDatasetNode, startDatasetNode } from '../support/dataset-node.ts'
import { eventually } from '../support/eventually.ts'
import { type GitHttpServer, startGitHttpServer } from '../support/git-http-server.ts'
import { agreeOn, upstreamRepository } from '../support/upstream-repository.ts'

const HOUR_MS = 3_600_000
const later = { now: () => Date.now() + 2 * HOUR_MS }

const upstreamOf = ({ url }: GitHttpServer) => ({ url: `${url}/data.git`, branch: 'main' })
const isAt = async ({ datasets }: DatasetNode, branch: string, commit: string) =>
  (await datasets.show('data')).branches.some((each) => each.branch === branch && each.commit === commit)

async function gitHost(t: TestContext) {
  const repository = await upstreamRepository(t)
  const server = await startGitHttpServer(t, { root: repository.root, tls: false })
  return { repository, server }
}

test('an order to follow pulls and pushes, and goes on after a restart', async (t) => {
  const { repository, server } = await gitHost(t)
  const first = await repository.commit({ a: '1' })
  const alice = await startDatasetNode(t, { gossip: false })
  await alice.datasets.add('data')
  await alice.datasets.upstreams.set('data', upstreamOf(server))
  await assert.rejects(
    alice.datasets.upstreams.follow('data', { everyMs: 1_000 }),
    /every 10 seconds at most/,
  )
  const ordered = await alice.datasets.upstreams.follow('data', { everyMs: HOUR_MS, push: true })
  assert.equal(ordered.follow?.everyMs, HOUR_MS)
  await eventually(async () => {
    const { pulled, pushed } = await alice.datasets.upstreams.show('data')
    return pulled?.commit === first && pushed?.commit === first
  }, 'the first round never came')
  await eventually(async () => {
    const { follow } = await alice.datasets.upstreams.show('data')
    return (follow?.nextMs ?? 0) > Date.now() + HOUR_MS / 2
  }, 'the next round was never planned')

  const commit = await agreeOn(alice, await directoryOf(t, { a: '2' }))
  await alice.stop()
  assert.equal(await repository.tip(), first)

  const again = await startDatasetNode(t, {
    gossip: false,
    genesis: alice.genesis,
    directory: alice.directory,
    clock: later,
  })
  await eventually(async () => (await repository.tip()) === commit, 'the order did not survive the restart')
  const { follow: stopped } = await again.datasets.upstreams.unfollow('data')
  assert.equal(stopped, undefined)
})

test('an order ends where the record names another place, whoever waits there', async (t) => {
  const [trusted, other] = [await gitHost(t), await gitHost(t)]
  const first = await trusted.repository.commit({ a: '1' })
  await other.repository.commit({ a: '2' })
  const alice = await startDatasetNode(t, { gossip: false })
  await alice.datasets.add('data')
  await alice.datasets.upstreams.set('data', upstreamOf(trusted.server))
  const bob = await joinDatasetNode(t, alice, 'bob')
  await eventually(() => bob.datasets.list().length === 1, 'bob never heard of the dataset')
  const { url } = upstreamOf(trusted.server)
  await bob.datasets.upstreams.follow('data', { everyMs: HOUR_MS, url })
  await eventually(() => isAt(bob, 'upstream-bob', first), 'bob never pulled')

  await alice.datasets.upstreams.set('data', upstreamOf(other.server))
  await bob.sync.pullNow(alice.identity.peerId)
  await bob.stop()
  const [calls, before] = [other.server.heard.length, trusted.server.heard.length]
  const again = await startDatasetNode(t, {
    gossip: false,
    genesis: bob.genesis,
    directory: bob.directory,
    clock: later,
  })
  const { upstreams } = again.datasets
  await eventually(async () => (await upstreams.show('data')).pulled?.code === 'FORBIDDEN', 'nobody was told')
  const { follow, agreed, pulled } = await upstreams.show('data')
  assert.equal(agreed, false)
  assert.match(follow?.stopped ?? '', /what was agreed to is/)
  assert.match(pulled?.reason ?? '', /maoctl dataset upstream pull data/)
  assert.deepEqual(
    [other.server.heard.length, trusted.server.heard.length],
    [calls, before],
    'somebody was called',
  )
  assert(again.events.some((event) => event.type === 'upstream' && event.code === 'FORBIDDEN'))

  // The owner agrees again, with the address in sight.
  await assert.rejects(upstreams.pull('data', upstreamOf(other.server)), (error) =>
    isNodeError(error, 'NOT_FAST_FORWARD'),
  )
  assert.equal((await upstreams.show('data')).agreed, true)
})

test('naming an upstream agrees to that one, whatever the record says a moment later', async (t) => {
  const node = await startDatasetNode(t)
  await node.datasets.add('air')
  const put = node.registry.put.bind(node.registry)
  node.registry.put = async (key, value, options) => {
    const entry = await put(key, value, options)
    node.registry.put = put
    const other = { url: 'https://elsewhere.example/air.git', branch: 'main' }
    await put(key, encodeJson({ ...(decodeJson(value) as object), upstream: other }), options)
    return entry
  }
  await node.datasets.upstreams.set('air', { url: 'https://good.example/air.git', branch: 'main' })
  const { url, agreed } = await node.datasets.upstreams.show('air')
  assert.deepEqual([url, agreed], ['https://elsewhere.example/air.git', false])
  await assert.rejects(node.datasets.upstreams.pull('air'), { code: 'FORBIDDEN' })
})

test('two federations meet in one upstream', async (t) => {
  const { repository, server } = await gitHost(t)
  const [here, there] = [
    await startDatasetNode(t, { gossip: false }),
    await startDatasetNode(t, { gossip: false }),
  ]
  await here.datasets.importDirectory('data', await directoryOf(t, { 'a.txt': 'from here\n' }))
  const truth = (await here.datasets.truth('data')) as string
  await here.datasets.upstreams.set('data', upstreamOf(server))
  await assert.rejects(here.datasets.upstreams.pull('data'), (error) => isNodeError(error, 'NOT_FOUND'))
  const { branches } = await here.datasets.upstreams.push('data')
  assert.deepEqual(branches, [{ commit: truth, branch: 'main', outcome: 'created' }])

  await there.datasets.add('data')
  await there.datasets.upstreams.set('data', upstreamOf(server))
  assert.deepEqual(
    [(await there.datasets.upstreams.pull('data')).commit, await there.datasets.truth('data')],
    [truth, truth],
  )
  const commit = await agreeOn(there, await directoryOf(t, { 'a.txt': 'from there\n' }))
  await there.datasets.upstreams.push('data')
  assert.equal(await repository.tip(), commit)
  const back = await here.datasets.upstreams.pull('data')
  assert.deepEqual([back.commit, back.initial], [commit, false])
  assert.equal(
    await here.datasets.truth('data'),
    truth,
    'what comes from outside is agreed on before it counts',
  )
})

test('a dataset that never leaves takes from an upstream and gives nothing', async (t) => {
  const { repository, server } = await gitHost(t)
  const first = await repository.commit({ a: '1' })
  const alice = await startDatasetNode(t, { gossip: false })
  for (const policy of ['local-only', 'compute-only'] as const) {
    await alice.datasets.add(policy, { policy })
    await alice.datasets.upstreams.set(policy, upstreamOf(server))
    const { commit } = await alice.datasets.upstreams.pull(policy)
    assert.deepEqual([commit, await alice.datasets.truth(policy)], [first, first])
    await assert.rejects(alice.datasets.upstreams.push(policy, { branches: true }), (error) =>
      isNodeError(error, 'DATASET_WITHHELD'),
    )
  }
  assert.equal(alice.registry.get('/dataset/local-only'), undefined, 'nobody learns of it')
})

test('without git an upstream is refused with the way out', async (t) => {
  const alice = await startDatasetNode(t, { gossip: false, backend: 'isomorphic' })
  await alice.datasets.add('data')
  await alice.datasets.upstreams.set('data', { url: 'http://127.0.0.1:1/data.git', branch: 'main' })
  const refused = (error: unknown) => isNodeError(error, 'UNSUPPORTED') && /install git/.test(error.message)
  const bob = await joinDatasetNode(t, alice, 'bob', {
    backend: 'isomorphic',
    settings: { follow: 'chosen' },
  })
  await eventually(() => bob.datasets.list().length === 1, 'bob never heard of the dataset')
  const { url } = await bob.datasets.upstreams.show('data')
  await assert.rejects(bob.datasets.upstreams.pull('data', { url }), refused)
  const shelved: string[] = await readdir(join(bob.directory, 'datasets')).catch(() => [])
  assert.ok(!shelved.includes('data.git'), 'what cannot be pulled lays out no repository')
  await agreeOn(alice, await directoryOf(t, { a: '1' }))
  for (const direction of ['pull', 'push'] as const) {
    await assert.rejects(alice.datasets.upstreams[direction]('data'), refused)
  }
})
