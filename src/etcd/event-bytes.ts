import type { KeyEvent } from '../registry/transaction.ts'

/** A message that is there in its bytes, as the wire takes it. */
export interface EncodedEvent {
  readonly encoded: Uint8Array
}

/** Tag and value of `Event.type` where it is DELETE; PUT is zero and so left out. */
const DELETE_TYPE = [0x08, 0x01]
/** The tag of `Event.prev_kv`; that of `Event.kv` is the one that a key-value is framed with. */
const PREVIOUS_TAG = 0x1a

/**
 * One event on its way to the watches that want it: its bytes (etcd: kv.proto, Event) are put together from those of
 * its key-values once, whoever is told.
 */
export class EventBytes {
  readonly event: KeyEvent
  readonly #compacted: number
  #plain: EncodedEvent | undefined
  #withPrevious: EncodedEvent | undefined

  /** @param compacted What was before this revision is not told any more. */
  constructor(event: KeyEvent, compacted: number) {
    this.event = event
    this.#compacted = compacted
  }

  get plain(): EncodedEvent {
    this.#plain ??= { encoded: encodeEvent(this.event, false) }
    return this.#plain
  }

  get withPrevious(): EncodedEvent {
    const { previous, kv } = this.event
    if (previous === undefined || kv.modified <= this.#compacted) return this.plain
    this.#withPrevious ??= { encoded: encodeEvent(this.event, true) }
    return this.#withPrevious
  }
}

function encodeEvent({ type, kv, previous }: KeyEvent, withPrevious: boolean): Uint8Array {
  const head = type === 'delete' ? DELETE_TYPE.length : 0
  const before = withPrevious && previous !== undefined ? previous.framed : undefined
  const bytes = new Uint8Array(head + kv.framed.length + (before?.length ?? 0))
  if (head > 0) bytes.set(DELETE_TYPE)
  bytes.set(kv.framed, head)
  if (before !== undefined) {
    bytes.set(before, head + kv.framed.length)
    bytes[head + kv.framed.length] = PREVIOUS_TAG
  }
  return bytes
}
