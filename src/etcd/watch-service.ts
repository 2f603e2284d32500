/** etcd's Watch service (protocols/etcd.md §5): hears what the registry changes and tells the watches that want it. */
import type { Startable } from '../base/lifecycle.ts'
import type { Logger } from '../base/logger.ts'
import type { KeyValueStore } from '../registry/key-value-store.ts'
import type { KeyEvent } from '../registry/transaction.ts'
import type { Call } from './call.ts'
import { EventBytes } from './event-bytes.ts'
import type { HeaderAt } from './header.ts'
import type { WatchRequest } from './requests.ts'
import { refusals } from './status.ts'
import { type Watch, WatchIndex } from './watch.ts'
import { WatchStream } from './watch-stream.ts'

export interface WatchServiceParts {
  readonly keyValues: Pick<KeyValueStore, 'revision' | 'compacted' | 'events' | 'onEvents'>
  readonly header: HeaderAt
  /** How often a quiet watch that asked for it is told how far this node has come, ms. */
  readonly progressIntervalMs: number
  readonly log: Logger
}

export class WatchService implements Startable {
  readonly #parts: WatchServiceParts
  readonly #inStep = new WatchIndex<WatchStream>()
  readonly #streams = new Set<WatchStream>()
  #unhear: (() => void) | undefined
  #ticker: NodeJS.Timeout | undefined
  /** As `GrpcServer` takes them. */
  readonly duplex = { Watch: (call: Call<WatchRequest>) => this.#open(call) }

  constructor(parts: WatchServiceParts) {
    this.#parts = parts
  }

  async start(): Promise<void> {
    if (this.#unhear !== undefined) return
    const { keyValues, progressIntervalMs } = this.#parts
    this.#unhear = keyValues.onEvents((events) => this.#tell(events))
    this.#ticker = setInterval(() => this.#tellProgress(), progressIntervalMs)
    this.#ticker.unref()
  }

  /** Ends every stream; its client finds another server or comes back. */
  async stop(): Promise<void> {
    this.#unhear?.()
    this.#unhear = undefined
    clearInterval(this.#ticker)
    for (const stream of this.#streams) stream.end(refusals.stopped())
  }

  #open(call: Call<WatchRequest>): void {
    const { keyValues, header, log } = this.#parts
    const gone = (over: WatchStream) => this.#streams.delete(over)
    const stream = new WatchStream({ call, keyValues, header, inStep: this.#inStep, gone, log })
    this.#streams.add(stream)
    stream.serve()
  }

  /** All events of one revision go to one watch in one response. */
  #tell(events: readonly KeyEvent[]): void {
    if (this.#inStep.isEmpty) return
    const { compacted } = this.#parts.keyValues
    const told = new Map<Watch, [WatchStream, EventBytes[]]>()
    for (const event of events) {
      const bytes = new EventBytes(event, compacted)
      this.#inStep.forEach(event.kv.key, (watch, stream) => {
        if (!watch.wants(event)) return
        const before = told.get(watch)
        if (before === undefined) told.set(watch, [stream, [bytes]])
        else before[1].push(bytes)
      })
    }
    for (const [watch, [stream, wanted]] of told) stream.tell(watch, wanted)
  }

  #tellProgress(): void {
    for (const stream of this.#streams) stream.tellProgress()
  }
}
