/**
 * One Watch call of an etcd client: any number of watches over one stream (protocols/etcd.md §4). Watches see what
 * happens from their creation on; the past is answered as compacted.
 */
import { status } from '@grpc/grpc-js'
import { etcdPendingResponsesMax, etcdWatchesPerStreamMax } from '../base/limits.ts'
import type { Logger } from '../base/logger.ts'
import { isWithin, type KeyRange } from './key-range.ts'
import { sharedRange } from './key-values.ts'
import { refusals, refuse, toStatus } from './status.ts'
import {
  DELETE_EVENT,
  type Event,
  NO_DELETE_FILTER,
  NO_PUT_FILTER,
  PUT_EVENT,
  type ResponseHeader,
  type WatchCreateRequest,
  type WatchRequest,
  type WatchResponse,
} from './types.ts'

/** What is used of gRPC's `ServerDuplexStream`. */
export interface WatchCall {
  on(event: 'data', listener: (request: WatchRequest) => void): unknown
  on(event: 'error', listener: (error: Error) => void): unknown
  on(event: 'drain' | 'end' | 'cancelled' | 'close', listener: () => void): unknown
  emit(event: 'error', error: Error): unknown
  /** False asks to wait for `drain`. */
  write(response: WatchResponse): boolean
  end(): unknown
}

interface Watch {
  readonly range: KeyRange
  readonly startRevision: number
  readonly unwanted: ReadonlySet<number>
  readonly previous: boolean
}

/** etcd answers with this id what belongs to no watch. */
const NO_WATCH = '-1'

export interface WatchStreamParts {
  readonly call: WatchCall
  readonly header: () => ResponseHeader
  readonly revision: () => number
  /** Called once, when the stream is over, whoever ended it. */
  readonly gone: (stream: WatchStream) => void
  readonly log: Logger
}

export class WatchStream {
  readonly #parts: WatchStreamParts
  readonly #watches = new Map<string, Watch>()
  #nextId = 0
  /** What the client has not taken yet, in order. */
  #pending: WatchResponse[] = []
  #blocked = false
  #ended = false

  constructor(parts: WatchStreamParts) {
    this.#parts = parts
  }

  serve(): void {
    const { call, log } = this.#parts
    call.on('data', (request: WatchRequest) => this.#answer(request))
    call.on('drain', () => this.#drain())
    call.on('end', () => this.end())
    call.on('error', (error: Error) => log.debug({ error: error.message }, 'a watch stream broke'))
    call.on('cancelled', () => this.#over())
    call.on('close', () => this.#over())
  }

  /** Tells every watch of the stream that wants it. */
  tell(key: string, event: Event, revision: number): void {
    for (const [id, watch] of this.#watches) {
      if (!isWithin(key, watch.range) || watch.unwanted.has(event.type) || revision < watch.startRevision)
        continue
      const { type, kv, prev_kv } = event
      this.#send({ watch_id: id, events: [{ type, kv, prev_kv: watch.previous ? prev_kv : undefined }] })
    }
  }

  end(): void {
    if (this.#ended) return
    this.#parts.call.end()
    this.#over()
  }

  #answer(request: WatchRequest): void {
    const { create_request: create, cancel_request: cancel, progress_request: progress } = request
    if (create) this.#create(create)
    else if (cancel) this.#cancel(cancel.watch_id)
    else if (progress) this.#send({ watch_id: NO_WATCH })
    // An empty request is nothing, as etcd takes it.
  }

  #create(request: WatchCreateRequest): void {
    const asked = request.watch_id
    const range = this.#rangeOf(request)
    if (typeof range === 'string') {
      this.#send({ watch_id: NO_WATCH, created: true, canceled: true, cancel_reason: range })
      return
    }
    const id = asked === '0' ? this.#freeId() : asked
    const startRevision = Number(request.start_revision)
    this.#send({ watch_id: id, created: true })
    const next = this.#parts.revision() + 1
    if (startRevision > 0 && startRevision < next) {
      const cancel_reason = refusals.compacted().details
      this.#send({ watch_id: id, canceled: true, compact_revision: String(next), cancel_reason })
      return
    }
    const unwanted = new Set(request.filters.map((filter) => FILTERED[filter] ?? -1))
    this.#watches.set(id, { range, startRevision, unwanted, previous: request.prev_kv })
  }

  /** The range to watch, or why it cannot be watched. */
  #rangeOf(request: WatchCreateRequest): KeyRange | string {
    if (request.watch_id !== '0' && this.#watches.has(request.watch_id)) {
      return 'mvcc: duplicate watch ID provided on the WatchStream'
    }
    if (this.#watches.size >= etcdWatchesPerStreamMax) {
      return `mao: a stream carries at most ${etcdWatchesPerStreamMax} watches; open another`
    }
    try {
      // etcd watches from the zero byte on when no key is given.
      return sharedRange(request.key.length === 0 ? Buffer.from([0]) : request.key, request.range_end)
    } catch (error) {
      return toStatus(error, this.#parts.log).details
    }
  }

  #cancel(id: string): void {
    // etcd says nothing to a cancellation of what is not there.
    if (this.#watches.delete(id)) this.#send({ watch_id: id, canceled: true })
  }

  #freeId(): string {
    while (this.#watches.has(String(this.#nextId))) this.#nextId += 1
    this.#nextId += 1
    return String(this.#nextId - 1)
  }

  #send(response: Omit<WatchResponse, 'header'>): void {
    if (this.#ended) return
    if (this.#pending.length >= etcdPendingResponsesMax) {
      this.#giveUp()
      return
    }
    this.#pending.push({ header: this.#parts.header(), ...response })
    if (!this.#blocked) this.#flush()
  }

  #drain(): void {
    this.#blocked = false
    this.#flush()
  }

  #flush(): void {
    const { call } = this.#parts
    let sent = 0
    while (sent < this.#pending.length && !this.#blocked) {
      this.#blocked = !call.write(this.#pending[sent] as WatchResponse)
      sent += 1
    }
    this.#pending.splice(0, sent)
  }

  #over(): void {
    if (this.#ended) return
    this.#ended = true
    this.#watches.clear()
    this.#pending = []
    this.#parts.gone(this)
  }

  #giveUp(): void {
    const details = `the client leaves more than ${etcdPendingResponsesMax} responses unread; watch again`
    this.#parts.call.emit('error', refuse(status.RESOURCE_EXHAUSTED, details))
    this.#over()
  }
}

const FILTERED: Readonly<Record<number, number>> = {
  [NO_PUT_FILTER]: PUT_EVENT,
  [NO_DELETE_FILTER]: DELETE_EVENT,
}
