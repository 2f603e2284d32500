import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Errand, UnderWay } from '../../../src/datasets/exchange/under-way.ts'

const HOUR_MS = 3_600_000
const AT_EASE = { isFirstCopy: false, urgent: false }
const NEVER = new AbortController().signal
const of = (author: string, ...wants: string[]): Errand => ({ dataset: 'air', author, wants })
const patience = (more: Partial<Record<'stallMs' | 'othersMs' | 'firstCopyMs', number>>) =>
  new UnderWay({ stallMs: HOUR_MS, othersMs: HOUR_MS, firstCopyMs: HOUR_MS, ...more })

/** Whether a wait has come to its end, looked at later. */
function watched(wait: Promise<boolean>): { isOver: boolean; wait: Promise<boolean> } {
  const seen = { isOver: false, wait }
  wait.then(
    () => {
      seen.isOver = true
    },
    () => undefined,
  )
  return seen
}

test('one whose bytes flow is waited for, and what it brought is looked for afterwards', async () => {
  const all = patience({})
  const first = all.begin(of('alice', 'a'))
  assert.equal(await first.turn(AT_EASE, NEVER), false)
  const second = watched(all.begin(of('bob', 'b')).turn(AT_EASE, NEVER))
  await sleep(20)
  assert.equal(second.isOver, false)
  first.end()
  assert.equal(await second.wait, true)
})

test('one that stalls is not waited for, however well it keeps its stream alive', {
  timeout: 5_000,
}, async () => {
  const all = patience({ stallMs: 30 })
  const staller = all.begin(of('mallory', 'm'))
  await staller.turn(AT_EASE, NEVER)
  staller.moved({ phase: 'receiving', bytes: 0 })
  await all.begin(of('alice', 'a')).turn({ isFirstCopy: true, urgent: false }, NEVER)
})

test('one of another author that flows for ever is waited for only so long', { timeout: 5_000 }, async () => {
  const all = patience({ othersMs: 30 })
  await all.begin(of('mallory', 'm')).turn(AT_EASE, NEVER)
  await all.begin(of('alice', 'a')).turn(AT_EASE, NEVER)
})

test('who wants the same of the same author waits as long as it flows, also in a hurry', async () => {
  const all = patience({ othersMs: 0 })
  const automatic = all.begin(of('alice', 'a', 'b'))
  await automatic.turn(AT_EASE, NEVER)
  const hurried = { isFirstCopy: false, urgent: true }
  const asked = watched(all.begin(of('alice', 'b')).turn(hurried, NEVER))
  // What others announce, or more of it, is not held up by it.
  await all.begin(of('mallory', 'b')).turn(AT_EASE, NEVER)
  await all.begin(of('alice', 'b', 'c')).turn(hurried, NEVER)
  automatic.moved({ phase: 'checking', bytes: 9 })
  await sleep(20)
  assert.equal(asked.isOver, false)
  automatic.end()
  assert.equal(await asked.wait, true)
})

test('who is called off waits no more', async () => {
  const all = patience({})
  await all.begin(of('alice', 'a')).turn(AT_EASE, NEVER)
  const calledOff = new AbortController()
  const waits = all.begin(of('bob', 'b')).turn(AT_EASE, calledOff.signal)
  calledOff.abort(new Error('called off'))
  await assert.rejects(waits, /called off/)
})
