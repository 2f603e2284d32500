import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { HeardClaim } from '../../../src/execution/schedules/claims.ts'
import {
  decideShared,
  type SharedSituation,
  type SharedWork,
  type Sharing,
} from '../../../src/execution/schedules/shared-work.ts'
import { Board, type Desk, deskOf, peers, SLOT, TAKE_OVER } from '../../support/claims-desk.ts'
import { eventually } from '../../support/eventually.ts'

const WORKERS = ['ben', 'amy']
const DUE = SLOT

function situation(over: Partial<SharedSituation & { in: string[] }> = {}): SharedSituation {
  const handedIn = (peer: string) => over.in?.includes(peer) ?? false
  const work: SharedWork = { workers: WORKERS, takeOverMs: TAKE_OVER, handedIn }
  const rest = {
    sinceMs: DUE,
    patienceMs: DUE + 10 * TAKE_OVER,
    live: peers,
    self: 'cat',
    begun: false,
    nowMs: DUE,
  }
  return { work, claims: new Map(), ...rest, ...over }
}
const claimed = (claims: Record<string, Partial<HeardClaim>>) =>
  new Map(
    Object.entries(claims).map(([peer, claim]) => [
      peer,
      { state: 'running', heardMs: DUE, ...claim } as const,
    ]),
  )
const untilMs = (over: Parameters<typeof situation>[0]) => {
  const decision = decideShared(situation(over))
  return decision.act === 'wait' ? decision.untilMs : decision.act
}

test('the first of the proven runs the slot, each next one and then everybody waits for those before', () => {
  assert.equal(untilMs({ self: 'ben' }), 'run')
  assert.equal(untilMs({ self: 'ben', nowMs: DUE - 1 }), DUE)
  assert.equal(untilMs({ self: 'amy' }), DUE + TAKE_OVER)
  assert.equal(untilMs({ self: 'cat' }), DUE + 2 * TAKE_OVER)
  assert.equal(untilMs({ self: 'amy', nowMs: DUE + TAKE_OVER }), 'run')
  assert.equal(untilMs({ self: 'cat', nowMs: DUE + 2 * TAKE_OVER }), 'run')
  // Who is away is not waited for; where all of them are, everybody works at once.
  assert.equal(untilMs({ self: 'amy', live: ['amy', 'cat'] }), 'run')
  assert.equal(untilMs({ self: 'cat', live: ['cat'] }), 'run')
})

test('of many proven members three are waited for, and no more', () => {
  const workers = Array.from({ length: 20 }, (_, i) => `w${i}`)
  const work = { ...situation().work, workers }
  const live = [...workers, 'cat']
  assert.equal(untilMs({ work, live, self: 'w2' }), DUE + 2 * TAKE_OVER)
  for (const self of ['w3', 'w19', 'cat']) assert.equal(untilMs({ work, live, self }), DUE + 3 * TAKE_OVER)
})

test('who is at work is believed as long as it says so, and who is done as long as its ballot takes', () => {
  const nowMs = DUE + 10_000
  assert.equal(untilMs({ claims: claimed({ ben: {} }), nowMs }), DUE + TAKE_OVER)
  const renewed = claimed({ ben: { heardMs: nowMs } })
  assert.equal(untilMs({ claims: renewed, nowMs }), nowMs + TAKE_OVER)
  assert.equal(
    untilMs({ claims: claimed({ ben: { state: 'done' } }), nowMs, live: ['amy', 'cat'] }),
    DUE + TAKE_OVER,
  )
  // It handed nothing in: the next one has its turn at once.
  const silent = { claims: claimed({ ben: { state: 'done' } }), nowMs: DUE + TAKE_OVER }
  assert.equal(untilMs({ ...silent, self: 'amy' }), 'run')
  assert.equal(untilMs(silent), DUE + 2 * TAKE_OVER)
  assert.equal(untilMs({ ...silent, in: ['ben'] }), 'nothing')
  // Whatever a failure was: nobody else would run it.
  const failed = { claims: claimed({ ben: { state: 'failed', end: 'failed' } }), nowMs }
  assert.equal(untilMs({ ...failed, self: 'amy' }), 'run')
  assert.equal(untilMs(failed), DUE + TAKE_OVER)
  const both = claimed({ ben: { state: 'failed' }, amy: { state: 'failed', heardMs: nowMs } })
  assert.equal(untilMs({ claims: both, nowMs }), 'run')
})

