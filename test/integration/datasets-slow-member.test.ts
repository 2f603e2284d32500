import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { PACK_PROTOCOL } from '../../src/datasets/exchange/pack-protocol.ts'
import { directoryOf, joinDatasetNode, startDatasetNode } from '../support/dataset-node.ts'
import { eventually } from '../support/eventually.ts'

test('a member that only says that it is at work keeps nobody from what another one has', async (t) => {
  const alice = await startDatasetNode(t)
  const two = [await joinDatasetNode(t, alice, 'x1'), await joinDatasetNode(t, alice, 'x2')]
  const [mallory, carol] = two.sort((a, b) => (a.identity.peerId < b.identity.peerId ? -1 : 1))
  assert.ok(mallory !== undefined && carol !== undefined)
  const bob = await joinDatasetNode(t, alice, 'bob', { settings: { follow: 'none' } })
  await alice.datasets.importDirectory('data', await directoryOf(t, { a: '0' }))
  const commit = (await alice.datasets.truth('data')) as string
  // Both say that they hold it, so that either may be asked first.
  for (const { identity } of two) {
    const key = `/replicas/data/${identity.peerId}`
    await eventually(() => bob.registry.get(key) !== undefined, 'a copy was not told of')
  }
  await mallory.datasets.stop()
  let asked = 0
  await mallory.network.handle(PACK_PROTOCOL, async (stream) => {
    asked += 1
    await stream.read()
    await stream.write(Buffer.from('{"dialect":"pack"}\n'))
    for (let cut = false; !cut; await sleep(200)) {
      await stream.write(Buffer.from('\n')).catch(() => {
        cut = true
      })
    }
  })
  await bob.network.dial(mallory.network.addresses())
  await bob.network.dial(carol.network.addresses())
  await alice.stop()
  await eventually(() => bob.network.connectedPeers().length === 2, 'they are not connected')
  await bob.datasets.ensureCommit('data', commit, { signal: AbortSignal.timeout(20_000) })
  assert.deepEqual([asked, await bob.datasets.holds('data', commit)], [1, true])
})
