/**
 * What stays of those who leave (protocols/keyspace.md §5). Nobody can tell a record that a former member wrote in its
 * time from one that it dated back, so an operator lists those that stay by their hashes. What is listed is taken from
 * whoever brings it, for ever; what is not is dropped, and so all members come to hold the same again.
 */
import { setImmediate } from 'node:timers/promises'
import { z } from 'zod'
import { departureHashesMax, departurePartsMax, departureSliceMax } from '../base/limits-membership.ts'
import type { Logger } from '../base/logger.ts'
import { Collection } from '../registry/collection.ts'
import { placeOf, type SealedRecord } from '../registry/record.ts'
import { after, type RecordIndex } from '../registry/record-index.ts'
import type { Registry } from '../registry/registry.ts'
import { isUnkept, ROLES, type Role, type Roster, staysBehind } from './keyspace.ts'

const PREFIX = '/departures/'
const HASH_BYTES = 16

/** `/departures/<peer>/<part>/<operator>`: a part of one operator's list of what stays of a peer. */
export const departureSchema = z.object({
  /** The version of the `/members/` record with which the peer lost its place. */
  of: z.int().nonnegative(),
  /** What it became; null for who is no member any more. */
  to: z.enum(ROLES).nullable(),
  /** Of how many parts the list is. */
  parts: z.int().min(1).max(departurePartsMax),
  /** The first 16 bytes of the records' hashes, one after another. */
  hashes: z.base64().max(4 * Math.ceil((departureHashesMax * HASH_BYTES) / 3)),
  /** Peer id of the key that took its place over, where it was no removal [U4]. */
  successor: z.string().max(100).optional(),
})
export type Departure = z.infer<typeof departureSchema>

/** Where a peer stands at present, as far as lists are concerned. */
export interface Place {
  readonly role: Role | undefined
  /** Version of the `/members/` record that is shown; 0 without one. */
  readonly version: number
  /** Whether another key took its place over. */
  readonly isSucceeded: boolean
}

export interface DeparturesParts {
  readonly registry: Pick<Registry, 'get' | 'list' | 'put' | 'delete' | 'watch'> & {
    readonly index: RecordIndex
  }
  readonly self: string
  readonly log: Logger
}

/** The first part of a whole list, who wrote it, and when, ms. */
interface Listed extends Departure {
  readonly author: string
  readonly timeMs: number
}

interface Lists {
  readonly hashes: ReadonlySet<string>
  /** Whole lists by the peer that they are about. */
  readonly whole: ReadonlyMap<string, readonly Listed[]>
}

export class Departures {
  readonly #parts: DeparturesParts
  readonly #collection: Collection<Departure>
  #lists: Lists | undefined

