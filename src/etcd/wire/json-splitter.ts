import { etcdJsonBytesMax } from '../../base/limits.ts'
import { GatheredBytes } from './gathered-bytes.ts'

const QUOTE = 0x22
const BACKSLASH = 0x5c
const OPENING: ReadonlySet<number> = new Set([0x5b, 0x7b])
const CLOSING: ReadonlySet<number> = new Set([0x5d, 0x7d])
const SPACE: ReadonlySet<number> = new Set([0x20, 0x09, 0x0d, 0x0a])

/** Cuts a stream of bytes into the JSON objects that follow one another in it; looks at each byte once. */
export class JsonSplitter {
  readonly #gathered = new GatheredBytes()
  #looked = 0
  #depth = 0
  #inString = false

  /** Bytes of a value that is not whole yet. */
  get length(): number {
    return this.#gathered.length
  }

  push(piece: Buffer): void {
    this.#gathered.push(piece, etcdJsonBytesMax)
  }

  /** The text of the next whole object. What begins otherwise comes as far as it is there: its parser will say why. */
  next(): string | undefined {
    const { bytes } = this.#gathered
    while (this.#looked < bytes.length) {
      const byte = bytes[this.#looked++] as number
      if (this.#inString) {
        if (byte === BACKSLASH) this.#looked++
        else if (byte === QUOTE) this.#inString = false
      } else if (byte === QUOTE) this.#inString = true
      else if (OPENING.has(byte)) this.#depth++
      else if (CLOSING.has(byte)) this.#depth--
      const outside = this.#depth <= 0 && !SPACE.has(byte)
      if (outside) return this.#cut(this.#inString || this.#depth < 0 ? bytes.length : this.#looked)
    }
    return undefined
  }

  /** What is left at the end of the stream, if it is more than space. */
  rest(): string | undefined {
    const text = this.#cut(this.#gathered.length)
    return text.trim() === '' ? undefined : text
  }

  #cut(end: number): string {
    this.#looked = 0
    this.#depth = 0
    this.#inString = false
    return this.#gathered.take(end).toString('utf8')
  }
}
