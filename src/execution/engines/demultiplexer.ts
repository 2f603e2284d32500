import type { OutputStream } from '../logs/logs.ts'

/** Docker frames a container's output: stream (1 byte), three zeros, length (4 bytes, big endian), payload. */
const HEADER_BYTES = 8
const STDERR = 2

export interface OutputPiece {
  readonly stream: OutputStream
  readonly bytes: Uint8Array
}

/** Takes Docker's framed output apart as it arrives; nothing but a header in two pieces is ever held. */
export class Demultiplexer {
  #header: Uint8Array = new Uint8Array(0)
  #stream: OutputStream = 'stdout'
  #left = 0

  push(chunk: Uint8Array): OutputPiece[] {
    const pieces: OutputPiece[] = []
    let at = 0
    while (at < chunk.length) {
      if (this.#left === 0) {
        const taken = chunk.subarray(at, at + HEADER_BYTES - this.#header.length)
        this.#header = Buffer.concat([this.#header, taken])
        at += taken.length
        if (this.#header.length === HEADER_BYTES) this.#begin()
      } else {
        const bytes = chunk.subarray(at, at + this.#left)
        pieces.push({ stream: this.#stream, bytes })
        this.#left -= bytes.length
        at += bytes.length
      }
    }
    return pieces
  }

  #begin(): void {
    const view = new DataView(this.#header.buffer, this.#header.byteOffset, HEADER_BYTES)
    this.#stream = view.getUint8(0) === STDERR ? 'stderr' : 'stdout'
    this.#left = view.getUint32(4)
    this.#header = new Uint8Array(0)
  }
}