  constructor(parts: DeparturesParts) {
    this.#parts = parts
    const { registry, log } = parts
    this.#collection = new Collection({ registry, prefix: PREFIX, schema: departureSchema, log })
    this.#collection.watch(() => {
      this.#lists = undefined
    })
  }

  /**
   * Whose records this node holds although they may not write them, with nobody's list that they stay: who lost something
   * by its own word, or by one whose writer stopped on the way.
   */
  async unlisted(roster: Roster): Promise<string[]> {
    const peers = new Set<string>()
    await this.#each((record) => {
      if (peers.has(record.author) || roster.role(record.author) === undefined) return
      if (isUnkept(record, roster) && staysBehind(record, roster.role(record.author)) === 'stays')
        peers.add(record.author)
    })
    return [...peers].filter((peer) => roster.isListed?.(peer) !== true).sort()
  }

  /** [K18] Whether some operator listed the record. */
  stays(hash: string): boolean {
    return this.#now().hashes.has(hash.slice(0, 2 * HASH_BYTES))
  }

  /** [K20] Whether all that stays of a peer is known here: some operator's whole list is about its present place. */
  isListed(peer: string, place: Place): boolean {
    const lists = this.#now().whole.get(peer) ?? []
    return lists.some(
      ({ of, to, successor, author }) =>
        author !== peer &&
        of >= place.version &&
        to === (place.role ?? null) &&
        (!place.isSucceeded || successor !== undefined),
    )
  }

  /** Those about whom there is a whole list. */
  peers(): readonly string[] {
    return [...this.#now().whole.keys()].sort()
  }

  /** What tells the lists about a peer from those that were there before. */
  marks(peer: string): string {
    const lists = this.#now().whole.get(peer) ?? []
    return lists
      .map(({ of, to, parts, hashes }) => `${of}/${to}/${parts}/${hashes.length}/${hashes.slice(-24)}`)
      .join(' ')
  }

  /** [U4] The key that operators named as the one that took a peer's place over; undefined where none of them did. */
  successorNamed(peer: string): string | undefined {
    return successorOf(this.#now().whole.get(peer) ?? [])
  }

  /**
   * Lists, as an operator, what stays of `peer` when it becomes what `to` says: all that this node holds of it and that
   * it may not write then. [MUST] The list is written before the record that ends its place (keyspace.md [D2]).
   *
   * @param of the version of that record. @throws NodeError what writing to the registry throws.
   */
  async write(peer: string, to: Role | undefined, of: number, successor?: string): Promise<void> {
    const hashes = await this.#collect(peer, to)
    const parts = Math.max(1, Math.ceil(hashes.length / departureHashesMax))
    for (let part = 0; part < parts; part += 1) {
      const some = hashes.slice(part * departureHashesMax, (part + 1) * departureHashesMax)
      await this.#collection.put(`${peer}/${part}/${this.#parts.self}`, {
        ...{ of, to: to ?? null, parts },
        hashes: Buffer.from(some.map((hash) => hash.slice(0, 2 * HASH_BYTES)).join(''), 'hex').toString(
          'base64',
        ),
        ...(successor === undefined ? {} : { successor }),
      })
    }
    this.#parts.log.info({ peer, records: hashes.length }, 'what stays of a member is listed')
  }

  /** Of who votes no more, certificates as well, whoever brought them: newcomers would not count its votes [D3]. */
  async #collect(peer: string, to: Role | undefined): Promise<string[]> {
    const hashes: string[] = []
    await this.#each((record) => {
      const isTruth = (to === undefined || to === 'observer') && record.key.startsWith('/truth/')
      if (isTruth || (record.author === peer && staysBehind(record, to) === 'stays')) hashes.push(record.hash)
    })
    return hashes
  }

  /** Goes through all records, a slice at a time. */
  async #each(look: (record: SealedRecord) => void): Promise<void> {
    const { index } = this.#parts.registry
    for (let from: string | undefined = ''; from !== undefined; ) {
      const records = index.first({ from, to: null }, departureSliceMax)
      for (const record of records) look(record)
      const last = records[departureSliceMax - 1]
      from = last === undefined ? undefined : after(placeOf(last))
      await setImmediate()
    }
  }

  #now(): Lists {
    this.#lists ??= listsOf(
      this.#collection.list().map(({ name, value, entry }) => ({ name, value, timeMs: entry.timeMs })),
    )
    return this.#lists
  }
}

/** What the parts that are held come to; a list counts as whole when one operator's parts of one moment are all there. Pure. */
export function listsOf(
  held: readonly { readonly name: string; readonly value: Departure; readonly timeMs?: number }[],
): Lists {
  const hashes = new Set<string>()
  const groups = new Map<string, { peer: string; author: string; timeMs: number; parts: Departure[] }>()
  for (const { name, value, timeMs = 0 } of held) {
    const bytes = Buffer.from(value.hashes, 'base64')
    for (let at = 0; at + HASH_BYTES <= bytes.length; at += HASH_BYTES) {
      hashes.add(bytes.toString('hex', at, at + HASH_BYTES))
    }
    const [peer = '', part = '', author = ''] = name.split('/')
    if (Number(part) >= value.parts) continue
    const id = `${peer} ${author} ${value.of} ${value.to} ${value.parts} ${value.successor ?? ''}`
    const group = groups.get(id) ?? { peer, author, timeMs, parts: [] }
    group.parts.push(value)
    groups.set(id, group)
  }
  const whole = new Map<string, Listed[]>()
  for (const { peer, author, timeMs, parts } of groups.values()) {
    const [first] = parts
    if (first === undefined || parts.length < first.parts) continue
    whole.set(peer, [...(whole.get(peer) ?? []), { ...first, author, timeMs }])
  }
  return { hashes, whole }
}

/**
 * [U4] Which successor counts of those that lists name: the one that most operators named, then that of the earliest
 * list, then the lowest. So neither who stole the old key nor one operator that hears of it last decides. Pure.
 */
export function successorOf(
  lists: readonly Pick<Listed, 'author' | 'timeMs' | 'successor'>[],
): string | undefined {
  const named = new Map<string, { by: Set<string>; firstMs: number }>()
  for (const { author, timeMs, successor } of lists) {
    if (successor === undefined) continue
    const known = named.get(successor) ?? { by: new Set(), firstMs: timeMs }
    known.by.add(author)
    named.set(successor, { by: known.by, firstMs: Math.min(known.firstMs, timeMs) })
  }
  const sorted = [...named].sort(([a, one], [b, other]) => {
    return other.by.size - one.by.size || one.firstMs - other.firstMs || (a < b ? -1 : 1)
  })
  return sorted[0]?.[0]
}
