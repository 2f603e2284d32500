import { compareRanks, rankOf } from '../../src/consensus/certificate.ts'
import type { Entry } from '../../src/registry/watchers.ts'
import { sealAs } from './voting.ts'

/** Ends a record: nothing is at its place any more. */
export const NOTHING = new Uint8Array()

const NONE: Entry[] = []

/** One member's records as the real registry keeps and arranges them, in memory; they outlive its crashes. */
export class VotingRegistry {
  /** What was taken in, in order; what was replaced since is there, too. */
  readonly log: Entry[] = []
  readonly #records = new Map<string, Entry[]>()
  /** Keys where somebody took something back. */
  readonly #ended = new Set<string>()

  keys(): string[] {
    return [...this.#records.keys()]
  }

  get(key: string): Entry | undefined {
    return this.claims(key)[0]
  }

  list(prefix: string): Entry[] {
    return this.keys()
      .filter((key) => key.startsWith(prefix))
      .flatMap((key) => this.get(key) ?? [])
  }

  claims(key: string): Entry[] {
    const all = this.#records.get(key) ?? NONE
    return this.#ended.has(key) ? all.filter(({ value }) => value.length > 0) : all
  }

  envelope(key: string, author: string): Uint8Array | undefined {
    const entry = this.#records.get(key)?.find((claim) => claim.author === author)
    return entry && sealAs(author, key, entry.value)
  }

  /** Whether the record is still what is at its place. */
  holds({ key, author, version, value }: Entry): boolean {
    const known = this.#records.get(key)?.find((claim) => claim.author === author)
    return known?.version === version && known.value === value
  }

  /** [M1] Whether nothing changes when the record is taken in; of two of one version everybody keeps the same. */
  knows({ key, author, version, value }: Entry): boolean {
    const known = this.#records.get(key)?.find((claim) => claim.author === author)
    if (known === undefined || known.version < version) return false
    return known.version > version || Buffer.compare(known.value, value) >= 0
  }

  /** The next record of `author`. */
  next(key: string, author: string, value: Uint8Array, timeMs: number, version?: number): Entry {
    const claims = this.#records.get(key) ?? []
    const own = claims.find((claim) => claim.author === author)
    return {
      ...{ key, value, author, timeMs, sinceMs: own?.sinceMs ?? timeMs },
      version: version ?? Math.max(0, ...claims.map((claim) => claim.version)) + 1,
      contested: false,
      revision: 0,
    }
  }

  keep(entry: Entry): void {
    const others = (this.#records.get(entry.key) ?? []).filter(({ author }) => author !== entry.author)
    this.#records.set(entry.key, [...others, entry].sort(arrange))
    this.log.push(entry)
    if (entry.value.length === 0) this.#ended.add(entry.key)
  }
}

/** Of a round's records the earliest first, of truths the last one, else the latest version. */
function arrange(a: Entry, b: Entry): number {
  if (a.key.startsWith('/rounds/')) return a.sinceMs - b.sinceMs || (a.author < b.author ? -1 : 1)
  const truths = a.key.startsWith('/truth/') ? compare(b.value, a.value) : 0
  return truths || b.version - a.version || (a.author > b.author ? -1 : 1)
}

const ranks = new WeakMap<Uint8Array, ReturnType<typeof rankOf>>()

/** The order of certificates; each is read once. */
function compare(a: Uint8Array, b: Uint8Array): number {
  const [left, right] = [a, b].map((value) => {
    if (!ranks.has(value)) ranks.set(value, rankOf(value))
    return ranks.get(value)
  })
  if (left === undefined || right === undefined)
    return Number(left !== undefined) - Number(right !== undefined)
  return compareRanks(left, right)
}
