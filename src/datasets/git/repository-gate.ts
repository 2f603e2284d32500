import { storeQueueMax } from '../../base/limits.ts'
import { SerialQueue } from '../../base/serial-queue.ts'

/**
 * Writers pass a repository's gate side by side; who is about to remove what nothing reaches passes it alone. The
 * program git has no such door: beside each other, one process can drop what another is about to name.
 */
export class RepositoryGate {
  /** Collections, one after another. */
  readonly upkeep = new SerialQueue(storeQueueMax)
  #inside = 0
  #alone = false
  #borrowers = 0
  readonly #waiting: (() => void)[] = []

  /** True while somebody is in the middle of something longer than one step that relies on objects no branch names. */
  get lends(): boolean {
    return this.#borrowers > 0
  }

  /** @returns what ends the loan; it may be called twice. */
  lend(): () => void {
    this.#borrowers += 1
    let open = true
    return () => {
      if (open) this.#borrowers -= 1
      open = false
    }
  }

  async together<T>(task: () => Promise<T>): Promise<T> {
    while (this.#alone) await this.#changed()
    this.#inside += 1
    try {
      return await task()
    } finally {
      this.#inside -= 1
      this.#wake()
    }
  }

  async alone<T>(task: () => Promise<T>): Promise<T> {
    while (this.#alone) await this.#changed()
    // From here on nobody new comes in, so that this cannot wait for ever.
    this.#alone = true
    while (this.#inside > 0) await this.#changed()
    try {
      return await task()
    } finally {
      this.#alone = false
      this.#wake()
    }
  }

  #changed(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve))
  }

  #wake(): void {
    for (const resume of this.#waiting.splice(0)) resume()
  }
}

/** One gate for each repository, however often it is opened. */
export class RepositoryGates {
  readonly #gates = new Map<string, RepositoryGate>()

  of(path: string): RepositoryGate {
    const gate = this.#gates.get(path) ?? new RepositoryGate()
    this.#gates.set(path, gate)
    return gate
  }
}
