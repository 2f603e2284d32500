import assert from 'node:assert/strict'
import { test } from 'node:test'
import { counting } from '../../../src/execution/schedules/claims.ts'
import { type MemberPlan, runWorld, type WorldPlan } from '../../support/claims-world.ts'

const DUE = 1_795_230_000_000
const TAKE_OVER = 15_000
const FAULTS_UNTIL = DUE + 120_000
/** After the last fault, every member has time to fall silent, be replaced and run. */
const UNTIL = FAULTS_UNTIL + 300_000

/** Mulberry32: small, and the same on every machine. */
function randomOf(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
  }
}

function worldOf(seed: number, faults: boolean): WorldPlan {
  const random = randomOf(seed)
  const between = (least: number, most: number) => least + Math.floor(random() * (most - least + 1))
  const count = between(1, 6)
  const members = Array.from({ length: count }, (_, index): MemberPlan => {
    const off: [number, number][] = []
    if (faults) {
      // Some come late, some crash, some for good; the first member always lives.
      if (index > 0 && random() < 0.25) off.push([0, between(DUE - 5_000, FAULTS_UNTIL)])
      for (let crashes = index === 0 ? 0 : between(0, 2); crashes > 0; crashes -= 1) {
        const from = between(DUE - 5_000, FAULTS_UNTIL)
        off.push([from, random() < 0.3 ? Number.POSITIVE_INFINITY : from + between(500, 60_000)])
      }
    }
    return {
      peer: `member-${index}-${seed}`,
      skewMs: between(-1_000, 1_000),
      off,
      runMs: between(500, 40_000),
      broken: faults && index > 0 && random() < 0.15,
    }
  })
  const cuts: [number, number, number][] = []
  for (let cut = faults ? between(0, 3) : 0; cut > 0; cut -= 1) {
    const from = between(DUE - 20_000, FAULTS_UNTIL - 1_000)
    cuts.push([from, Math.min(FAULTS_UNTIL, from + between(1_000, 60_000)), between(1, count)])
  }
  const slot = { pipeline: 'nightly', slot: DUE }
  const runners = between(1, 3)
  return {
    slot,
    runners,
    takeOverMs: TAKE_OVER,
    members,
    cuts,
    delayMs: () => between(0, 2_000),
    untilMs: UNTIL,
  }
}

test('when nobody fails and clocks are within bounds, exactly so many members run a slot, each once', () => {
  for (let seed = 1; seed <= 150; seed += 1) {
    const world = worldOf(seed, false)
    const { begun, done } = runWorld(world)
    const ran = [...begun.values()].filter((count) => count > 0)
    const expected = Math.min(world.runners, world.members.length)
    assert.equal(ran.length, expected, `seed ${seed}: ${ran.length} of ${world.members.length} ran it`)
    assert(
      ran.every((count) => count === 1),
      `seed ${seed}: a member ran it twice`,
    )
    assert.deepEqual([...done], [...begun], `seed ${seed}`)
  }
})

test('through cuts, crashes, failures and late joins, at least so many living members run it, and all agree which count', () => {
  let doubled = 0
  for (let seed = 1; seed <= 250; seed += 1) {
    const world = worldOf(seed, true)
    const { done, begun, known } = runWorld(world)
    // Whoever is there from some time on until the end, in working order.
    const able = world.members.filter(({ off, broken }) => !broken && off.every(([, to]) => to < UNTIL))
    const ran = [...done].filter(([, count]) => count > 0).map(([peer]) => peer)
    const expected = Math.min(world.runners, able.length)
    assert(ran.length >= expected, `seed ${seed}: ${ran.length} ran it, ${expected} were to`)
    assert(ran.length > 0, `seed ${seed}: nobody ran it, and the first member lived`)
    assert(
      [...begun.values()].every((count) => count <= 1),
      `seed ${seed}: a member began it twice`,
    )
    if (ran.length > world.runners) doubled += 1
    const living = known.filter(([peer]) => able.some((member) => member.peer === peer))
    const views = living.map(([, claims]) => {
      const named = new Map([...claims].map(([peer, claim]) => [peer, { ...claim, identity: 'one' }]))
      return counting(world.slot, { runners: world.runners, identity: 'one', claims: named }).join()
    })
    assert.equal(new Set(views).size, 1, `seed ${seed}: ${views.join(' | ')} count`)
  }
  assert(doubled > 0, 'the faults were too mild to double any run')
})
