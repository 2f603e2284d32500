import assert from 'node:assert/strict'
import { test } from 'node:test'
import { peersSchema } from '../../src/api/registry-views.ts'
import { eventually } from '../support/eventually.ts'
import { startTestNode } from '../support/quiet-node.ts'
import { digestOf, founder, get, put, TOOL, told } from '../support/registry-api.ts'

/** A clock that a test sets wrong and right again. */
class ShiftedClock {
  shiftMs = 0
  now(): number {
    return Date.now() + this.shiftMs
  }
}

test('two members whose registries come apart are seen to, and seen to agree again', {
  timeout: 90_000,
}, async (t) => {
  const alice = await founder(t)
  const clock = new ShiftedClock()
  const bob = await startTestNode(t, 'bob', { clock })
  await bob.join((await alice.node.invite()).token)
  const peers = async () => told(peersSchema, await alice.ask('GET', '/api/v1/peers'))
  const bobSeen = async () => (await peers()).peers[0]
  const compare = () => {
    alice.node.federation.sync?.pull(bob.peerId)
    bob.federation.sync?.pull(alice.node.peerId)
  }
  await eventually(async () => {
    compare()
    return (await peers()).same === 1
  }, 'the two never agreed')
  const seen = await bobSeen()
  assert.deepEqual([seen?.name, seen?.role, seen?.connected, seen?.peer], ['bob', 'member', true, bob.peerId])
  assert.match(seen?.addresses[0] ?? '', /^\/ip4\/127\.0\.0\.1\/tcp\//)
  await eventually(async () => (await bobSeen())?.catchUp?.done === true, 'the catch-up never ended')

  // With a clock an hour slow he takes nothing that is written now for true.
  clock.shiftMs = -3_600_000
  await put(alice, '/tools/shell', { json: TOOL })
  await eventually(async () => {
    compare()
    return (await bobSeen())?.registry.state === 'differs'
  }, 'alice never saw that bob differs')
  const apart = await peers()
  assert.deepEqual([apart.same, apart.differing, apart.unknown], [0, 1, 0])
  assert.notEqual((await bobSeen())?.registry.digest, (await digestOf(alice)).digest)
  assert.equal(bob.federation.registry.get('/tools/shell'), undefined)
  // So he gives the name away a second time.
  await bob.federation.execution.addTool('shell', { image: 'busybox:2' })

  clock.shiftMs = 0
  await eventually(async () => {
    compare()
    return (await peers()).same === 1
  }, 'the two never agreed again')
  const { digest, records } = await peers()
  assert.equal(digest, bob.federation.registry.digest())
  assert.deepEqual([(await digestOf(alice)).digest, (await digestOf(alice)).records], [digest, records])
  const tools = await digestOf(alice, '?prefix=/tools/')
  assert.equal(tools.records, 2)
  assert.notEqual(tools.digest, digest)
  const contested = await get(alice, '/tools/shell')
  assert.deepEqual([contested.contested, contested.authorName], [true, 'alice'])
  assert.deepEqual(
    contested.claims.map(({ authorName, shown }) => [authorName, shown]),
    [
      ['alice', true],
      ['bob', false],
    ],
  )
})
