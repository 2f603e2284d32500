import { NodeError } from '../base/errors.ts'
import type { PackRepository, Quarantine } from './git/repository.ts'

/** Counts who is at work in a repository, so that it is not taken away from under them. */
export class Use {
  #count = 0
  #closed = false
  #idle: (() => void)[] = []

  get isClosed(): boolean {
    return this.#closed
  }

  /** @throws NodeError CONFLICT once it is closed. */
  enter(): void {
    if (this.#closed) throw new NodeError('CONFLICT', 'This copy of the dataset is being removed; try again')
    this.#count += 1
  }

  leave(): void {
    this.#count -= 1
    if (this.#count === 0) for (const idle of this.#idle.splice(0)) idle()
  }

  /** From here on nobody comes in; resolves once all have left. */
  close(): Promise<void> {
    this.#closed = true
    return new Promise((resolve) => {
      if (this.#count === 0) resolve()
      else this.#idle.push(resolve)
    })
  }

  /** It is not taken away after all. */
  reopen(): void {
    this.#closed = false
  }
}

/** Calls that give an iteration at once; all others give a promise. */
const ITERATIONS: ReadonlySet<string | symbol> = new Set<keyof PackRepository>(['packObjects', 'serveRead'])

/** The same repository, with every call counted for as long as it, or what it gave, is at work. */
export function counted(repository: PackRepository, use: Use): PackRepository {
  return new Proxy(repository, {
    get(target, key) {
      // Private fields are reached from the repository itself alone.
      const member: unknown = Reflect.get(target, key, target)
      if (typeof member !== 'function') return member
      const call = (given: unknown[]): unknown => Reflect.apply(member, target, given)
      if (ITERATIONS.has(key)) return (...given: unknown[]) => heldIteration(() => call(given), use)
      return (...given: unknown[]) => heldCall(() => call(given), use)
    },
  })
}

async function heldCall(call: () => unknown, use: Use): Promise<unknown> {
  use.enter()
  let value: unknown
  try {
    value = await call()
  } catch (error) {
    use.leave()
    throw error
  }
  // It is at work until it is discarded.
  if (isQuarantine(value)) return heldQuarantine(value, use)
  use.leave()
  if (!isOpenBlob(value)) return value
  const { content } = value
  return { ...value, content: heldIteration(() => content, use) }
}

/** At work from its first step to its end: one that nobody begins would hold the copy for ever. */
async function* heldIteration(begin: () => unknown, use: Use): AsyncGenerator<unknown> {
  use.enter()
  try {
    yield* begin() as AsyncIterable<unknown>
  } finally {
    use.leave()
  }
}

function heldQuarantine(quarantine: Quarantine, use: Use): Quarantine {
  let here = true
  return new Proxy(quarantine, {
    get(target, key) {
      const member: unknown = Reflect.get(target, key, target)
      if (typeof member !== 'function') return member
      if (key !== 'discard') return member.bind(target)
      return async () => {
        try {
          await target.discard()
        } finally {
          if (here) use.leave()
          here = false
        }
      }
    },
  })
}

function isQuarantine(value: unknown): value is Quarantine {
  return typeof value === 'object' && value !== null && 'admit' in value && 'discard' in value
}

function isOpenBlob(value: unknown): value is { content: object } {
  if (typeof value !== 'object' || value === null || !('content' in value)) return false
  return typeof value.content === 'object' && value.content !== null && Symbol.asyncIterator in value.content
}
