import assert from 'node:assert/strict'
import { isQuorum } from '../../src/consensus/quorum.ts'
import { closingSchema, openingSchema, parseValue } from '../../src/consensus/records.ts'
import type { SignedWord, World } from './voting-world.ts'

/** What must hold, whatever happened (protocols/voting.md §9). */

/** The results for which a quorum signs as soon as all liars do, whether or not they have shown it to anybody. */
export function possible(world: World, kind: SignedWord['kind']): SignedWord[] {
  const groups = new Map<string, { word: SignedWord; by: Set<string> }>()
  for (const word of world.signed) {
    if (word.kind !== kind || world.liars.has(word.peer)) continue
    const name = `${word.round} ${word.closing} ${word.commit} ${word.view}`
    const group = groups.get(name) ?? { word, by: new Set(world.liars) }
    group.by.add(word.peer)
    groups.set(name, group)
  }
  const found = [...groups.values()].filter(({ by }) => isQuorum(by.size, world.members.length))
  return found.map(({ word }) => word)
}

/** Every result of each height that somebody could have certified, now or ever, were a quorum of that kind enough. */
export function possibleTruths(world: World, kind: SignedWord['kind']): Map<number, Set<string>> {
  const heights = new Map<number, Set<string>>()
  const about = heightsOf(world)
  for (const { round, closing, commit } of possible(world, kind)) {
    const height = about.get(closing)
    assert.ok(height !== undefined, `nobody knows what ${round} was about`)
    heights.set(height, (heights.get(height) ?? new Set<string>()).add(`${round} ${closing} ${commit}`))
  }
  return heights
}

/** One result of each height, nobody's lie in it, and truths that only ever go up. */
export function assertSafe(world: World, allowed: (path: string) => string | undefined): void {
  for (const [height, results] of possibleTruths(world, 'confirmation')) {
    assert.equal(results.size, 1, `height ${height} can be certified twice: ${[...results].join(' | ')}`)
  }
  for (const { round, commit } of possible(world, 'confirmation')) {
    for (const { path, oid } of world.commits.get(commit) ?? []) {
      assert.equal(oid, allowed(path), `round ${round} may be certified with a lie in ${path}`)
    }
  }
  for (const { peer, truths } of world.honest) {
    for (const [i, { height }] of truths.entries()) {
      const last = truths[i - 1]?.height ?? 0
      assert.ok(height > last, `the truth of ${peer} went from height ${last} to ${height}`)
    }
  }
}

/** Whoever can hear each other holds one truth. */
export function assertAgreed(world: World): void {
  const held = new Set(world.honest.map((node) => JSON.stringify(node.certified()?.commit)))
  assert.equal(held.size, 1, 'honest members hold different truths')
}

export function heightOfAll(world: World): number {
  return Math.min(...world.honest.map((node) => node.certified()?.height ?? 0))
}

/** Rounds of which an honest member knows an opening that it took part in. */
export function countRounds(world: World): number {
  const rounds = new Set<string>()
  for (const node of world.honest) {
    for (const id of node.known()) {
      const status = node.status(id)
      if (status !== undefined && status.refusal === undefined) rounds.add(`${id.step}/${id.slot}`)
    }
  }
  return rounds.size
}

/** The height that each closing which was ever written is about, by its hash. */
function heightsOf({ written }: World): Map<string, number> {
  const openings = new Map<string, number>()
  const heights = new Map<string, number>()
  for (const { key, value } of written) {
    const opening = key.endsWith('/opening') ? parseValue(openingSchema, value) : undefined
    if (opening !== undefined) openings.set(opening.hash, opening.value.height)
  }
  for (const { key, value } of written) {
    const closing = key.endsWith('/closing') ? parseValue(closingSchema, value) : undefined
    const height = openings.get(closing?.value.opening ?? '')
    if (closing !== undefined && height !== undefined) heights.set(closing.hash, height)
  }
  return heights
}
