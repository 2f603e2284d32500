import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { systemClock } from '../../src/base/clock.ts'
import { eventually } from '../support/eventually.ts'
import { startKeyValueNode } from '../support/key-value-node.ts'

const BOB = '12D3KooWBobBobBobBobBobBobBobBobBobBobBobBobBobBobBob'
const CAROL = '12D3KooWCarolCarolCarolCarolCarolCarolCarolCarolCarol'

test('roles are handed over by record, and a federation keeps its last operator', async (t: TestContext) => {
  const { members, identity } = await startKeyValueNode(t)
  const alice = identity.peerId
  await members.admit(BOB, 'bob', 'observer')
  assert.equal(members.role(BOB), 'observer')
  const { since } = await members.setRole(BOB, 'member')
  assert.equal(since, members.admittedMs(BOB))

  await assert.rejects(members.setRole(alice, 'member'), { code: 'CONFLICT', message: /last operator/ })
  await assert.rejects(members.remove(alice), { code: 'CONFLICT' })
  // One whose time ends is no heir.
  await members.setRole(BOB, 'operator', { until: systemClock.now() + 60_000 })
  await assert.rejects(members.setRole(alice, 'member'), { code: 'CONFLICT' })
  await members.setRole(BOB, 'operator', { until: null })
  await members.setRole(alice, 'member')
  assert.equal(members.role(alice), 'member')
  // And now alice may not any more, the founder or not.
  await assert.rejects(members.setRole(alice, 'operator'), { code: 'NOT_OPERATOR' })
})

test('a membership ends when its time has come, and whoever listens hears of it', async (t: TestContext) => {
  const { members } = await startKeyValueNode(t)
  let changes = 0
  t.after(
    members.onChange(() => {
      changes += 1
    }),
  )
  await members.admit(BOB, 'guest', 'observer', { until: systemClock.now() + 150 })
  assert.equal(changes, 1)
  assert.equal(members.isMember(BOB), true)
  await eventually(() => changes === 2, 'nobody heard of the end')
  assert.equal(members.isMember(BOB), false)
  assert.match(String(members.former(BOB)?.reason), /time/)
  await assert.rejects(members.admit(CAROL, 'late', 'member', { until: 1 }), { code: 'INVALID_INPUT' })
})

test('what has to be done before a loss is done before it, or nothing is lost; names stay with the former', async (t) => {
  const { members } = await startKeyValueNode(t)
  await members.admit(BOB, 'bob', 'operator')
  const stop = members.beforeLoss(async () => {
    throw new Error('not now')
  })
  await assert.rejects(members.remove(BOB, 'left'), /not now/)
  assert.equal(members.role(BOB), 'operator')
  stop()
  await members.remove(BOB, 'left')
  assert.deepEqual([members.isMember(BOB), members.former(BOB)?.reason], [false, 'left'])
  assert.equal((await members.admit(CAROL, 'bob', 'member')).name, 'bob-2')
  assert.equal((await members.admit(BOB, 'bob', 'member')).name, 'bob')
})
