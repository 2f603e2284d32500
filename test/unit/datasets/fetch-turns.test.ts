import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as soon } from 'node:timers/promises'
import { FetchTurns, type Turn } from '../../../src/datasets/exchange/fetch-turns.ts'

const turns = (limits: Partial<{ atOnceMax: number; perMemberMax: number; waitingMax: number }> = {}) =>
  new FetchTurns({ atOnceMax: 3, perMemberMax: 1, waitingMax: 10, ...limits })
const never = new AbortController().signal

/** Who a turn is with, once there is one. */
function watched(turn: Promise<Turn>): { peer?: string; turn: Promise<Turn> } {
  const seen: { peer?: string; turn: Promise<Turn> } = { turn }
  turn.then(
    ({ peer }) => {
      seen.peer = peer
    },
    () => undefined,
  )
  return seen
}

test('whoever is busy is passed over for the next one', async () => {
  const places = turns()
  assert.equal((await places.take(['alice', 'bob'], never)).peer, 'alice')
  assert.equal((await places.take(['alice', 'bob'], never)).peer, 'bob')
  const waits = watched(places.take(['alice', 'bob'], never))
  await soon()
  assert.equal(waits.peer, undefined)
  // Another one is free for those who may ask it.
  assert.equal((await places.take(['carol'], never)).peer, 'carol')
})

test('a place goes to the first in line who can use it', async () => {
  const places = turns()
  const [alice, bob] = [await places.take(['alice'], never), await places.take(['bob'], never)]
  const first = watched(places.take(['alice'], never))
  const second = watched(places.take(['bob', 'alice'], never))
  bob.release()
  bob.release()
  await soon()
  assert.deepEqual([first.peer, second.peer], [undefined, 'bob'])
  alice.release()
  await soon()
  assert.equal(first.peer, 'alice')
})

test('members that dawdle never hold every place', async () => {
  const places = turns({ atOnceMax: 4, perMemberMax: 2 })
  for (let more = 0; more < 2; more += 1) await places.take(['mallory'], never)
  const third = watched(places.take(['mallory'], never))
  assert.equal((await places.take(['alice'], never)).peer, 'alice')
  assert.equal(third.peer, undefined)
})

test('all places together have a bound, and so has the line', async () => {
  const places = turns({ atOnceMax: 1, waitingMax: 1 })
  const held = await places.take(['alice'], never)
  const waits = watched(places.take(['bob'], never))
  await assert.rejects(places.take(['carol'], never), { code: 'QUEUE_FULL' })
  held.release()
  await soon()
  assert.equal(waits.peer, 'bob')
})

test('who is called off leaves the line, and its place is not lost', async () => {
  const places = turns({ atOnceMax: 1 })
  const held = await places.take(['alice'], never)
  const calledOff = new AbortController()
  const gone = places.take(['alice'], calledOff.signal)
  const next = watched(places.take(['alice'], never))
  calledOff.abort(new Error('called off'))
  await assert.rejects(gone, /called off/)
  held.release()
  await soon()
  assert.equal(next.peer, 'alice')
  await assert.rejects(places.take(['alice'], calledOff.signal), /called off/)
})
