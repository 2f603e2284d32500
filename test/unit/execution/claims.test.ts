import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import type { ErrorCode } from '../../../src/base/errors.ts'
import { DAY_MS, HOUR_MS } from '../../../src/base/limits.ts'
import type { EndState, Run } from '../../../src/execution/runs/run.ts'
import { advance, endRun, finishStep, newRun } from '../../../src/execution/runs/run-machine.ts'
import {
  type Claim,
  claimLifeMs,
  claimName,
  claimOf,
  claimSchema,
  isSettled,
  isVacated,
  parseClaimName,
} from '../../../src/execution/schedules/claim.ts'
import {
  counting,
  decide,
  type HeardClaim,
  rankFor,
  type Situation,
  sinceFor,
} from '../../../src/execution/schedules/claims.ts'
import { runIdentity } from '../../../src/execution/schedules/run-identity.ts'

const SLOT = { pipeline: 'nightly', slot: 1_795_230_000_000 }
const TAKE_OVER = 60_000
const DUE = SLOT.slot
const [first, second, third] = rankFor(SLOT, ['amy', 'ben', 'cat']) as [string, string, string]

const situation = (over: Partial<Situation>): Situation => ({
  slot: SLOT,
  runners: 1,
  sinceMs: DUE,
  takeOverMs: TAKE_OVER,
  live: [first, second, third],
  claims: new Map(),
  self: first,
  begun: false,
  nowMs: DUE,
  ...over,
})
const heard = (claims: Record<string, HeardClaim>) => new Map(Object.entries(claims))
const at = (heardMs: number, state: Claim['state'] = 'claimed', end?: Claim['end']): HeardClaim => ({
  state,
  heardMs,
  ...(end === undefined ? {} : { end }),
})

test('members are ranked alike everywhere, differently for each slot, and a leaver moves nobody else', () => {
  assert.deepEqual(rankFor(SLOT, ['cat', 'ben', 'amy', 'ben']), [first, second, third])
  const without = rankFor(SLOT, ['amy', 'ben', 'cat', 'dan']).filter((peer) => peer !== 'dan')
  assert.deepEqual(without, [first, second, third])
  const firsts = new Map<string, number>()
  for (let hour = 0; hour < 600; hour += 1) {
    const [chosen] = rankFor({ ...SLOT, slot: hour * HOUR_MS }, ['amy', 'ben', 'cat'])
    firsts.set(chosen as string, (firsts.get(chosen as string) ?? 0) + 1)
  }
  for (const [peer, count] of firsts)
    assert(count > 150 && count < 250, `${peer} is first ${count} times of 600`)
})

test('the first in rank runs the slot when it is due; the others wait their turns', () => {
  assert.deepEqual(decide(situation({ nowMs: DUE - 1 })), { act: 'wait', untilMs: DUE, why: 'it is not due' })
  assert.equal(decide(situation({})).act, 'run')
  const next = decide(situation({ self: second }))
  assert.deepEqual([next.act, 'untilMs' in next && next.untilMs], ['wait', DUE + TAKE_OVER])
  const last = decide(situation({ self: third }))
  assert.deepEqual([last.act, 'untilMs' in last && last.untilMs], ['wait', DUE + 2 * TAKE_OVER])
  assert.equal(decide(situation({ self: second, nowMs: DUE + TAKE_OVER })).act, 'run', 'the first was silent')
  assert.equal(
    decide(situation({ self: second, live: [second, third] })).act,
    'run',
    'the first is not there',
  )
  const two = situation({ runners: 2, self: second })
  assert.equal(decide(two).act, 'run', 'two run it, and this is the second')
  assert.equal(decide({ ...two, self: third }).act, 'wait')
})

test('a claimant that is silent, away or failed for reasons of its own is replaced by the next in rank', () => {
  const claims = heard({ [first]: at(DUE + 100) })
  const waiting = decide(situation({ self: second, claims, nowMs: DUE + 200 }))
  assert.deepEqual(waiting, {
    act: 'wait',
    untilMs: DUE + 100 + TAKE_OVER,
    why: 'others are at work on it',
  })
  const late = DUE + 100 + TAKE_OVER
  assert.equal(decide(situation({ self: second, claims, nowMs: late })).act, 'run', 'its renewals stopped')
  const after = decide(situation({ self: third, claims, nowMs: late }))
  assert.deepEqual([after.act, 'untilMs' in after && after.untilMs], ['wait', late + TAKE_OVER])
  const away = situation({ self: second, claims, live: [second, third], nowMs: DUE + 200 })
  assert.equal(decide(away).act, 'run', 'its presence is gone')
  for (const end of ['rejected', 'errored', 'lost'] as const) {
    const vacated = heard({ [first]: at(DUE + 100, 'failed', end) })
    assert.equal(decide(situation({ self: second, claims: vacated, nowMs: DUE + 100 })).act, 'run', end)
    assert.equal(decide(situation({ self: first, claims: vacated, nowMs: DUE + 100 })).act, 'nothing', end)
  }
  for (const end of ['failed', 'oom-killed', 'timed-out', 'cancelled', 'skipped'] as const) {
    const ended = heard({ [first]: at(DUE + 100, 'failed', end) })
    assert.equal(decide(situation({ self: second, claims: ended, nowMs: DUE + HOUR_MS })).act, 'nothing', end)
  }
})

