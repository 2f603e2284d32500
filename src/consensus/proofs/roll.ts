/**
 * Who voted on a dataset at a moment of the past, as sealed records say it (protocols/verification.md §4). A record counts
 * when its author was entitled to write it when it says that it was written, by the records before it; the genesis says
 * who the first operators are. Nothing here asks who is a member now. Pure.
 */
import { rollClockSkewMs } from '../../base/limits-proofs.ts'
import { type Grant, votersOn } from '../../datasets/access.ts'
import { idOf } from '../../datasets/dataset-record.ts'
import type { Genesis } from '../../federation/genesis.ts'
import type { Role } from '../../federation/keyspace.ts'
import { isEntitled } from '../quorum.ts'
import { inOrder, type RollRecord } from './roll-records.ts'

type Of<K extends RollRecord['kind']> = Extract<RollRecord, { kind: K }>

/** Where a node stands at a moment, and the record that says so; the genesis where it has no hash. */
interface Place {
  readonly role: Role
  readonly startMs: number
  readonly by?: string | undefined
}

interface Ended {
  readonly ended: true
  readonly by: string
}

/** Whether a key's confirmation counts, and which record says so, where one does. */
export interface Vote {
  readonly votes: boolean
  readonly by: string | undefined
}

export type Founders = Pick<Genesis, 'founders' | 'createdMs'>

export class Roll {
  readonly #genesis: Founders
  readonly #name: string
  /** Words that count, by node, in order. */
  readonly #words = new Map<string, Of<'word'>[]>()
  readonly #successions = new Map<string, Of<'succession'>>()
  readonly #predecessors = new Map<string, Of<'succession'>>()
  readonly #datasets: Of<'dataset'>[] = []
  readonly #grants = new Map<string, Of<'grant'>[]>()
  /** Nodes that were asked about, and the moments: what decides about these is needed. */
  readonly #asked = new Set<string>()
  readonly #moments = new Set<number>()
  #initial: Of<'dataset'> | undefined

