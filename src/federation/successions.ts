/**
 * When a node changes its key (protocols/keyspace.md §6): the old key says which key follows it, the new one says so as
 * well, and from then on the new one stands where the old one stood, with its name, its role and its time.
 */
import { decode, encode } from '@ipld/dag-cbor'
import { z } from 'zod'
import { recordBytesMax } from '../base/limits.ts'
import { open, seal } from '../identity/envelope.ts'
import type { Identity } from '../identity/node-key.ts'
import { decodeJson, encodeJson } from '../registry/collection.ts'
import type { SealedRecord } from '../registry/record.ts'
import type { Genesis } from './genesis.ts'
import type { Proof } from './policy.ts'
import type { FormerMember, Standing, Word } from './standing.ts'

export const SUCCESSIONS = '/successions/'

const peerSchema = z.string().min(1).max(100)

/** `/successions/<old>`: the word of the old key, with that of the new one in it. */
export const successionSchema = z.object({
  successor: peerSchema,
  /** Envelope of the new key (envelope.md, kind `succession`), base64. */
  proof: z.base64().max(recordBytesMax),
})

/** What the new key signs: that it follows this very key in this very federation. */
const proofSchema = z.strictObject({
  federation: z.string().max(100),
  old: peerSchema,
  successor: peerSchema,
})

/** The value with which `old` is followed by the key of `successor`. */
export function successionOf(federation: string, old: string, successor: Identity): Uint8Array {
  const payload = encode({ federation, old, successor: successor.peerId })
  const proof = Buffer.from(seal('succession', payload, successor)).toString('base64')
  return encodeJson({ successor: successor.peerId, proof })
}

/** [U2] Why a record of `/successions/` does not hold, or undefined when it does. */
export async function refuseSuccession(
  record: Pick<SealedRecord, 'federation' | 'author' | 'value'>,
): Promise<string | undefined> {
  const { federation, author, value } = record
  const parsed = successionSchema.safeParse(value === null ? undefined : decodeJson(value))
  if (!parsed.success) return 'It is no succession'
  const { successor, proof } = parsed.data
  if (successor === author) return 'A key does not follow itself'
  const opened = await open('succession', Buffer.from(proof, 'base64'))
  const said = proofSchema.safeParse(decode(opened.payload))
  const holds =
    said.success &&
    opened.author === successor &&
    said.data.successor === successor &&
    said.data.old === author &&
    said.data.federation === federation
  return holds ? undefined : 'The new key has not said that it follows this one'
}

/**
 * One record to a key, and the first that is accepted is the last: nothing is compared.
 *
 * @param named which key operators say follows a peer's [U4].
 */
export function successionProof(named: (peer: string) => string | undefined): Proof {
  const refuse = async (record: SealedRecord) => {
    const refusal = await refuseSuccession(record)
    if (refusal !== undefined || record.value === null) return refusal
    const { successor } = successionSchema.parse(decodeJson(record.value))
    return (named(record.author) ?? successor) === successor ? undefined : 'Operators name another successor'
  }
  return { refuse, compare: () => 0 }
}

/** Which key follows which, by the old one's peer id. */
export type Successions = ReadonlyMap<string, string>

const ENDS = new WeakMap<Successions, Map<string, string>>()

/**
 * The key that stands for `peer` now; `peer` itself without a succession. [U3] However long a chain is, and whether it
 * ends or bites itself, all keys of it come to one, so that no succession makes two members of one. Pure.
 */
export function presentOf(peer: string, successions: Successions): string {
  if (!successions.has(peer)) return peer
  const ends = ENDS.get(successions) ?? new Map<string, string>()
  ENDS.set(successions, ends)
  const walked = new Set<string>()
  let now = peer
  for (;;) {
    const next = successions.get(now)
    const end = next === undefined ? now : walked.has(now) ? lowestOf(now, successions) : ends.get(now)
    if (next === undefined || end !== undefined) {
      for (const key of walked) ends.set(key, end ?? now)
      return end ?? now
    }
    walked.add(now)
    now = next
  }
}

/** The lowest of the keys that follow each other in the circle of `first`. */
function lowestOf(first: string, successions: Successions): string {
  let lowest = first
  for (let key = successions.get(first) ?? first; key !== first; key = successions.get(key) ?? first) {
    if (key < lowest) lowest = key
  }
  return lowest
}

/**
 * Founders and words of operators as they are about the keys of now [U3]. Of several words on one node the one that was
 * written last counts: an operator may have removed the old key before it heard of the new one. Pure.
 */
export function succeeded(
  genesis: Pick<Genesis, 'founders' | 'createdMs'>,
  words: readonly Word[],
  successions: Successions,
): { founders: Genesis['founders']; words: Word[] } {
  if (successions.size === 0) return { founders: genesis.founders, words: [...words] }
  const now = (peer: string) => presentOf(peer, successions)
  const founders = genesis.founders.map((founder) => ({ ...founder, peer: now(founder.peer) }))
  const latest = new Map<string, Word>()
  const firsts = new Map<string, number>()
  for (const word of words) {
    const peer = now(word.peer)
    const [known, first] = [latest.get(peer), firsts.get(peer) ?? word.sinceMs]
    firsts.set(peer, Math.min(first, word.sinceMs))
    if (known === undefined || isLater(word, known)) latest.set(peer, word)
  }
  const sorted = [...latest].map(([peer, word]) => ({ ...word, peer, sinceMs: firsts.get(peer) as number }))
  return { founders, words: sorted.sort((a, b) => (a.peer < b.peer ? -1 : 1)) }
}

function isLater(a: Word, b: Word): boolean {
  return a.timeMs !== b.timeMs ? a.timeMs > b.timeMs : a.peer > b.peer
}

/** The old keys are former members: whoever holds one gets nowhere with it [U5]. Pure. */
export function withFormerKeys(standing: Standing, successions: Successions): Standing {
  if (successions.size === 0) return standing
  const former = new Map<string, FormerMember>(standing.former)
  for (const old of successions.keys()) {
    const successor = presentOf(old, successions)
    const now = standing.members.get(successor) ?? standing.former.get(successor)
    if (now === undefined || successor === old) continue
    const { name, role } = now
    former.set(old, {
      peer: old,
      name,
      role,
      reason: `its key was replaced by ${successor}`,
      endedMs: 0,
      successor,
    })
  }
  return { ...standing, former }
}
