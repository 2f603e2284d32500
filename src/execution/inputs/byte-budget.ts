import { NodeError } from '../../base/errors.ts'

/** What all inputs of a step together may take on the disk. */
export class ByteBudget {
  readonly bytesMax: number
  #taken = 0

  constructor(bytesMax: number) {
    this.bytesMax = bytesMax
  }

  get leftBytes(): number {
    return this.bytesMax - this.#taken
  }

  /** @throws NodeError TOO_LARGE when that is more than is left. */
  take(bytes: number, what: string): void {
    if (bytes > this.leftBytes) throw this.excess(what)
    this.#taken += bytes
  }

  excess(what: string): NodeError {
    const { bytesMax } = this
    const message = `${what} does not fit: the inputs of a step may take ${bytesMax} bytes on this node; ask for more with resources.diskBytes of the step, or raise the setting execution.outputBytes`
    return new NodeError('TOO_LARGE', message, { bytesMax })
  }
}
