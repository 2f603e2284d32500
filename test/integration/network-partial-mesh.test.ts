import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type DatasetNode, directoryOf, startDatasetNode } from '../support/dataset-node.ts'
import { eventually } from '../support/eventually.ts'

const NODES = 6

test('six that keep two connections each hear all, and fetch from whom they are not connected with', async (t) => {
  // Nobody copies by itself, so that nobody near has what is asked for.
  const settings = { follow: 'chosen' } as const
  const all: DatasetNode[] = []
  const live = () => all.map(({ identity }) => identity.peerId)
  const alice = await startDatasetNode(t, { settings, live })
  all.push(alice)
  for (let n = 1; n < NODES; n += 1)
    all.push(await startDatasetNode(t, { genesis: alice.genesis, settings, live }))
  for (const [n, { identity }] of all.slice(1).entries()) {
    await alice.members.admit(identity.peerId, `member-${n}`, 'member')
  }
  // A ring: each knows its neighbours alone.
  for (const [n, node] of all.entries())
    await node.network.dial((all[(n + 1) % NODES] as DatasetNode).network.addresses())
  for (const node of all) {
    const addresses = (peer: string) =>
      all.find(({ identity }) => identity.peerId === peer)?.network.addresses() ?? []
    node.network.useAddresses(addresses)
  }
  const alike = () => all.every(({ registry }) => registry.digest() === alice.registry.digest())
  await eventually(alike, 'the members never went round')

  const opposite = all[NODES / 2] as DatasetNode
  await opposite.registry.put('/tools/of-opposite', new TextEncoder().encode('{}'))
  await alice.datasets.importDirectory('data', await directoryOf(t, { 'a.csv': '1\n' }), {
    description: 'far',
  })
  await eventually(alike, 'not all went round')
  assert(alice.registry.get('/tools/of-opposite'))
  for (const { network } of all) assert.equal(network.connectedPeers().length, 2)

  await opposite.datasets.follow('data')
  const came = async () => (await opposite.datasets.show('data')).replicated
  await eventually(came, 'nobody near had it, and nobody else was asked')
  assert(opposite.network.connectedPeers().includes(alice.identity.peerId))
})
