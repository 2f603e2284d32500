/** The circumstances of one call, and the end of them. */
import type { EtcdError } from '../status.ts'
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
    return this.#held >= this.#max || this.#overall?.isFull === true
  }

  add(bytes: number): void {
    this.#held += bytes
    this.#overall?.add(bytes)
  }

  remove(bytes: number): void {
    this.add(-bytes)
  }
}
