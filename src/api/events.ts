import { randomBytes } from 'node:crypto'
import { NodeError } from '../base/errors.ts'
import type { Startable } from '../base/lifecycle.ts'
import { eventHeartbeatMs, eventStreamsMax, eventsKeptMax, eventsPendingMax } from '../base/limits.ts'

/**
 * What happens on the node, told to any number of readers as server-sent events.
 *
 * Each event has an id `<life of this process>-<count>`. A reader who comes back with the last id it saw gets what it
 * missed from the events kept; the first event of every stream, `open`, says whether something is missing all the
 * same, and then the reader looks again at the state itself. A reader too slow for its bounded queue is cut off and
 * comes back in the same way.
 */
export interface Happening {
  type: string
}

export interface EventSource<E extends Happening> {
  onEvent(listener: (event: E) => void): () => void
}

export interface EventHubParts<E extends Happening> {
  source: EventSource<E>
  /** What is told of an event. */
  view: (event: E) => object
}

export interface ReadOptions {
  /** The id of the last event the reader saw. */
  after?: string
  /** Only events of these types; all of them when it is left out. */
  types?: ReadonlySet<string>
  signal: AbortSignal
}

interface Told {
  count: number
  type: string
  /** The event as it goes over the wire. */
  text: string
}

interface Reader {
  types: ReadonlySet<string> | undefined
  pending: string[]
  cutOff: boolean
  wake: () => void
}

export class EventHub<E extends Happening> implements Startable {
  readonly #source: EventSource<E>
  readonly #view: (event: E) => object
  readonly #life = randomBytes(4).toString('hex')
  readonly #kept: Told[] = []
  readonly #readers = new Set<Reader>()
  #count = 0
  #unsubscribe: (() => void) | undefined

  constructor(parts: EventHubParts<E>) {
    this.#source = parts.source
    this.#view = parts.view
  }

  async start(): Promise<void> {
    this.#unsubscribe ??= this.#source.onEvent((event) => this.#tell(event))
  }

  async stop(): Promise<void> {
    this.#unsubscribe?.()
    this.#unsubscribe = undefined
  }

  /** @throws NodeError QUEUE_FULL when too many readers are there already. */
  checkRoom(): void {
    if (this.#readers.size < eventStreamsMax) return
    throw new NodeError('QUEUE_FULL', `${eventStreamsMax} event streams are open already; close one first`)
  }

  /** The wire text of what happens from now on, or from after `options.after` where that is still kept. */
  async *read(options: ReadOptions): AsyncGenerator<string> {
    const { signal } = options
    const reader = this.#admit(options)
    const onAbort = () => reader.wake()
    signal.addEventListener('abort', onAbort)
    try {
      while (!signal.aborted) {
        const text = reader.pending.splice(0).join('')
        if (text !== '') yield text
        else if (reader.cutOff) return
        else yield* await this.#quiet(reader, signal)
      }
    } finally {
      signal.removeEventListener('abort', onAbort)
      this.#readers.delete(reader)
    }
  }

  /** From here on nothing passes the reader by; a stream whose first byte nobody asked for never comes so far. */
  #admit(options: ReadOptions): Reader {
    const { missed, past } = this.#since(options)
    const opening = JSON.stringify({ missed })
    // Without a past to tell, the opening carries the newest id, so that a reader who then hears nothing can still
    // come back; with one, the ids of the past must come in order.
    const first = past.length === 0 ? this.#frame(this.#count, 'open', opening) : frame('open', opening)
    const pending = [first, ...past.map((told) => told.text)]
    const reader: Reader = { types: options.types, pending, cutOff: false, wake: () => undefined }
    this.#readers.add(reader)
    return reader
  }

  /** Waits until there is something to read; a heartbeat when that takes long. */
  #quiet(reader: Reader, signal: AbortSignal): Promise<string[]> {
    return new Promise((resolve) => {
      if (signal.aborted || reader.pending.length > 0) return resolve([])
      const timer = setTimeout(() => resolve([': still here\n\n']), eventHeartbeatMs)
      reader.wake = () => {
        clearTimeout(timer)
        resolve([])
      }
    })
  }

  #since({ after, types }: ReadOptions): { missed: boolean; past: Told[] } {
    if (after === undefined) return { missed: false, past: [] }
    const [, life, digits] = /^([0-9a-f]+)-([0-9]+)$/.exec(after) ?? []
    const count = Number(digits)
    // Another life of the node: what happened between the two was told to nobody.
    if (life !== this.#life || count > this.#count) return { missed: true, past: [] }
    const oldest = this.#kept[0]?.count ?? this.#count + 1
    const past = this.#kept.filter((told) => told.count > count && wanted(types, told.type))
    return { missed: count < oldest - 1, past }
  }

  #tell(event: E): void {
    this.#count += 1
    const { type } = event
    const told = {
      count: this.#count,
      type,
      text: this.#frame(this.#count, type, JSON.stringify(this.#view(event))),
    }
    this.#kept.push(told)
    if (this.#kept.length > eventsKeptMax) this.#kept.shift()
    for (const reader of this.#readers) {
      if (!wanted(reader.types, type) || reader.cutOff) continue
      if (reader.pending.length < eventsPendingMax) reader.pending.push(told.text)
      else reader.cutOff = true
      reader.wake()
    }
  }

  #frame(count: number, type: string, data: string): string {
    return `id: ${this.#life}-${count}\n${frame(type, data)}`
  }
}

function frame(type: string, data: string): string {
  return `event: ${type}\ndata: ${data}\n\n`
}

function wanted(types: ReadonlySet<string> | undefined, type: string): boolean {
  return types === undefined || types.has(type)
}

/** The value of a record for people: the JSON it holds, else `{ base64 }`. */
export function readable(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch {
    // Not JSON: nothing is wrong with that, a record's value is bytes.
    return { base64: Buffer.from(bytes).toString('base64') }
  }
}
