/**
 * One Watch call of an etcd client: any number of watches over one stream (protocols/etcd.md §5). The client's pace is
 * the pace: while it does not take what it was sent, its watches fall behind and read the history later.
 */
import { isNodeError } from '../base/errors.ts'
import {
  etcdPendingResponsesMax,
  etcdWatchesPerStreamMax,
  etcdWatchFragmentBytesMax,
  etcdWatchResponseBytes,
  etcdWatchTurnEvents,
} from '../base/limits.ts'
import type { Logger } from '../base/logger.ts'
import { isWithin, type KeyRange, rangeOf } from '../registry/key-range.ts'
import type { KeyValueStore } from '../registry/key-value-store.ts'
import type { KeyEvent } from '../registry/transaction.ts'
import type { Call } from './call.ts'
import { type EncodedEvent, EventBytes } from './event-bytes.ts'
import type { HeaderAt } from './header.ts'
import type { WatchCreateRequest, WatchRequest } from './requests.ts'
import { type EtcdError, refuse, STATUS, toStatus } from './status.ts'
import { Watch, type WatchIndex } from './watch.ts'

export interface WatchStreamParts {
  readonly call: Call<WatchRequest>
  readonly keyValues: Pick<KeyValueStore, 'revision' | 'compacted' | 'events'>
  readonly header: HeaderAt
  /** The watches that are told what happens when it happens; this stream adds and takes out its own. */
  readonly inStep: WatchIndex<WatchStream>
  /** Called once, when the stream is over, whoever ended it. */
  readonly gone: (stream: WatchStream) => void
  readonly log: Logger
}

/** etcd answers with this id what belongs to no watch. */
const NO_WATCH = -1n
/** etcd chooses the id when the client gives none. */
const ANY_ID = 0n
/** The smallest key there is: what etcd watches from when no key is given. */
const FIRST_KEY = Uint8Array.of(0)
/** Turns that watches of one stream have before everything else has one. */
const TURNS_AT_ONCE = 16

export class WatchStream {
  readonly #parts: WatchStreamParts
  readonly #watches = new Map<bigint, Watch>()
  /** In the order of their turns. */
  readonly #behind = new Set<Watch>()
  /** Answers that the client has not taken yet, in order. */
  #pending: object[] = []
  /** Progress that was asked for and not told yet: it is told when no watch is behind. */
  #progressAsked = 0
  #nextId = 0n
  #blocked = false
  #ended = false
  #turn: NodeJS.Immediate | undefined

  constructor(parts: WatchStreamParts) {
    this.#parts = parts
  }

  serve(): void {
    const { call } = this.#parts
    call.onMessage((request: WatchRequest) => this.#answer(request))
    // A client that has said all it wants still listens, as etcd takes it.
    call.onEnd(() => undefined)
    call.onDrain(() => {
      this.#blocked = false
      this.#goOn()
    })
    call.onClose(() => this.#over())
  }

  /** Tells a watch that is in step of events of one revision. */
  tell(watch: Watch, events: readonly EventBytes[]): void {
    const revision = (events[0] as EventBytes).event.kv.modified
    if (this.#blocked) {
      watch.next = revision
      this.#parts.inStep.delete(watch)
      this.#behind.add(watch)
      return
    }
    this.#sendEvents(
      watch,
      events.map((bytes) => watch.told(bytes)),
      revision,
    )
  }

  /** Tells the watches that want it how far they are, where nothing else was told. */
  tellProgress(): void {
    for (const watch of this.#watches.values()) {
      if (!watch.progress) continue
      if (watch.quiet && !this.#blocked && !this.#behind.has(watch)) this.#write({ watch_id: watch.id })
      watch.quiet = true
    }
  }

  end(error?: EtcdError): void {
    if (this.#ended) return
    this.#over()
    this.#parts.call.end(error)
  }

  #answer(request: WatchRequest): void {
    if (this.#ended) return
    const { create_request: create, cancel_request: cancel, progress_request: progress } = request
    if (create !== undefined) this.#create(create)
    else if (cancel !== undefined) this.#cancel(cancel.watch_id)
    else if (progress !== undefined) this.#progressAsked += 1
    // An empty request is nothing, as etcd takes it.
    this.#goOn()
  }

  #create(request: WatchCreateRequest): void {
    const { keyValues } = this.#parts
    const range = rangeOf(request.key.length === 0 ? FIRST_KEY : request.key, request.range_end)
    const refusal = this.#refusalOf(request, range)
    if (refusal !== undefined) {
      this.#say({ watch_id: NO_WATCH, created: true, canceled: true, cancel_reason: refusal })
      return
    }
    const id = request.watch_id === ANY_ID ? this.#freeId() : request.watch_id
    const start = Number(request.start_revision)
    const next = keyValues.revision + 1
    const watch = new Watch({
      ...{ id, range, from: start > 0 ? start : next, filters: request.filters },
      ...{ previous: request.prev_kv, fragment: request.fragment, progress: request.progress_notify },
    })
    this.#watches.set(id, watch)
    this.#say({ watch_id: id, created: true })
    if (watch.next < next) this.#behind.add(watch)
    else this.#parts.inStep.add(watch, this)
  }

  #refusalOf({ watch_id }: WatchCreateRequest, { from, to }: KeyRange): string | undefined {
    if (to !== undefined && to !== null && from >= to) return 'mvcc: watcher range is empty'
    if (watch_id !== ANY_ID && this.#watches.has(watch_id)) {
      return 'mvcc: duplicate watch ID provided on the WatchStream'
    }
    if (this.#watches.size < etcdWatchesPerStreamMax) return undefined
    return `mao: a stream carries at most ${etcdWatchesPerStreamMax} watches; open another`
  }

  #cancel(id: bigint): void {
    const watch = this.#watches.get(id)
    // etcd says nothing to a cancellation of what is not there.
    if (watch === undefined) return
    this.#forget(watch)
    this.#say({ watch_id: id, canceled: true })
  }

  #forget(watch: Watch): void {
    this.#watches.delete(watch.id)
    this.#behind.delete(watch)
    this.#parts.inStep.delete(watch)
  }

