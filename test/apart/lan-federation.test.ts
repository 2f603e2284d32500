import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { eventually } from '../support/eventually.ts'
import { chapter } from '../support/namespaces/chapter.ts'
import {
  allAlike,
  allConnected,
  NOT_CONNECTED,
  PAUSE_MS,
  putTool,
  wayTo,
} from '../support/namespaces/federation.ts'
import type { NodeOnHost } from '../support/namespaces/node-on-host.ts'
import { World } from '../support/namespaces/world.ts'

/** Once both are ready: at the first question on the LAN, not at the second, which comes ten seconds later. */
const FOUND_TIMEOUT_MS = 7_000
/** Until a connection that nobody answers on is given up, and another is there. */
const MOVED_TIMEOUT_MS = 30_000

async function found(t: TestContext, node: NodeOnHost, by: NodeOnHost): Promise<void> {
  const sees = async () => (await wayTo(by, node)) !== NOT_CONNECTED
  await eventually(sees, `${by.name} never found ${node.name}`, FOUND_TIMEOUT_MS, PAUSE_MS)
  t.diagnostic(
    `${node.name} was found by ${by.name} ${Math.round(performance.now() - node.startedMs)} ms after its start`,
  )
}

test('nodes on a LAN, where nothing is configured, find each other and stay together', {
  timeout: 240_000,
}, async (t) => {
  const world = await World.open(t)
  const lan = await world.lan('10.7.0')
  const make = async (name: string) => world.node(name, await world.host(lan))
  const [alice, bob, carol] = await Promise.all([make('alice'), make('bob'), make('carol')])
  const all = [alice, bob, carol]

  await chapter(
    t,
    'two that start at once find each other, and whoever comes later is found too',
    async (t) => {
      await Promise.all([alice.start(), bob.start()])
      await eventually(async () => (await bob.connectedPeers()) === 1, 'bob found nobody', FOUND_TIMEOUT_MS)
      await alice.found('lab')
      await alice.admit(bob)
      await carol.start()
      await Promise.all([found(t, carol, alice), found(t, carol, bob)])
    },
  )

  await chapter(
    t,
    'an invitation leads to where the operator is, and all members become connected',
    async () => {
      await alice.admit(carol)
      await allConnected(all)
      await putTool(carol, 'of-carol')
      await allAlike(all)
    },
  )

  await chapter(
    t,
    'killed, and started under another address, a member is the same one and misses nothing',
    async () => {
      const { peerId } = bob
      await bob.stop('SIGKILL')
      await bob.host.readdress()
      await putTool(alice, 'missed')
      await bob.start()
      assert.equal(bob.peerId, peerId)
      await allConnected(all)
      await allAlike(all)
      for (const other of [alice, carol]) assert.match(await wayTo(other, bob), at(bob))
    },
  )

  await chapter(t, 'a member whose address changes while it runs is found under the new one', async (t) => {
    const begunMs = performance.now()
    await carol.host.readdress()
    const moved = async () => at(carol).test(await wayTo(alice, carol))
    await eventually(moved, 'carol was never connected under her new address', MOVED_TIMEOUT_MS, PAUSE_MS)
    t.diagnostic(`connected under the new address after ${Math.round(performance.now() - begunMs)} ms`)
    await allConnected(all)
    await putTool(carol, 'from-elsewhere')
    await allAlike(all)
  })

  await chapter(
    t,
    'all move while none runs, so that no address is good that anybody remembers',
    async () => {
      await Promise.all(all.map((node) => node.stop()))
      for (const node of all) await node.host.readdress()
      await Promise.all(all.map((node) => node.start()))
      await allConnected(all)
      await putTool(bob, 'after-the-move')
      await allAlike(all)
    },
  )
})

const at = ({ host }: NodeOnHost) => new RegExp(`/ip4/${host.address}/`)
