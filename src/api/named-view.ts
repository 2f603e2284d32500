import type { Item } from '../registry/collection.ts'

/** An item of a collection as the API tells it. */
export function namedView<T>({ name, value, entry }: Item<T>) {
  const { author, timeMs, contested } = entry
  return { name, value, author, timeMs, contested }
}
