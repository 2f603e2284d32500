/**
 * Whether the other side of a transfer lets bytes move. Only the time in which we wait for it counts, so that our own
 * slow disk is not held against anybody; and it is judged by bytes in a window, so that a trickle buys no time
 * (dataset-fetch.md D22).
 */
import { NodeError } from '../../base/errors.ts'
import { transferWindowBytesMin, transferWindowMs } from '../../base/limits.ts'
import type { ByteStream } from '../../network/byte-stream.ts'

export interface PaceLimits {
  /** Time of waiting, ms. */
  readonly windowMs: number
  /** Bytes that have to move in it. */
  readonly bytesMin: number
}

export const PACE: PaceLimits = { windowMs: transferWindowMs, bytesMin: transferWindowBytesMin }

/** The judgement alone; times are ms of any clock that does not go back. */
export class Pace {
  readonly #limits: PaceLimits
  #waitedMs = 0
  #bytes = 0
  #since: number | undefined

  constructor(limits: PaceLimits = PACE) {
    this.#limits = limits
  }

  /** We begin to wait for the other side. */
  wait(nowMs: number): void {
    this.#since = nowMs
  }

  /** It has let so many bytes move. */
  moved(bytes: number, nowMs: number): void {
    if (this.#since !== undefined) this.#waitedMs += nowMs - this.#since
    this.#since = undefined
    this.#bytes += bytes
  }

  /** Bytes have moved the other way. */
  passed(bytes: number): void {
    this.#bytes += bytes
  }

  /** True once a whole window of waiting has moved too little. */
  isTooSlow(nowMs: number): boolean {
    const { windowMs, bytesMin } = this.#limits
    const waitedMs = this.#waitedMs + (this.#since === undefined ? 0 : nowMs - this.#since)
    if (waitedMs < windowMs) return false
    if (this.#bytes < bytesMin) return true
    this.#waitedMs = 0
    this.#bytes = 0
    if (this.#since !== undefined) this.#since = nowMs
    return false
  }
}

/** A stream that is cut when its other side is too slow. */
export class PacedStream implements ByteStream {
  readonly peer: string
  readonly #stream: ByteStream
  readonly #limits: PaceLimits
  readonly #paces = new Map<'read' | 'write', Pace>()
  #timer: NodeJS.Timeout | undefined
  #slow: NodeError | undefined

  constructor(stream: ByteStream, limits: PaceLimits = PACE) {
    this.peer = stream.peer
    this.#stream = stream
    this.#limits = limits
  }

  /** Bytes have to move while we wait for the other side in one direction, from now on until `unwatch`. */
  watch(direction: 'read' | 'write'): void {
    if (this.#paces.has(direction)) return
    const { windowMs, bytesMin } = this.#limits
    this.#paces.set(direction, new Pace(this.#limits))
    this.#timer ??= setInterval(() => {
      const nowMs = performance.now()
      if (![...this.#paces.values()].some((pace) => pace.isTooSlow(nowMs))) return
      const message = `${this.peer} moved fewer than ${bytesMin} bytes in ${windowMs} ms; the transfer is given up`
      this.#slow = new NodeError('TIMED_OUT', message, { peer: this.peer })
      this.unwatch()
      this.abort(this.#slow)
    }, windowMs / 10)
    this.#timer.unref()
  }

  unwatch(): void {
    clearInterval(this.#timer)
    this.#timer = undefined
    this.#paces.clear()
  }

  read(): Promise<Uint8Array | undefined> {
    return this.#timed(
      'read',
      () => this.#stream.read(),
      (chunk) => chunk?.length ?? 0,
    )
  }

  write(bytes: Uint8Array): Promise<void> {
    return this.#timed(
      'write',
      () => this.#stream.write(bytes),
      () => bytes.length,
    )
  }

  closeWrite(): Promise<void> {
    return this.#stream.closeWrite()
  }

  abort(error: Error): void {
    this.#stream.abort(error)
  }

  async #timed<T>(
    direction: 'read' | 'write',
    move: () => Promise<T>,
    bytesOf: (moved: T) => number,
  ): Promise<T> {
    const pace = this.#paces.get(direction)
    pace?.wait(performance.now())
    try {
      const moved = await move()
      pace?.moved(bytesOf(moved), performance.now())
      // Who takes what we send need not say anything meanwhile.
      if (direction === 'write') this.#paces.get('read')?.passed(bytesOf(moved))
      return moved
    } catch (cause) {
      throw this.#slow ?? cause
    }
  }
}
