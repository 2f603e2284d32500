import type { z } from 'zod'
import { NodeError } from '../base/errors.ts'
import type { Logger } from '../base/logger.ts'
import type { Registry } from './registry.ts'
import type { Entry } from './watchers.ts'

/** One named value of a collection. */
export interface Item<T> {
  /** What follows the prefix in the key. */
  readonly name: string
  readonly value: T
  readonly entry: Entry
}

export interface CollectionParts<T> {
  readonly registry: Pick<Registry, 'get' | 'list' | 'put' | 'delete' | 'watch'>
  /** Ends with a slash. */
  readonly prefix: string
  readonly schema: z.ZodType<T>
  readonly log: Logger
}

/**
 * One prefix of the registry as named JSON values of one schema. Peers may run other versions of this program: a value
 * that does not fit the schema is left out, and the log says so once per revision.
 */
export class Collection<T> {
  readonly #parts: CollectionParts<T>
  readonly #complained = new Map<string, number>()

  constructor(parts: CollectionParts<T>) {
    this.#parts = parts
  }

  get(name: string): Item<T> | undefined {
    const entry = this.#parts.registry.get(this.#parts.prefix + name)
    return entry === undefined ? undefined : this.#item(entry)
  }

  /** Sorted by name; only the names below `under` when it is given. */
  list(under = ''): Item<T>[] {
    return this.#parts.registry
      .list(this.#parts.prefix + under)
      .map((entry) => this.#item(entry))
      .filter((item) => item !== undefined)
  }

  /**
   * @param options.shown false for a claim that counts although another's is shown.
   * @throws NodeError INVALID_INPUT when the value does not fit the schema, CONFLICT when the name is another member's,
   * and what `Registry.put` throws.
   */
  async put(name: string, value: T, options: { expiresMs?: number; shown?: boolean } = {}): Promise<Item<T>> {
    const key = this.#parts.prefix + name
    const parsed = this.#parts.schema.safeParse(value)
    if (!parsed.success) {
      const problems = parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`)
      throw new NodeError('INVALID_INPUT', `${key} does not fit: ${problems.join('; ')}`, { key, problems })
    }
    const entry = await this.#parts.registry.put(key, encodeJson(parsed.data), { shown: true, ...options })
    return { name, value: parsed.data, entry }
  }

  /** @throws NodeError CONFLICT when the name is another member's. */
  async remove(name: string, { shown = true }: { shown?: boolean } = {}): Promise<void> {
    await this.#parts.registry.delete(this.#parts.prefix + name, { shown })
  }

  /** Hears of each item that changes, and of each that goes (undefined). @returns how to stop watching. */
  watch(onItem: (name: string, item: Item<T> | undefined) => void): () => void {
    const { registry, prefix } = this.#parts
    return registry.watch(prefix, ({ key, entry }) => {
      onItem(key.slice(prefix.length), entry === undefined ? undefined : this.#item(entry))
    })
  }

  #item(entry: Entry): Item<T> | undefined {
    const parsed = this.#parts.schema.safeParse(decodeJson(entry.value))
    if (parsed.success) {
      return { name: entry.key.slice(this.#parts.prefix.length), value: parsed.data, entry }
    }
    if (this.#complained.get(entry.key) !== entry.revision) {
      this.#complained.set(entry.key, entry.revision)
      this.#parts.log.warn(
        { key: entry.key, author: entry.author },
        'a record does not fit its schema; left out',
      )
    }
    return undefined
  }
}

export function encodeJson(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value))
}

/** Undefined when the bytes are no JSON; what a peer writes is never trusted to be. */
export function decodeJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch {
    return undefined
  }
}
