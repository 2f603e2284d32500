import { STATUS } from '../status.ts'

/** Told once of each call, with the code of its status, when it is known how it ends. */
export type CallEnded = (code: number) => void

const NAMES: ReadonlyMap<number, string> = new Map(Object.entries(STATUS).map(([name, code]) => [code, name]))

/** How the calls of etcd's clients ended since the start. */
export class CallCounts {
  readonly #counts = new Map<string, number>()

  /** By the names of gRPC's statuses; the map goes on counting. */
  get byStatus(): ReadonlyMap<string, number> {
    return this.#counts
  }

  readonly ended: CallEnded = (code) => {
    const name = NAMES.get(code) ?? 'UNKNOWN'
    this.#counts.set(name, (this.#counts.get(name) ?? 0) + 1)
  }
}

/** Of a call that several things may end: the first of them counts. */
export function once(ended: CallEnded): CallEnded {
  let told = false
  return (code) => {
    if (told) return
    told = true
    ended(code)
  }
}
