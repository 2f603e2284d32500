import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startTestApi } from '../support/api.ts'
import { eventually } from '../support/eventually.ts'
import { maoctlHere, tellJson } from '../support/maoctl.ts'

test('what one does to its own place is asked about, and how a request stands is told wherever one looks', async (t) => {
  const alice = await startTestApi(t, 'alice')
  const bob = await startTestApi(t, 'bob')
  const type = (node: typeof alice, ...words: string[]) =>
    maoctlHere(['--data', node.node.config.dataDirectory, ...words])
  await tellJson(alice.node.config.dataDirectory, 'federation', 'create', '--name', 'lab')

  const removing = await type(alice, '--yes', 'federation', 'remove', 'alice')
  assert.equal(removing.exit, 2, removing.stderr)
  assert.match(removing.stderr, /alice is this node itself; "maoctl federation leave"/)
  const unasked = await type(alice, 'federation', 'role', 'alice', 'member')
  assert.equal(unasked.exit, 2, unasked.stderr)
  assert.match(unasked.stderr, /only another operator can make it one again.* add --yes/)
  const last = await type(alice, '--yes', 'federation', 'role', 'alice', 'member')
  assert.notEqual(last.exit, 0, 'the last operator gave its role up')

  const [address = ''] = alice.node.addresses()
  const asking = ['federation', 'request', '--address', address, '--message', 'b', '--contact', 'b@x.org']
  await tellJson(alice.node.config.dataDirectory, 'federation', 'policy', 'propose', '--join', 'request')
  const none = await type(alice, 'federation', 'policy', 'endorse', '3f9a')
  assert.match(none.stderr, /No change of the policy is proposed.*\(NOT_FOUND\)/)
  assert.equal((await type(bob, ...asking)).exit, 0)
  await eventually(
    async () => /an operator is to decide/.test((await type(bob, 'status')).stdout),
    'status never told of the request',
  )
  const waiting = await type(bob, 'status')
  assert.match(waiting.stdout, /federation: +none yet\. /)
  assert.doesNotMatch(waiting.stdout, /! This node is in no federation/)
  assert.equal((await type(alice, 'federation', 'approve', 'bob', '--role', 'observer')).exit, 0)
  await eventually(
    async () => /is an observer of lab/.test((await type(bob, 'federation', 'request', '--status')).stdout),
    'bob never heard as what it is let in',
  )

  const left = await type(bob, '--yes', 'federation', 'leave', '--reason', 'moved')
  assert.equal(left.exit, 0, left.stderr)
  assert.match(left.stdout, /This node has left lab/)
  assert.match((await type(bob, 'federation', 'members')).stderr, /\(NO_FEDERATION\)/)

  // A key is replaced while the node stands still, which is looked at before anybody is asked.
  const running = await type(bob, 'instance', 'rotate-key')
  assert.match(running.stderr, /runs; stop it first.*\(DATA_IN_USE\)/)
  const { peerId } = bob.node
  await bob.api.stop()
  await bob.node.stop()
  assert.match((await type(bob, 'instance', 'rotate-key')).stderr, /There is no way back\. .* add --yes/)
  const rotated = await type(bob, '--yes', 'instance', 'rotate-key')
  assert.equal(rotated.exit, 0, rotated.stderr)
  assert.match(rotated.stdout, new RegExp(`^This node is 12D3\\w+ now, and ${peerId} no more\\.\n$`))
})
