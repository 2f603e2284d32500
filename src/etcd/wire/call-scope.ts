/** The circumstances of one call, and the end of them. */
import { etcdHeldBytesSpared } from '../../base/limits.ts'
import { type EtcdError, refuse, STATUS } from '../status.ts'
import type { CallContext } from './service.ts'

export class CallScope implements CallContext {
  readonly token: string | undefined
  readonly peer: string
  /** Made when somebody asks for it: few handlers do, and it costs more than the rest of a quick call. */
  #controller: AbortController | undefined
  #cancelled: EtcdError | undefined

  constructor(token: string | undefined, peer: string) {
    this.token = token
    this.peer = peer
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController()
      if (this.#cancelled !== undefined) this.#controller.abort(this.#cancelled)
    }
    return this.#controller.signal
  }

  cancel(why: EtcdError): void {
    if (this.#cancelled !== undefined) return
    this.#cancelled = why
    this.#controller?.abort(why)
  }
}

/** What calls make this node keep in memory: parts of requests, and answers that nobody has taken yet. */
export class HeldBytes {
  readonly #max: number
  /** What is held here is held there too. */
  readonly #overall: HeldBytes | undefined
  #held = 0

  constructor(max: number, overall?: HeldBytes) {
    this.#max = max
    this.#overall = overall
  }

  get isFull(): boolean {
    return this.isFullFor(0)
  }

  /** Where all together hold too much, those who hold little are served on: it is not theirs. */
  isFullFor(more: number): boolean {
    if (this.#held >= this.#max) return true
    return this.#overall?.isFull === true && this.#held + more > etcdHeldBytesSpared
  }

  add(bytes: number): void {
    this.#held += bytes
    this.#overall?.add(bytes)
  }

  remove(bytes: number): void {
    this.add(-bytes)
  }
}

/** What one call holds of it; nothing any more once the call is over. */
export class HeldByCall {
  readonly #held: HeldBytes
  #bytes = 0
  #over = false

  constructor(held: HeldBytes) {
    this.#held = held
  }

  /** In place of what was counted before. */
  set(bytes: number): void {
    if (this.#over) return
    this.#held.add(bytes - this.#bytes)
    this.#bytes = bytes
  }

  isFullFor(more: number): boolean {
    return this.#held.isFullFor(more)
  }

  end(): void {
    this.set(0)
    this.#over = true
  }
}

/** For an answer that finds no room: what the call was to do is done all the same. */
export function answerDropped(): EtcdError {
  return refuse(
    STATUS.RESOURCE_EXHAUSTED,
    'the call is done, but its answer was dropped, since too many before it are unread; read them first',
  )
}
