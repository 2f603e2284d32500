/**
 * Works with records of this node's own, while these are confirmed elsewhere (a cluster that keeps them too) and the
 * registry goes on with other works: those that change nothing that the works in flight have looked at. So the works
 * come to the same end when they run once more upon what is there by then, and their records are stored as they were
 * confirmed.
 */
import { NodeError } from '../base/errors.ts'
import { clusterTxnBytesMax, clusterTxnRecordsMax } from '../base/limits.ts'
import { Batch } from './batch.ts'
import type { Draft, Standing } from './draft.ts'
import { isWithin, type KeyRange } from './key-range.ts'
import { placeOf, type SealedRecord } from './record.ts'

/** What wants to be written: it puts its changes into the batch, and its result is told once they are durable. */
export type Work<T> = (batch: Batch) => T | Promise<T>

/** What became of a work. */
export interface Outcome {
  readonly result?: unknown
  readonly error?: unknown
  /** It has changed something, and written records of this node's own. */
  readonly wrote: boolean
  readonly own: readonly SealedRecord[]
}

/** What the one who asked for a work is told, or where more is to be heard. */
export interface Told extends Pick<Outcome, 'result' | 'error'> {
  readonly later?: () => Promise<Told>
}

/** Works that have run upon one another, and what they want to change. */
export interface Run {
  readonly batch: Batch
  readonly outcomes: readonly Outcome[]
}

/** What a record takes of a Txn: its key stands in the comparison, in the write and in both reads. */
export function txnBytesOf({ envelope, key }: SealedRecord): number {
  return envelope.length + 4 * (key.length + 200)
}

/** Runs works one after another; each sees those before it. `isEnough` is asked after each. */
export async function runAll(
  works: readonly Work<unknown>[],
  batch: Batch,
  isEnough: () => boolean = () => false,
): Promise<Run> {
  const outcomes: Outcome[] = []
  for (const work of works) {
    const [effects, before] = [batch.effects, batch.sum.own.length]
    const outcome = await outcomeOf(work, batch)
    outcomes.push({ ...outcome, wrote: batch.effects > effects, own: batch.sum.own.slice(before) })
    if (isEnough()) break
  }
  return { batch, outcomes }
}

export class Flight {
  readonly works: readonly Work<unknown>[]
  readonly run: Run
  readonly #seen: Seen
  /** Works that wait for the landing, with whom to tell. */
  readonly held: { readonly work: Work<unknown>; readonly tell: (told: Told) => void }[] = []

  private constructor(works: readonly Work<unknown>[], run: Run, seen: Seen) {
    this.works = works
    this.run = run
    this.#seen = seen
  }

  /** Runs as many of `works`, the first ones, as can be confirmed together; at least one. */
  static async of(works: readonly Work<unknown>[], under: Standing, revision: number): Promise<Flight> {
    const seen = new Seen(under)
    const batch = new Batch(seen, revision)
    const { own } = batch.sum
    let [measured, bytes] = [0, 0]
    const isFull = () => {
      for (; measured < own.length; measured += 1) bytes += txnBytesOf(own[measured] as SealedRecord)
      return own.length >= clusterTxnRecordsMax || bytes >= clusterTxnBytesMax
    }
    const run = await runAll(works, batch, isFull)
    const count = run.outcomes.length
    const isOverfull = own.length > clusterTxnRecordsMax || bytes > clusterTxnBytesMax
    // The last was too much, so that it goes with the next; the others must not have seen it.
    if (isOverfull && count > 1) return Flight.of(works.slice(0, count - 1), under, revision)
    return new Flight(works.slice(0, count), run, seen)
  }

  /** What is to be confirmed. */
  get records(): readonly SealedRecord[] {
    return this.run.batch.sum.own
  }

