/**
 * What counts when two operators take each other's place away before either has heard of it (protocols/keyspace.md §5,
 * [T1]–[T3]). Which word came first nobody can prove, so it follows from the words alone, and every node that holds the
 * same words sees the same operators, in whatever order they came. Pure.
 */
import type { SealedRecord } from '../registry/record.ts'
import type { Genesis } from './genesis.ts'
import type { MemberRecord, Word } from './standing.ts'

/** An operator's word about a member. */
export interface Claimed extends Word {
  /** Peer id of the operator. */
  readonly author: string
}

/** All words about one peer that are held, the shown one first. */
export type ClaimsAbout = (peer: string) => readonly Claimed[]

/** [T1] Whether a word takes the place of an operator away. */
export function takesOperator({ removed, role, was }: MemberRecord): boolean {
  return removed === undefined ? was === 'operator' && role !== 'operator' : role === 'operator'
}

/** Who took a peer's place as an operator away, by the words that came after the last that gave it, up to some moment. */
function takersOf(peer: string, claims: ClaimsAbout, untilMs = Infinity): ReadonlySet<string> {
  const takers = new Set<string>()
  for (const { author, value, timeMs } of claims(peer)) {
    if (!takesOperator(value) && timeMs > untilMs) continue
    if (!takesOperator(value)) break
    // Nobody contests what it said itself: who gives its place up has none.
    if (author === peer) return new Set()
    takers.add(author)
  }
  return takers
}

/**
 * [T2] The words that count, one about each peer. Of two operators that took each other's place away the one stays
 * against whom fewer operators spoke; of as many, the founder that the genesis names first, or the lower peer id. That one
 * of them was taken in again later changes nothing about what it said before.
 */
export function countedWords(
  { founders }: Pick<Genesis, 'founders'>,
  shown: readonly Claimed[],
  claims: ClaimsAbout,
): Claimed[] {
  return shown.map((word) => {
    const { peer, value } = word
    if (!takesOperator(value)) return word
    const takers = takersOf(peer, claims)
    const counts = claims(peer).find(({ author, value, timeMs }) => {
      if (!takesOperator(value) || !takers.has(author)) return true
      const others = takersOf(author, claims, timeMs)
      return !others.has(peer) || !standsBefore(founders, [peer, takers.size], [author, others.size])
    })
    if (counts !== undefined && takesOperator(counts.value)) return counts
    const { removed: _, was: __, ...kept } = value
    return { ...word, value: { ...kept, role: 'operator' } }
  })
}

/**
 * [T3] Whether a record is the answer of one whose place as an operator was taken away to the one who took it: such words
 * are kept on both sides, whatever has become of their authors, so that [T2] sees both.
 */
export function answersTaker(
  record: Pick<SealedRecord, 'key' | 'author'>,
  value: MemberRecord,
  claims: ClaimsAbout,
): boolean {
  const peer = record.key.slice('/members/'.length)
  if (peer === record.author || !takesOperator(value)) return false
  return claims(record.author).some((word) => word.author === peer && takesOperator(word.value))
}

type Contestant = readonly [peer: string, spokenAgainst: number]

function standsBefore(
  founders: Genesis['founders'],
  [a, againstA]: Contestant,
  [b, againstB]: Contestant,
): boolean {
  if (againstA !== againstB) return againstA < againstB
  const place = (peer: string) => {
    const at = founders.findIndex((founder) => founder.peer === peer)
    return at === -1 ? founders.length : at
  }
  return place(a) !== place(b) ? place(a) < place(b) : a < b
}
