import assert from 'node:assert/strict'
import { test } from 'node:test'
import { NodeError } from '../../../src/base/errors.ts'
import { identityOf, type Run } from '../../../src/execution/runs/run.ts'
import { endRun } from '../../../src/execution/runs/run-machine.ts'
import { rankFor } from '../../../src/execution/schedules/claims.ts'
import { Board, type Desk, deskOf, peers, SLOT, TAKE_OVER } from '../../support/claims-desk.ts'
import { eventually } from '../../support/eventually.ts'

const NEXT = SLOT + 15 * 60_000
const [first, second] = rankFor({ pipeline: 'work', slot: SLOT }, peers) as [string, string]

/** Everybody looks once more, as a timer would have them do. */
async function later(board: Board, ms: number, ...desks: Desk[]): Promise<void> {
  board.nowMs += ms
  for (const desk of desks) desk.claimed.follow({ pipeline: 'work', slot: SLOT })
  await new Promise((resolve) => setTimeout(resolve, 20))
}

test('a claim is made before its run, renewed while it is at work, and ended with it', async (t) => {
  const board = new Board()
  const desk = await deskOf(t, board, first)
  await desk.follow()
  await eventually(() => desk.store.list().length === 1, 'the slot was not run')
  await eventually(
    () => board.claims.get(`work/${SLOT}/${first}`)?.value.run === `${first}-1`,
    'the run is not told',
  )
  assert.equal(board.of(first), 'claimed')
  const [run] = desk.store.list() as [Run]
  assert.equal(board.claims.get(`work/${SLOT}/${first}`)?.value.identity, identityOf(run))
  const before = board.writes
  for (let look = 0; look < 30; look += 1) await later(board, TAKE_OVER / 30, desk)
  assert(
    board.writes - before >= 2 && board.writes - before <= 3,
    `${board.writes - before} renewals in the time`,
  )
  await desk.end('succeeded')
  await eventually(() => board.of(first) === 'done', 'the end is not told')
  await eventually(() => !desk.ledger.get('work')?.open.includes(SLOT), 'the slot is still followed')
})

test('a crash between a claim and its run is mended by the restart; a slot that was followed is followed on', async (t) => {
  const board = new Board()
  const desk = await deskOf(t, board, first)
  await desk.claimed.stop()
  await board.put(`work/${SLOT}/${first}`, { state: 'claimed', timeMs: SLOT })
  await desk.ledger.pass('work', SLOT, [SLOT])
  board.nowMs += 1_000
  await desk.restart()
  await eventually(() => desk.store.list().length === 1, 'the slot was not run after the crash')
  await desk.end('succeeded')
  await eventually(() => board.of(first) === 'done', 'the end is not told')

  const other = await deskOf(t, board, second)
  await other.follow(SLOT)
  await eventually(() => !other.ledger.get('work')?.open.includes(SLOT), 'it is done, and still followed')
  assert.deepEqual(other.store.list(), [])
})

test('a slot that the first cannot queue goes to the second at once, and both are seen', async (t) => {
  const board = new Board()
  const [one, two] = [await deskOf(t, board, first), await deskOf(t, board, second)]
  one.refuse = new NodeError('QUEUE_FULL', '1000 runs wait already; try again when some have ended')
  await two.follow()
  await one.follow()
  await eventually(() => board.of(first) === 'failed: rejected', 'the refusal is not told')
  await eventually(() => two.store.list().length === 1, 'nobody took over')
  assert.deepEqual(
    one.store.list().map(({ state, code }) => [state, code]),
    [['rejected', 'QUEUE_FULL']],
  )
  assert.equal(one.ledger.get('work')?.problem?.code, 'QUEUE_FULL')
  assert.deepEqual(one.waits, [10 * TAKE_OVER], 'who has heirs waits for its turn no longer than that')
  await two.end('failed')
  await eventually(() => board.of(second) === 'failed: failed', 'the end is not told')
})

test('a run that waits too long in one queue goes to the next member, and the last in line waits as long as it takes', async (t) => {
  const board = new Board()
  const live = () => [first, second]
  const [one, two] = [await deskOf(t, board, first, live), await deskOf(t, board, second, live)]
  await two.follow()
  await one.follow()
  await eventually(
    () => board.of(first) === 'claimed' && one.store.list().length === 1,
    'nobody claimed the slot',
  )
  const [waiting] = one.store.list() as [Run]
  const end = { timeMs: board.nowMs, reason: 'it waited too long', code: 'TIMED_OUT' as const }
  await one.store.save(endRun(waiting, 'timed-out', end))
  await eventually(() => two.store.list().length === 1, 'nobody took over')
  assert.equal(board.of(first), 'failed: errored')
  assert.deepEqual([one.waits, two.waits], [[10 * TAKE_OVER], [undefined]])
})

test('a slot that comes while another member is at work on the one before is skipped for all', async (t) => {
  const board = new Board()
  const desks: Desk[] = []
  for (const peer of peers) desks.push(await deskOf(t, board, peer))
  for (const desk of desks) await desk.follow()
  await eventually(() => board.of(first) === 'claimed', 'the first slot was not claimed')
  board.nowMs = SLOT + TAKE_OVER / 2
  const [nextFirst] = rankFor({ pipeline: 'work', slot: NEXT }, peers) as [string]
  board.nowMs = NEXT
  await board.put(`work/${SLOT}/${first}`, { state: 'running', run: `${first}-1`, timeMs: NEXT })
  for (const desk of desks) await desk.follow(NEXT)
  await eventually(() => board.of(nextFirst, NEXT) === 'failed: skipped', 'the slot was not skipped')
  for (const desk of desks) {
    await eventually(() => !desk.ledger.get('work')?.open.includes(NEXT), `${desk.peer} follows it still`)
  }
  assert.equal(desks.flatMap(({ store }) => store.list()).length, 1)
  const skipper = desks.find(({ peer }) => peer === nextFirst)
  assert.equal(skipper?.ledger.get('work')?.problem?.kind, 'overlap')
})

test('a slot that nobody could run is given up in the end, with a word', async (t) => {
  const board = new Board()
  const desk = await deskOf(t, board, second)
  await board.put(`work/${SLOT}/${second}`, { state: 'failed', end: 'errored', timeMs: SLOT })
  await desk.follow()
  await eventually(
    () => !desk.ledger.get('work')?.open.includes(SLOT),
    'this node has failed, and follows it still',
  )
  board.nowMs = SLOT + 19 * 3_600_000
  const later = SLOT + 60_000
  await desk.follow(later)
  await eventually(() => desk.ledger.get('work')?.problem?.slot === later, 'nothing was said')
  assert.match(desk.ledger.get('work')?.problem?.reason ?? '', /within 18 hours/)
  assert.deepEqual(desk.store.list(), [])
})