  #freeId(): bigint {
    while (this.#watches.has(this.#nextId)) this.#nextId += 1n
    this.#nextId += 1n
    return this.#nextId - 1n
  }

  /** An answer to a request, after those before it. */
  #say(response: object, revision = this.#parts.keyValues.revision): void {
    if (this.#pending.length >= etcdPendingResponsesMax) {
      const details = `the client leaves more than ${etcdPendingResponsesMax} responses unread; watch again`
      this.end(refuse(STATUS.RESOURCE_EXHAUSTED, details))
      return
    }
    if (this.#blocked) this.#pending.push({ header: this.#parts.header(revision), ...response })
    else this.#write(response, revision)
  }

  #write(response: object, revision = this.#parts.keyValues.revision): void {
    if (this.#ended) return
    this.#blocked = !this.#parts.call.write({ header: this.#parts.header(revision), ...response })
  }

  /** Sends what waits, as far as the client takes it. */
  #goOn(): void {
    if (this.#ended) return
    const { call, log } = this.#parts
    let sent = 0
    while (sent < this.#pending.length && !this.#blocked) {
      this.#blocked = !call.write(this.#pending[sent] as object)
      sent += 1
    }
    if (sent > 0) this.#pending.splice(0, sent)
    try {
      for (let turn = 0; turn < TURNS_AT_ONCE && !this.#blocked; turn += 1) {
        const [watch] = this.#behind
        if (watch === undefined) break
        this.#catchUp(watch)
      }
    } catch (error) {
      this.end(toStatus(error, log))
      return
    }
    if (this.#blocked) return
    if (this.#behind.size > 0) {
      this.#turn ??= setImmediate(() => {
        this.#turn = undefined
        this.#goOn()
      })
      return
    }
    for (; this.#progressAsked > 0 && !this.#blocked; this.#progressAsked -= 1)
      this.#write({ watch_id: NO_WATCH })
  }

  /** One turn of a watch that is behind. */
  #catchUp(watch: Watch): void {
    const { keyValues, inStep } = this.#parts
    // Last in line for its next turn.
    this.#behind.delete(watch)
    this.#behind.add(watch)
    const past = this.#past(watch)
    if (past === undefined) return
    const { compacted, revision } = keyValues
    let wanted: EncodedEvent[] = []
    let bytes = 0
    for (const [index, event] of past.events.entries()) {
      if (isWithin(event.kv.key, watch.range) && watch.wants(event)) {
        const told = watch.told(new EventBytes(event, compacted))
        wanted.push(told)
        bytes += told.encoded.length
      }
      // Events of one revision stay together: a client that comes back asks for what is after it.
      const following = past.events[index + 1]?.kv.modified ?? past.next
      if (bytes < etcdWatchResponseBytes || following === event.kv.modified) continue
      this.#sendEvents(watch, wanted, revision)
      wanted = []
      bytes = 0
      if (this.#blocked) {
        watch.next = following
        return
      }
    }
    if (wanted.length > 0) this.#sendEvents(watch, wanted, revision)
    watch.next = past.next
    if (past.next <= revision) return
    this.#behind.delete(watch)
    inStep.add(watch, this)
  }

  /** Whole revisions from where the watch is, and the revision after them; undefined when they are gone. */
  #past(watch: Watch): { events: readonly KeyEvent[]; next: number } | undefined {
    const { keyValues } = this.#parts
    try {
      for (let most = etcdWatchTurnEvents; ; most *= 2) {
        const events = keyValues.events(watch.next, most)
        if (events.length < most) return { events, next: keyValues.revision + 1 }
        const cut = (events.at(-1) as KeyEvent).kv.modified
        const whole = events.findLastIndex((event) => event.kv.modified < cut) + 1
        if (whole > 0) return { events: events.slice(0, whole), next: cut }
      }
    } catch (error) {
      if (!isNodeError(error, 'REVISION_COMPACTED')) throw error
      this.#forget(watch)
      // etcd says no revision and no reason here; what is compacted says enough.
      this.#say({ watch_id: watch.id, canceled: true, compact_revision: keyValues.compacted }, 0)
      return undefined
    }
  }

  #sendEvents(watch: Watch, events: readonly EncodedEvent[], revision: number): void {
    watch.quiet = false
    if (!watch.fragment) {
      this.#write({ watch_id: watch.id, events }, revision)
      return
    }
    const pieces = piecesOf(events)
    for (const [index, piece] of pieces.entries()) {
      this.#write({ watch_id: watch.id, events: piece, fragment: index < pieces.length - 1 }, revision)
    }
  }

  #over(): void {
    if (this.#ended) return
    this.#ended = true
    clearImmediate(this.#turn)
    for (const watch of this.#watches.values()) this.#parts.inStep.delete(watch)
    this.#watches.clear()
    this.#behind.clear()
    this.#pending = []
    this.#parts.gone(this)
  }
}

/** Cuts what is larger than a client takes at once; an event is never cut. */
function piecesOf(events: readonly EncodedEvent[]): EncodedEvent[][] {
  const pieces: EncodedEvent[][] = []
  let bytes = Number.POSITIVE_INFINITY
  for (const event of events) {
    bytes += event.encoded.length
    if (bytes < etcdWatchFragmentBytesMax) pieces.at(-1)?.push(event)
    else {
      pieces.push([event])
      bytes = event.encoded.length
    }
  }
  return pieces
}
