import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  decideFollow,
  type FollowQuestion,
  lineFor,
  nextStanding,
  type Standing,
  seatOf,
} from '../../../src/datasets/following.ts'
import { reportOf, stateOf } from '../../../src/datasets/replicas.ts'

const question: FollowQuestion = {
  policy: 'shared',
  isOwner: false,
  rule: 'all',
  choice: undefined,
  wanted: undefined,
  copies: false,
  isBeyond: false,
}

test('what is copied follows from the policy, then from what was chosen, then from the rule', () => {
  const cases: [Partial<FollowQuestion>, boolean, string][] = [
    [{}, true, 'follows all'],
    [{ rule: 'chosen' }, false, 'not chosen'],
    [{ rule: 'none' }, false, 'follows none'],
    [{ rule: 'none', choice: 'follow' }, true, 'chosen'],
    [{ choice: 'unfollow' }, false, 'not wanted here'],
    [{ policy: 'local-only', rule: 'none' }, true, 'local-only'],
    [{ policy: 'compute-only', choice: 'follow' }, false, 'compute-only'],
    [{ policy: 'compute-only', isOwner: true }, true, 'compute-only, and at home here'],
    [{ wanted: 3 }, false, 'others keep the 3 wanted replicas'],
    [{ wanted: 3, copies: true }, true, 'one of 3 wanted replicas'],
    [{ wanted: 1, copies: true }, true, 'one of 1 wanted replica'],
    [{ wanted: 3, choice: 'follow' }, true, 'chosen'],
    [{ wanted: 3, isOwner: true }, true, 'founded here'],
    [{ isBeyond: true }, false, 'its founder has more than are followed unless chosen'],
    [
      { isBeyond: true, wanted: 3, copies: true },
      false,
      'its founder has more than are followed unless chosen',
    ],
    [{ isBeyond: true, choice: 'follow' }, true, 'chosen'],
    [{ wanted: 3, copies: true, rule: 'chosen' }, false, 'not chosen'],
  ]
  for (const [change, followed, why] of cases) {
    assert.deepEqual(decideFollow({ ...question, ...change }), { followed, why }, JSON.stringify(change))
  }
})

const peers = Array.from({ length: 20 }, (_, index) => `peer-${index}`)

test('everybody computes one line, and one that leaves moves nobody else', () => {
  const line = lineFor('a', peers)
  assert.deepEqual(lineFor('a', [...peers].reverse()), line)
  assert.notDeepEqual(lineFor('b', peers), line)
  const left = line[3] as string
  assert.deepEqual(
    lineFor(
      'a',
      peers.filter((peer) => peer !== left),
    ),
    line.filter((peer) => peer !== left),
  )
})

test('many datasets spread over all members', () => {
  const firsts = new Set(Array.from({ length: 200 }, (_, index) => lineFor(`dataset ${index}`, peers)[0]))
  assert.ok(firsts.size >= 18, `only ${firsts.size} of 20 members are ever first`)
})

test('the first in line are picked whoever is there, and as many stand in as are away', () => {
  const line = lineFor('a', peers)
  const seats = (live: readonly string[]) => line.map((peer) => seatOf(line, peer, 3, new Set(live)))
  assert.deepEqual(
    seats(line).filter((seat) => seat !== 'none'),
    ['picked', 'picked', 'picked'],
  )
  const without = line.filter((peer) => peer !== line[1])
  assert.deepEqual(seats(without).slice(0, 5), ['picked', 'picked', 'picked', 'stand-in', 'none'])
})

test('a stand-in begins and ends only after a while of the same news; who is picked begins at once', () => {
  const steps: [number, 'picked' | 'stand-in' | 'none'][] = [
    [0, 'none'],
    [10, 'stand-in'],
    [105, 'stand-in'],
    [106, 'none'],
    [107, 'stand-in'],
    [206, 'stand-in'],
    [207, 'stand-in'],
    [250, 'none'],
    [349, 'none'],
    [350, 'none'],
    [351, 'picked'],
  ]
  let standing: Standing | undefined
  const copies: number[] = []
  for (const [nowMs, seat] of steps) {
    standing = nextStanding(standing, seat, nowMs, 100)
    if (standing.copies) copies.push(nowMs)
  }
  assert.deepEqual(copies, [207, 250, 349, 351])
})

/** A small generator of numbers, the same ones for one seed (mulberry32). */
function generator(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}

test('whoever falls silent or flaps, the wanted number copies again in bounded time, and few ever copy', () => {
  const seed = Number(process.env.SEED ?? Date.now() % 1_000_000)
  const random = generator(seed)
  const [wanted, patienceMs, lookMs, minute] = [3, 300_000, 30_000, 60_000]
  for (let world = 0; world < 20; world += 1) {
    const line = lineFor(`dataset ${seed} ${world}`, peers)
    const standings = new Map<string, Standing>()
    const everCopied = new Set<string>()
    // Two of those picked come and go every few looks; one is gone for good from the tenth minute on.
    const [flapper, restless, gone] = [line[0], line[2], line[1]]
    const offline = new Set<string>()
    for (let nowMs = 0; nowMs <= 60 * minute; nowMs += lookMs) {
      for (const peer of [flapper, restless] as string[]) {
        if (random() < 0.4) offline.has(peer) ? offline.delete(peer) : offline.add(peer)
      }
      // Nobody flaps for as long as patience lasts: twice in a row is enough to be seen again.
      if (nowMs % (4 * lookMs) === 0) for (const peer of [flapper, restless] as string[]) offline.delete(peer)
      if (nowMs >= 10 * minute) offline.add(gone as string)
      const live = new Set(line.filter((peer) => !offline.has(peer)))
      for (const peer of live) {
        const seat = seatOf(line, peer, wanted, live)
        const standing = nextStanding(standings.get(peer), seat, nowMs, patienceMs)
        standings.set(peer, standing)
        if (standing.copies) everCopied.add(peer)
      }
      const copying = [...live].filter((peer) => standings.get(peer)?.copies).length
      const settled = nowMs >= 10 * minute + patienceMs + lookMs
      const flapping = [flapper, restless].filter((peer) => offline.has(peer as string)).length
      if (settled)
        assert.ok(copying + flapping >= wanted, `seed ${seed}, world ${world}, ${nowMs} ms: ${copying} copy`)
    }
    assert.ok(
      everCopied.size <= wanted + 1,
      `seed ${seed}, world ${world}: ${everCopied.size} members copied`,
    )
    assert.ok(
      everCopied.has(line[3] as string),
      `seed ${seed}, world ${world}: the next in line never took over`,
    )
  }
})

test('a copy is complete when it holds all that was announced, and told only when it holds any of it', () => {
  const announced = new Map([
    ['a-x', '1'],
    ['b-y', '2'],
  ])
  const report = (held: [string, string][]) => reportOf('id', announced, new Map(held))
  assert.deepEqual(report([]), undefined)
  assert.deepEqual(report([['a-x', '1']]), { dataset: 'id', state: stateOf([['a-x', '1']]), complete: false })
  const all = report([
    ['b-y', '2'],
    ['a-x', '1'],
    ['ground-truth', '9'],
  ])
  assert.deepEqual(all, { dataset: 'id', state: stateOf(announced), complete: true })
  assert.equal(reportOf('id', new Map(), new Map()), undefined)
  // Where branches are, not in which order they are named.
  assert.equal(stateOf([...announced].reverse()), stateOf(announced))
})
