import assert from 'node:assert/strict'
import { frameBytesMax, recordBytesMax, syncRecordBytesPerFrameMax } from '../../src/base/limits.ts'
import { answer, collect, EVERYTHING, type Fetched, type RangeAnswer } from '../../src/registry/ranges.ts'
import { placeOf, type SealedRecord } from '../../src/registry/record.ts'
import { RecordIndex } from '../../src/registry/record-index.ts'
import {
  decodeCompared,
  decodeFetched,
  decodeQuestion,
  encodeCompared,
  encodeFetched,
  encodeQuestion,
  type Question,
} from '../../src/registry/sync-messages.ts'
import { Effort, SyncPlan } from '../../src/registry/sync-plan.ts'
import { FEDERATION, plainRecord } from './records.ts'

/** Records without signatures, whose envelopes are their hashes. */
export function looseRecord(key: string, version = 1, author = 'amy'): SealedRecord {
  const record = plainRecord({ key, author, version })
  return { ...record, envelope: new Uint8Array(Buffer.from(record.hash, 'hex')) }
}

export function indexOf(records: Iterable<SealedRecord>): RecordIndex {
  const index = new RecordIndex()
  for (const record of records) index.set(record)
  return index
}

/** Keeps a record if it wins over what is there, as the registry does. */
export function take(index: RecordIndex, record: SealedRecord): boolean {
  const held = index.get(placeOf(record))
  if (held !== undefined && (held.version > record.version || held.hash === record.hash)) return false
  if (held?.version === record.version && held.hash > record.hash) return false
  index.set(record)
  return true
}

/** What an honest side says to a question, over the wire and back. */
export interface Server {
  compare(question: Question & { kind: 'compare' }): readonly RangeAnswer[]
  fetch(question: Question & { kind: 'fetch' }): Fetched
}

export function honest(index: RecordIndex, bytesMax = syncRecordBytesPerFrameMax): Server {
  return {
    compare: ({ ranges }) => ranges.map((range) => answer(index, range)),
    fetch: (question) => collect(index, question, bytesMax),
  }
}

/** A catch-up without a stream: one question after another, each message in its bytes. */
export class Reconciliation {
  questions = 0
  bytes = 0
  accepted = 0
  inVain = 0
  readonly #ours: RecordIndex
  readonly #server: Server
  readonly #records: ReadonlyMap<string, SealedRecord>
  readonly #plan: SyncPlan
  readonly #effort = new Effort(0)

  /** `records` are those that the server may send, by hash. */
  constructor(
    ours: RecordIndex,
    server: Server,
    records: ReadonlyMap<string, SealedRecord>,
    options: { readonly backwards?: boolean } = {},
  ) {
    this.#ours = ours
    this.#server = server
    this.#records = records
    this.#plan = new SyncPlan(ours, this.#effort, { backwards: options.backwards ?? false })
    const root = { ...EVERYTHING, digest: ours.digest(EVERYTHING) }
    const [answered] = this.#compare({ kind: 'compare', ranges: [root] })
    this.#plan.compared(EVERYTHING, answered as RangeAnswer)
  }

  /** @returns false when nothing was left to ask. */
  step(): boolean {
    const asked = this.#plan.next()
    if (asked === undefined) return false
    if (asked.question.kind === 'compare') {
      for (const [at, answered] of this.#compare(asked.question).entries()) {
        this.#plan.compared(asked.ranges[at] as (typeof asked.ranges)[number], answered)
      }
      return true
    }
    const sent = this.#server.fetch(this.#ask(asked.question))
    const fetched = decodeFetched(this.#weigh(encodeFetched(sent)))
    this.#plan.fetched(asked.ranges, fetched)
    for (const envelope of fetched.envelopes) {
      const record = this.#records.get(Buffer.from(envelope).toString('hex'))
      if (record !== undefined && take(this.#ours, record)) {
        this.accepted += 1
        this.#effort.earn(1)
      } else {
        this.inVain += 1
        this.#effort.spend(1)
      }
    }
    return true
  }

  run(): this {
    while (this.step());
    return this
  }

  #compare(question: Question & { kind: 'compare' }): readonly RangeAnswer[] {
    const asked = this.#ask(question)
    return decodeCompared(this.#weigh(encodeCompared(this.#server.compare(asked))), question.ranges.length)
  }

  #ask<Q extends Question>(question: Q): Q {
    this.questions += 1
    const { federation, question: heard } = decodeQuestion(this.#weigh(encodeQuestion(FEDERATION, question)))
    assert.equal(federation, FEDERATION)
    assert.deepEqual(heard, question)
    return heard as Q
  }

  #weigh(message: Uint8Array): Uint8Array {
    assert(message.length <= frameBytesMax - recordBytesMax, `a message of ${message.length} bytes`)
    this.bytes += message.length
    return message
  }
}

export function byHash(...all: readonly RecordIndex[]): Map<string, SealedRecord> {
  return new Map(all.flatMap((index) => [...index.within(EVERYTHING)].map((record) => [record.hash, record])))
}