  /** @param name of the dataset. */
  constructor(genesis: Founders, name: string, records: readonly RollRecord[]) {
    this.#genesis = genesis
    this.#name = name
    const sorted = inOrder(records)
    for (const one of sorted) if (one.kind === 'succession') this.#follow(one)
    // [R3] In the order of time, so that who may write follows from what came before.
    for (const one of sorted) if (one.kind === 'word') this.#hear(one)
    for (const one of sorted) if (one.kind === 'dataset' && this.#mayDescribe(one)) this.#datasets.push(one)
    for (const one of sorted) if (one.kind === 'grant') this.#grant(one)
  }

  /** [R2] The key by which a node is known here, whichever of its keys is asked about: the last that follows. */
  nodeOf(key: string): string {
    const walked: string[] = []
    let now = key
    for (let next = this.#successions.get(now); next !== undefined; next = this.#successions.get(now)) {
      // Keys that follow each other in a circle are the lowest of them.
      if (walked.includes(now)) return walked.slice(walked.indexOf(now)).sort()[0] as string
      walked.push(now)
      now = next.successor
    }
    return now
  }

  /** [R6] Whether the node of a key was ever admitted until then: only such a one belongs into an electorate. */
  wasAdmitted(key: string, atMs: number): boolean {
    const node = this.#ask(key, atMs)
    return this.#placeAt(node, atMs) !== undefined || this.#laterPlace(node, atMs) !== undefined
  }

  /** [R7] Whether a key's confirmation counts in a round that was opened then. */
  voteOf(key: string, atMs: number): Vote {
    const node = this.#ask(key, atMs)
    const [next, before] = [this.#successions.get(key), this.#predecessors.get(key)]
    // A key speaks for its node from the succession that names it to the one that it writes itself.
    if (next !== undefined && next.timeMs <= atMs) return { votes: false, by: next.hash }
    if (before !== undefined && before.timeMs > atMs + rollClockSkewMs)
      return { votes: false, by: before.hash }
    const place = this.#placeAt(node, atMs) ?? this.#laterPlace(node, atMs)
    if (place === undefined || isEnded(place) || place.role === 'observer')
      return { votes: false, by: place?.by }
    const granted = this.#isGranted(node, place, atMs)
    return granted.votes ? { votes: true, by: place.by } : granted
  }

  /** [R8] Every node that voted then by what was written by then, with the record that made it so. */
  votersAt(atMs: number): Map<string, string | undefined> {
    const voters = new Map<string, string | undefined>()
    for (const node of new Set([...this.#words.keys(), ...this.#founders()])) {
      const place = this.#placeAt(node, atMs)
      if (place === undefined || isEnded(place) || place.role === 'observer' || place.startMs > atMs) continue
      if (this.#isGranted(node, place, atMs).votes) voters.set(node, place.by)
    }
    return voters
  }

  /** [R4] Whether a record of the dataset says that it began with this commit, or none names one and it is null. */
  beganWith(commit: string | null): boolean {
    this.#initial = this.#datasets.find(({ value }) => (value.initial ?? null) === commit)
    if (this.#initial !== undefined) return true
    return commit === null && this.#datasets.every(({ value }) => value.initial === undefined)
  }

  /** The ids that records of the dataset name; more than one says that the roll is of two datasets. */
  ids(): readonly string[] {
    return [...new Set(this.#datasets.map(({ value }) => idOf(this.#name, value)))]
  }

  /** Rounds that were opened before are about another dataset that had the name. */
  foundedMs(atMs: number): number {
    const said = inForce(this.#datasets, atMs)
    return said === undefined ? 0 : Math.min(said.value.foundedMs ?? 0, said.timeMs)
  }

  /**
   * The hashes of what decides about the nodes that were asked about at the moments that were asked about, of what the
   * authors of these needed, and of the last word about each: whoever brings an older one again changes nothing then.
   */
  needed(): ReadonlySet<string> {
    const needed = new Set<string>()
    const nodes = new Set([...this.#asked, ...this.#founders()])
    const moments = [...this.#moments]
    const isNeeded = (one: RollRecord | undefined) => {
      if (one === undefined || needed.has(one.hash)) return
      needed.add(one.hash)
      const author = this.nodeOf(one.author)
      nodes.add(author)
      isNeeded(this.#words.get(author)?.findLast((word) => word.timeMs <= one.timeMs && word !== one))
    }
    isNeeded(this.#initial)
    for (const atMs of moments) isNeeded(inForce(this.#datasets, atMs))
    // A set that is walked is walked to its end, whatever joins it on the way.
    for (const node of nodes) {
      const [words, grants] = [this.#words.get(node) ?? [], this.#grants.get(node) ?? []]
      isNeeded(words.at(-1))
      for (const atMs of moments) {
        isNeeded(inForce(words, atMs))
        isNeeded(inForce(grants, atMs))
      }
      for (const one of this.#successions.values()) if (this.nodeOf(one.peer) === node) isNeeded(one)
    }
    return needed
  }

  /** Of several successions of one key the one that says it is the earliest counts, and no key follows two. */
  #follow(succession: Of<'succession'>): void {
    if (this.#successions.has(succession.peer)) return
    this.#successions.set(succession.peer, succession)
    if (!this.#predecessors.has(succession.successor))
      this.#predecessors.set(succession.successor, succession)
  }

  /** [R3] A word counts when its author is an operator by the words before it. */
  #hear(word: Of<'word'>): void {
    if (!this.#isOperator(word.author, word.timeMs)) return
    const node = this.nodeOf(word.peer)
    const words = this.#words.get(node) ?? []
    words.push(word)
    this.#words.set(node, words)
  }

  /** [R3] Founder, or an operator when it was written. */
  #mayDescribe(one: Of<'dataset'>): boolean {
    // Without a seed nothing proves who founded it: anybody could say so.
    const isProven = one.value.seed !== undefined && this.nodeOf(one.author) === this.nodeOf(one.founder)
    return isProven || this.#isOperator(one.author, one.timeMs)
  }

  #grant(grant: Of<'grant'>): void {
    const said = this.#datasets.find(({ value }) => idOf(this.#name, value) === grant.value.dataset)
    if (said === undefined) return
    const isFounder = this.nodeOf(grant.author) === this.nodeOf(said.founder)
    if (!isFounder && !this.#isOperator(grant.author, grant.timeMs)) return
    const node = this.nodeOf(grant.peer)
    this.#grants.set(node, [...(this.#grants.get(node) ?? []), grant])
  }

  #isFounder(node: string): boolean {
    return this.#founders().includes(node)
  }

  /** [R3], [R5] */
  #isOperator(key: string, atMs: number): boolean {
    const node = this.nodeOf(key)
    return this.#isPlacedOperator(node, atMs) || node === this.#heir(atMs)
  }

  /** [R5] When words leave no operator, the first founder whose place did not end is one (genesis.md [G6]). */
  #heir(atMs: number): string | undefined {
    const founders = this.#founders()
    const nodes = [...founders, ...this.#words.keys()]
    if (nodes.some((node) => this.#isPlacedOperator(node, atMs))) return undefined
    const stays = founders.find((node) => {
      const place = this.#placeAt(node, atMs)
      return place !== undefined && !isEnded(place)
    })
    return stays ?? founders[0]
  }

  #isPlacedOperator(node: string, atMs: number): boolean {
    const place = this.#placeAt(node, atMs)
    return place !== undefined && !isEnded(place) && place.role === 'operator'
  }

  /** By the last word that was written until then; a founder of whom nobody spoke is an operator. */
  #placeAt(node: string, atMs: number): Place | Ended | undefined {
    const word = this.#words.get(node)?.findLast(({ timeMs }) => timeMs <= atMs)
    if (word === undefined) {
      const { createdMs } = this.#genesis
      return this.#isFounder(node) && createdMs <= atMs ? { role: 'operator', startMs: createdMs } : undefined
    }
    const { role, removed, until } = word.value
    if (removed !== undefined || (until !== undefined && until <= atMs)) return { ended: true, by: word.hash }
    return { role, startMs: startOf(word, this.#isFounder(node)), by: word.hash }
  }

  /** Where nothing that was written by then is here: the first word after says since when it has been so. */
  #laterPlace(node: string, atMs: number): Place | undefined {
    const word = this.#words.get(node)?.[0]
    if (word === undefined || word.timeMs <= atMs) return undefined
    const startMs = startOf(word, this.#isFounder(node))
    return startMs <= atMs + rollClockSkewMs ? { role: word.value.role, startMs, by: word.hash } : undefined
  }

  /** dataset-heads.md [A4] by what was said of the dataset then. */
  #isGranted(node: string, { role, startMs }: Place, atMs: number): Vote {
    const said = inForce(this.#datasets, atMs)
    if (said?.value.access === undefined) return { votes: true, by: undefined }
    const grants = new Map<string, Grant>()
    const grant = inForce(this.#grants.get(node) ?? [], atMs)
    if (grant !== undefined) {
      const { author, timeMs } = grant
      grants.set(node, { ...grant.value, peer: node, author, timeMs })
    }
    const facts = { access: said.value.access, founder: this.nodeOf(said.founder), grants }
    const [voter] = votersOn(facts, [{ peer: node, role, since: startMs }])
    const votes = voter !== undefined && isEntitled(voter, atMs)
    return { votes, by: grant?.hash ?? said.hash }
  }

  #founders(): string[] {
    return this.#genesis.founders.map(({ peer }) => this.nodeOf(peer))
  }

  #ask(key: string, atMs: number): string {
    const node = this.nodeOf(key)
    this.#asked.add(node)
    this.#moments.add(atMs)
    return node
  }
}

function isEnded(place: Place | Ended): place is Ended {
  return 'ended' in place
}

/** Since when a word says that its peer has worked in the federation, ms. */
function startOf({ value, sinceMs }: Of<'word'>, isFounder: boolean): number {
  return value.worksSince ?? value.since ?? (isFounder ? 0 : sinceMs)
}

/** The last that was written until then, else the first that was written after. */
function inForce<T extends { readonly timeMs: number }>(records: readonly T[], atMs: number): T | undefined {
  return records.findLast(({ timeMs }) => timeMs <= atMs) ?? records[0]
}
