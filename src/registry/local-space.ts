import { NodeError } from '../base/errors.ts'
import { localBytesMax, recordOverheadBytes } from '../base/limits.ts'
import type { KeyValue } from './key-value.ts'
import type { KeyEvent } from './transaction.ts'

/** What this node's local keys take, and how much that may be: all of them are kept in memory. */
export class LocalSpace {
  readonly #isLocal: (key: string) => boolean
  readonly #max: number
  /** Undefined until it is asked for the first time. */
  #bytes: number | undefined

  constructor(isLocal: (key: string) => boolean, max = localBytesMax) {
    this.#isLocal = isLocal
    this.#max = max
  }

  /**
   * Whether a local key may be put in place of what it was.
   *
   * @param present All that is there, as it was last told.
   * @throws NodeError TOO_LARGE
   */
  check(kv: KeyValue, previous: KeyValue | undefined, present: () => readonly KeyValue[]): void {
    this.#bytes ??= present().reduce((sum, one) => sum + (this.#isLocal(one.key) ? weightOf(one) : 0), 0)
    const more = weightOf(kv) - weightOf(previous)
    // What makes it less is taken in any case.
    if (more <= 0 || this.#bytes + more <= this.#max) return
    const message = `The local keys of this node take ${this.#bytes} bytes, and may take ${this.#max}; delete some of them`
    throw new NodeError('TOO_LARGE', message, { localBytesMax: this.#max })
  }

  /** Takes over what was changed. */
  take(events: readonly KeyEvent[]): void {
    if (this.#bytes === undefined) return
    for (const { type, kv, previous } of events) {
      if (!this.#isLocal(kv.key)) continue
      this.#bytes += (type === 'put' ? weightOf(kv) : 0) - weightOf(previous)
    }
  }
}

/** Very small ones count too. */
function weightOf(kv: KeyValue | undefined): number {
  return kv === undefined ? 0 : kv.framed.length + recordOverheadBytes
}