test('whoever claims a slot and goes on claiming it keeps it for a while and not for good', () => {
  const patienceMs = DUE + 10 * TAKE_OVER
  const claims = claimed({ ben: { heardMs: patienceMs - 1 } })
  assert.equal(untilMs({ claims, nowMs: patienceMs - 1, self: 'amy' }), patienceMs)
  const still = claimed({ ben: { heardMs: patienceMs + TAKE_OVER } })
  const nowMs = patienceMs + TAKE_OVER
  assert.equal(untilMs({ claims: still, nowMs: patienceMs, self: 'amy' }), 'run')
  assert.equal(untilMs({ claims: still, nowMs: patienceMs, self: 'cat' }), nowMs)
  assert.equal(untilMs({ claims: still, nowMs, self: 'cat' }), 'run')
})

test('a claim of its own without a run is followed by one, and one that ended by nothing', () => {
  assert.equal(untilMs({ self: 'ben', claims: claimed({ ben: { state: 'claimed' } }) }), 'run')
  assert.equal(untilMs({ self: 'ben', claims: claimed({ ben: {} }), begun: true }), undefined)
  assert.equal(untilMs({ self: 'ben', claims: claimed({ ben: { state: 'done' } }), begun: true }), 'nothing')
})

/** Members with a schedule that every one of them would run. */
async function members(t: TestContext, sharing: () => Sharing): Promise<{ board: Board; desks: Desk[] }> {
  const board = new Board()
  board.schedule = { pipeline: 'work', cron: '*/15 * * * *', round: { windowMs: TAKE_OVER } }
  board.sharing = { of: async () => sharing() }
  const desks: Desk[] = []
  for (const peer of peers) desks.push(await deskOf(t, board, peer))
  return { board, desks }
}
const runsOf = (desks: readonly Desk[]) => desks.map(({ store }) => store.list().length)
const isFollowed = ({ ledger }: Desk) => ledger.get('work')?.open.includes(SLOT) === true

test('one member runs the slot, the others leave it and say why; once it is handed in nobody follows it', async (t) => {
  const handed = new Set<string>()
  const { board, desks } = await members(t, () => ({
    ...{ workers: WORKERS, takeOverMs: TAKE_OVER },
    handedIn: (peer) => handed.has(peer),
  }))
  const [amy, ben, cat] = desks as [Desk, Desk, Desk]
  for (const desk of desks) await desk.follow()
  await eventually(() => board.of('ben') === 'claimed', 'the first of the proven claims nothing')
  for (const { ledger } of [amy, cat]) {
    await eventually(() => ledger.get('work')?.spared !== undefined, 'it is not told why nothing runs')
    const { slot, kind, reason } = ledger.get('work')?.spared ?? {}
    assert.deepEqual([slot, kind], [SLOT, 'proven'])
    assert.match(reason ?? '', /^ben runs it for all/)
    assert.equal(ledger.get('work')?.problem, undefined, 'which is no problem')
  }
  await ben.end('succeeded')
  await eventually(() => board.of('ben') === 'done', 'the end is not told')
  handed.add('ben')
  board.nowMs += TAKE_OVER
  for (const desk of [amy, cat]) await desk.follow()
  await eventually(() => !desks.some(isFollowed), 'the slot is still followed')
  assert.deepEqual(runsOf(desks), [0, 1, 0])
  assert.equal(ben.ledger.get('work')?.spared, undefined)
})

test('a proven member whose run fails is taken over from, and in the end everybody runs', async (t) => {
  const { desks } = await members(t, () => ({
    ...{ workers: WORKERS, takeOverMs: TAKE_OVER },
    handedIn: () => false,
  }))
  const [amy, ben, cat] = desks as [Desk, Desk, Desk]
  for (const desk of desks) await desk.follow()
  await eventually(() => ben.store.list().length === 1, 'the first does not begin')
  await ben.end('failed')
  await eventually(() => amy.store.list().length === 1, 'the second does not take over')
  assert.deepEqual(runsOf(desks), [1, 1, 0])
  await amy.end('failed')
  await eventually(() => cat.store.list().length === 1, 'nobody is left and nobody runs it')
})

test('a node that does not get to know whose result is enough runs the slot by itself, after a while', async (t) => {
  let known: Sharing = 'unknown'
  const { board, desks } = await members(t, () => known)
  const [amy, ben] = desks as [Desk, Desk]
  await amy.follow()
  board.nowMs += TAKE_OVER
  await amy.follow()
  await eventually(() => !isFollowed(amy), 'it waits for what does not come')
  assert.deepEqual(runsOf(desks), [1, 0, 0])
  known = 'everybody'
  await ben.follow()
  await eventually(() => !isFollowed(ben), 'what everybody runs is followed')
  assert.deepEqual(runsOf(desks), [1, 1, 0])
  assert.equal(board.writes, 0, 'and nobody claims it')
})