test('a node that comes back to its own claim begins what it claimed, unless others do it by now', () => {
  const own = heard({ [first]: at(DUE) })
  assert.equal(decide(situation({ claims: own, nowMs: DUE + 5 })).act, 'run')
  const taken = heard({ [first]: at(DUE), [second]: at(DUE + TAKE_OVER, 'running') })
  assert.equal(decide(situation({ claims: taken, nowMs: DUE + TAKE_OVER + 5 })).act, 'withdraw')
  assert.deepEqual(decide(situation({ claims: taken, begun: true, nowMs: DUE + TAKE_OVER + 5 })), {
    act: 'wait',
    why: 'this node is at work on it',
  })
})

test('a slot that is looked at late is left for a while to those who may have run it', () => {
  assert.equal(sinceFor({ dueMs: DUE, lookedMs: DUE + TAKE_OVER, takeOverMs: TAKE_OVER }), DUE)
  const late = sinceFor({ dueMs: DUE, lookedMs: DUE + HOUR_MS, takeOverMs: TAKE_OVER })
  assert.equal(late, DUE + HOUR_MS + TAKE_OVER)
})

test('in every situation of three members the slot is neither run too often nor given up', () => {
  const now = DUE + 3 * HOUR_MS
  const said: (HeardClaim | undefined)[] = [
    undefined,
    at(now - 1, 'claimed'),
    at(now - 1, 'running'),
    at(now - TAKE_OVER, 'running'),
    at(now - 1, 'done'),
    at(now - 1, 'failed', 'failed'),
    at(now - 1, 'failed', 'errored'),
  ]
  const others = [second, third]
  let looked = 0
  for (const own of said)
    for (const a of said)
      for (const b of said)
        for (const live of [[], [second], [third], others])
          for (const runners of [1, 2, 3])
            for (const begun of [false, true]) {
              const claims = new Map<string, HeardClaim>()
              for (const [peer, claim] of [
                [first, own] as const,
                [second, a] as const,
                [third, b] as const,
              ]) {
                if (claim !== undefined) claims.set(peer, claim)
              }
              const given = situation({ runners, claims, live: [first, ...live], begun, nowMs: now })
              const decision = decide(given)
              const name = JSON.stringify({ own, a, b, live, runners, begun, decision })
              looked += 1
              const theirs = [...claims].filter(([peer]) => peer !== first)
              const settled = theirs.filter(([, claim]) => isSettled(claim)).length
              const atWork = theirs.filter(([peer, claim]) => {
                const open = !isSettled(claim) && !isVacated(claim)
                return open && live.includes(peer) && now - claim.heardMs < TAKE_OVER
              }).length
              const over = own !== undefined && (isSettled(own) || isVacated(own))
              if (decision.act === 'run') {
                assert(settled + atWork < runners, `enough do it: ${name}`)
                assert(!over && !begun, `it did it: ${name}`)
              }
              if (over) {
                assert.equal(decision.act, 'nothing', name)
                continue
              }
              if (settled < runners && own === undefined && !begun) {
                assert.notEqual(decision.act, 'nothing', `it is given up: ${name}`)
                assert(
                  decision.act === 'run' || Number.isFinite('untilMs' in decision && decision.untilMs),
                  name,
                )
              }
              // Left alone, whoever waits does it in the end, or has seen it done by enough others.
              let present = now
              for (let wait = decide(given); wait.act === 'wait' && wait.untilMs !== undefined; ) {
                assert(wait.untilMs > present, name)
                present = wait.untilMs
                wait = decide({ ...given, nowMs: present })
                if (wait.act === 'nothing') assert(settled >= runners, name)
              }
              assert(present - now <= 4 * TAKE_OVER, name)
            }
  assert.equal(looked, 7 ** 3 * 4 * 3 * 2)
})