  /** Whether the works have looked at anything that `batch` changes. */
  isCrossedBy({ sum, groups }: Batch): boolean {
    for (const key of sum.changedClaims.keys()) if (this.#seen.has(key)) return true
    return groups.some(({ events }) => events.some(({ kv }) => this.#seen.has(kv.key)))
  }

  /** @returns what becomes of a work that must wait for the landing. */
  hold(work: Work<unknown>): Promise<Told> {
    return new Promise((tell) => {
      this.held.push({ work, tell })
    })
  }

  /** Runs the works once more, upon what has changed since; the records are those that were confirmed. */
  async again(under: Standing, revision: number): Promise<Run> {
    // What came to nothing but an error came to it for good.
    const good = this.run.outcomes.map(({ error, wrote }) => wrote || error === undefined)
    const works = this.works.filter((_, index) => good[index])
    const run = await runAll(works, new ConfirmedBatch(under, revision, this.records))
    const told = run.outcomes.values()
    const outcomes = this.run.outcomes.map((first, index) => (good[index] ? told.next().value : first))
    return { batch: run.batch, outcomes: outcomes as Outcome[] }
  }

  /** Which works are refused, by their number: those with records for the keys that the refusal names, or all. */
  refusedBy(error: unknown): ReadonlySet<number> {
    const { keys: named } = error instanceof NodeError ? error.data : {}
    const keys = new Set<unknown>(Array.isArray(named) ? named : [])
    const own = [...this.run.outcomes.entries()].filter(([, outcome]) => outcome.own.length > 0)
    const refused = own.filter(([, outcome]) => outcome.own.some(({ key }) => keys.has(key)))
    return new Set((refused.length === 0 ? own : refused).map(([index]) => index))
  }
}

/** A standing that remembers what was looked at. */
class Seen implements Standing {
  readonly #under: Standing
  readonly #keys = new Set<string>()
  readonly #ranges: KeyRange[] = []

  constructor(under: Standing) {
    this.#under = under
  }

  has(key: string): boolean {
    return this.#keys.has(key) || this.#ranges.some((range) => isWithin(key, range))
  }

  claims(key: string): readonly SealedRecord[] {
    this.#keys.add(key)
    return this.#under.claims(key)
  }

  bytesOf(author: string): number {
    return this.#under.bytesOf(author)
  }

  get(key: string) {
    this.#keys.add(key)
    return this.#under.get(key)
  }

  range(range: KeyRange) {
    this.#ranges.push(range)
    return this.#under.range(range)
  }
}

/** A batch in which works that write the same once more write the very records that were sealed the first time. */
class ConfirmedBatch extends Batch {
  readonly #author: string | undefined
  /** By key, in the order of writing. */
  readonly #sealed = new Map<string, SealedRecord[]>()

  constructor(standing: Standing, revision: number, records: readonly SealedRecord[]) {
    super(standing, revision)
    this.#author = records[0]?.author
    for (const record of records) {
      const before = this.#sealed.get(record.key)
      if (before === undefined) this.#sealed.set(record.key, [record])
      else before.push(record)
    }
  }

  override attempt<T>(change: (draft: Draft) => T | Promise<T>): Promise<T> {
    return super.attempt((draft) => {
      const sealed = new Map<SealedRecord, SealedRecord>()
      const [take, write] = [draft.take.bind(draft), draft.write.bind(draft)]
      draft.take = (record, arrange, shown) => {
        const confirmed = this.#confirmed(record)
        sealed.set(record, confirmed)
        return take(confirmed, arrange, shown)
      }
      draft.write = (record) => write(sealed.get(record) ?? record)
      return change(draft)
    })
  }

  /** @throws NodeError REGISTRY_MOVED: the works have come to another end, as when a lease has run out meanwhile. */
  #confirmed(record: SealedRecord): SealedRecord {
    if (record.author !== this.#author) return record
    const confirmed = this.#sealed.get(record.key)?.shift()
    if (confirmed !== undefined && isTheSame(confirmed, record)) return confirmed
    const message = `${record.key} is not what was confirmed: this node has moved on meanwhile; try again`
    throw new NodeError('REGISTRY_MOVED', message, { place: placeOf(record) })
  }
}

function isTheSame(one: SealedRecord, other: SealedRecord): boolean {
  if (one.version !== other.version) return false
  if (one.value === null || other.value === null) return one.value === other.value
  return Buffer.compare(one.value, other.value) === 0
}

async function outcomeOf(work: Work<unknown>, batch: Batch): Promise<Pick<Outcome, 'result' | 'error'>> {
  try {
    return { result: await work(batch) }
  } catch (error) {
    return { error }
  }
}
