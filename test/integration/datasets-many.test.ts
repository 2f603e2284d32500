import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { datasetId } from '../../src/datasets/dataset-record.ts'
import { encodeJson } from '../../src/registry/collection.ts'
import {
  type DatasetNode,
  joinDatasetNode,
  restartDatasetNode,
  startDatasetNode,
} from '../support/dataset-node.ts'
import { eventually } from '../support/eventually.ts'
import { sealRecord } from '../support/records.ts'

/** Lets a node hear of this many datasets that `member` claims, as they would come by the wire. */
async function claim(node: DatasetNode, member: DatasetNode, count: number, first = 0): Promise<void> {
  for (let at = first; at < first + count; at++) {
    const seed = at.toString(16).padStart(32, '0')
    const id = datasetId(member.identity.peerId, `d${at}`, seed)
    const record = { id, seed, description: '', policy: 'shared', createdBy: 'eve' }
    const { federation } = node.registry
    const sealed = await sealRecord(member.identity, {
      ...{ key: `/dataset/d${at}`, federation, value: encodeJson(record), version: 1 },
    })
    assert.equal((await node.registry.receive(sealed.envelope)).action, 'accept')
  }
}

/** How often all datasets are listed from here on. */
function listings({ registry }: DatasetNode): () => number {
  let count = 0
  const list = registry.list.bind(registry)
  registry.list = (prefix) => {
    if (prefix === '/dataset/') count += 1
    return list(prefix)
  }
  return () => count
}

test('the work that one record makes does not grow with the datasets of others', async (t) => {
  const bob = await startDatasetNode(t, { settings: { follow: 'none' } })
  const eve = await joinDatasetNode(t, bob, 'eve', { gossip: false })
  await eve.datasets.stop()
  const listed = listings(bob)
  await claim(bob, eve, 40)
  const founded = (node: DatasetNode) => node.events.filter(({ type }) => type === 'founded').length
  await eventually(() => founded(bob) === 40, 'not all datasets were told of')
  assert.ok(listed() <= 2, `all datasets were listed ${listed()} times for 40 records`)
  await bob.datasets.stop()
  await claim(bob, eve, 40, 40)
  const before = listed()
  await bob.datasets.start()
  assert.ok(listed() - before <= 6, `all datasets were listed ${listed() - before} times at a start with 80`)
  assert.equal(bob.datasets.list().length, 80)
  await bob.stop()
  const again = await restartDatasetNode(t, bob)
  assert.equal(again.datasets.list().length, 80)
  assert.equal(founded(again), 0, 'what was known before the start is no news')
  assert.equal(existsSync(join(again.directory, 'datasets/d0.git')), false)
})