test('of runs that are done twice the first in rank counts, in whatever order they are heard of', () => {
  const done = { state: 'done' as const, identity: 'one' }
  const claims: [string, Pick<Claim, 'state' | 'identity'>][] = [
    [third, done],
    [second, done],
    [first, { state: 'failed', identity: 'one' }],
  ]
  const of = (runners: number, given: typeof claims) =>
    counting(SLOT, { runners, identity: 'one', claims: new Map(given) })
  assert.deepEqual(of(1, claims), [second])
  assert.deepEqual(of(1, claims.toReversed()), [second])
  const only = of(
    1,
    claims.filter(([peer]) => peer === second),
  )
  assert.deepEqual(of(1, claims), only, 'the doubled one changed nothing')
  assert.deepEqual(of(2, claims), [second, third])
  const other = [...claims, [first, { state: 'done', identity: 'two' }]] as typeof claims
  assert.deepEqual(of(1, other), [second], 'a run of another plan is another thing')
})

test('an identity follows from what is run, for when and for whom, and from nothing else', () => {
  const step = {
    ...{ name: 'measure', tool: 'shell', cmd: ['a'], env: { B: '2', A: '1' }, docker_socket: false },
    ...{ input_dataset: null, output_dataset: 'results' },
  }
  const one = { pipeline: 'p', plan: [step], slot: 5, scope: 'once' as const }
  const id = runIdentity(one)
  // Independently: printf '["p",[{…members in order…}],5,"once"]' | sha256sum
  const text =
    '["p",[{"cmd":["a"],"docker_socket":false,"env":{"A":"1","B":"2"},"input_dataset":null,"name":"measure","output_dataset":"results","tool":"shell"}],5,"once"]'
  assert.equal(id, sha256(text))
  assert.equal(
    runIdentity({ ...one, plan: [Object.fromEntries(Object.entries(step).reverse()) as typeof step] }),
    id,
  )
  for (const other of [
    { pipeline: 'q' },
    { slot: 6 },
    { scope: { k: 1 } },
    { plan: [{ ...step, tool: 'b' }] },
  ]) {
    assert.notEqual(runIdentity({ ...one, ...other }), id)
  }
})

test('a claim says what became of the run, and whose fault it was', () => {
  const trigger = { kind: 'schedule' as const, slot: SLOT.slot }
  const plan = [
    {
      ...{ name: 'measure', tool: 'shell', cmd: null, env: null, docker_socket: false },
      ...{ input_dataset: null, output_dataset: 'results' },
    },
  ]
  const queued = newRun({ id: 'run', pipeline: 'nightly', plan, trigger, timeMs: DUE })
  const pulling = advance(queued, 'pulling', DUE + 1)
  const running = advance(advance(pulling, 'staging', DUE + 2), 'running', DUE + 3)
  const said = (run: Run) => {
    const { state, end } = claimOf(run, 'one', DUE + 9)
    return end === undefined ? state : `${state}: ${end}`
  }
  const ended = (run: Run, state: EndState, code?: ErrorCode) =>
    said(endRun(run, state, { timeMs: DUE + 8, ...(code === undefined ? {} : { code }) }))
  assert.deepEqual([queued, pulling, running].map(said), ['claimed', 'running', 'running'])
  assert.equal(
    said(
      endRun(finishStep(advance(running, 'committing', DUE + 4), DUE + 5), 'succeeded', { timeMs: DUE + 6 }),
    ),
    'done',
  )
  for (const state of ['failed', 'oom-killed', 'timed-out', 'cancelled', 'errored', 'lost'] as const) {
    assert.equal(ended(running, state), `failed: ${state}`)
  }
  assert.equal(ended(queued, 'rejected', 'QUEUE_FULL'), 'failed: rejected')
  assert.equal(
    ended(pulling, 'failed', 'IMAGE_NOT_FOUND'),
    'failed: errored',
    'another member may have the image',
  )
  assert.equal(ended(queued, 'timed-out', 'TIMED_OUT'), 'failed: errored', 'another member may have room')
})

test('a claim has a name, a form and a life', () => {
  assert.equal(claimName(SLOT, 'amy'), 'nightly/1795230000000/amy')
  assert.deepEqual(parseClaimName('nightly/1795230000000/amy'), { ...SLOT, peer: 'amy' })
  for (const wrong of ['nightly/01/amy', 'nightly/1.5/amy', 'nightly/x/amy', 'nightly/1', 'a/1/b/c']) {
    assert.equal(parseClaimName(wrong), undefined, wrong)
  }
  assert.equal(claimSchema.safeParse({ state: 'failed', end: 'bored', timeMs: 1 }).success, false)
  const life = (cron: string) => claimLifeMs({ pipeline: 'p', cron }, SLOT.slot)
  assert.equal(life('*/5 * * * * *'), HOUR_MS)
  assert.equal(life('* * * * *'), 200 * 60_000)
  assert.equal(life('0 3 * * *'), 7 * DAY_MS)
})

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}
