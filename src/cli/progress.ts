import { bytesText, spanText } from './output.ts'
import type { Session } from './session.ts'

const DRAW_INTERVAL_MS = 200
/** What is over sooner needs no word. */
const WORTH_TELLING_MS = 2_000

/** One line on standard error that tells how far something is: drawn over and over on a terminal, once at the end elsewhere. */
export class Progress {
  readonly #session: Session
  readonly #verb: string
  readonly #isTerminal: boolean
  readonly #startedMs = Date.now()
  #drawnMs = 0
  /** When the last bytes passed: what comes of them afterwards is not their speed. */
  #lastMs = Date.now()
  #bytes = 0

  /** @param verb what happens to the bytes, such as `sent`. */
  constructor(session: Session, verb: string) {
    const { stderr } = session.terminal
    this.#session = session
    this.#verb = verb
    this.#isTerminal = 'isTTY' in stderr && stderr.isTTY === true && !session.out.quiet
  }

  add(bytes: number): void {
    this.#bytes += bytes
    const now = Date.now()
    this.#lastMs = now
    if (!this.#isTerminal || now - this.#drawnMs < DRAW_INTERVAL_MS) return
    this.#drawnMs = now
    this.#session.terminal.stderr.write(`\r\u001b[K${this.#line(now)}`)
  }

  end(): void {
    if (this.#isTerminal && this.#drawnMs > 0) this.#session.terminal.stderr.write('\r\u001b[K')
    const isLong = Date.now() - this.#startedMs > WORTH_TELLING_MS
    if (this.#bytes > 0 && isLong) this.#session.out.note(this.#line(this.#lastMs))
  }

  /** The same bytes, counted as they pass. */
  async *through(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const chunk of source) {
      yield chunk
      this.add(chunk.length)
    }
  }

  #line(now: number): string {
    const spentMs = Math.max(1, now - this.#startedMs)
    const rate = bytesText(Math.round((this.#bytes * 1_000) / spentMs))
    return `${bytesText(this.#bytes)} ${this.#verb} in ${spanText(spentMs)} (${rate}/s)`
  }
}
