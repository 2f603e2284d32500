import { randomBytes } from 'node:crypto'
import { setImmediate } from 'node:timers/promises'
import { entryReader } from './entry-files.ts'
import type { EntryMethod } from './file-merge.ts'
import { shown } from './first-names.ts'
import { KeyTable } from './key-table.ts'
import { KeyedHash } from './keyed-hash.ts'
import { quoted, Uncountable } from './uncountable.ts'

/** Others have their turn after so many entries. */
const TURN_ENTRIES = 20_000

/**
 * Why a version of a file cannot be counted; undefined when it can. Depends on nothing but the bytes, the path and the
 * method. Takes time in proportion to the file's bytes, and memory of a few times these at most.
 *
 * @throws the signal's reason
 */
export async function inspectFile(
  method: EntryMethod,
  path: string,
  bytes: Uint8Array,
  signal?: AbortSignal,
): Promise<string | undefined> {
  try {
    await inspect(method, path, bytes, signal)
  } catch (error) {
    if (error instanceof Uncountable) return error.message
    throw error
  }
  return undefined
}

async function inspect(
  method: EntryMethod,
  path: string,
  bytes: Uint8Array,
  signal?: AbortSignal,
): Promise<void> {
  const reader = entryReader(method, path, bytes)
  const names = new KeyTable(new KeyedHash(randomBytes(8)))
  for (let entry = reader.next(); entry !== undefined; entry = reader.next()) {
    const known = names.size
    const name = names.number(entry.key, entry.keyStart, entry.keyEnd)
    if (name !== known) {
      throw new Uncountable(
        `line ${entry.line}: a second entry with the key ${quoted(shown(names.key(name)))}`,
      )
    }
    if (names.size % TURN_ENTRIES === 0) {
      await setImmediate()
      signal?.throwIfAborted()
    }
  }
}
