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

/** The same repository, with every call counted for as long as it, or what it gave, is at work. */
export function counted(repository: PackRepository, use: Use): PackRepository {
  return new Proxy(repository, {
    get(target, key) {
      // Private fields are reached from the repository itself alone.
      const member: unknown = Reflect.get(target, key, target)
      if (typeof member !== 'function') return member
      return (...given: unknown[]) => {
        use.enter()
        let result: unknown
        try {
          result = Reflect.apply(member, target, given)
        } catch (error) {
          use.leave()
          throw error
        }
        return held(result, use)
      }
    },
  })
}

/** Leaves when what a call gave has come to its end. */
function held(result: unknown, use: Use): unknown {
  if (result instanceof Promise) {
    return result.then(
      (value: unknown) => {
        if (isQuarantine(value)) return heldQuarantine(value, use)
        use.leave()
        return isOpenBlob(value) ? { ...value, content: heldIteration(value.content, use) } : value
      },
      (error: unknown) => {
        use.leave()
        throw error
      },
    )
  }
  use.leave()
  return isIteration(result) ? heldIteration(result, use) : result
}

/** At work from its first step to its end: one that nobody begins would hold the copy for ever. */
async function* heldIteration(iteration: AsyncIterable<unknown>, use: Use): AsyncGenerator<unknown> {
  use.enter()
  try {
    yield* iteration
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

function isIteration(value: unknown): value is AsyncIterable<unknown> {
  return typeof value === 'object' && value !== null && Symbol.asyncIterator in value
}

function isQuarantine(value: unknown): value is Quarantine {
  return typeof value === 'object' && value !== null && 'admit' in value && 'discard' in value
}

function isOpenBlob(value: unknown): value is { content: AsyncIterable<unknown> } {
  return typeof value === 'object' && value !== null && 'content' in value && isIteration(value.content)
}
