import { randomBytes } from 'node:crypto'
import { entryReader } from './entry-files.ts'
import type { EntryMethod } from './file-merge.ts'
import { shown } from './first-names.ts'
import { KeyTable } from './key-table.ts'
import { KeyedHash } from './keyed-hash.ts'
import { quoted, Uncountable } from './uncountable.ts'

/**
 * Why a version of a file cannot be counted; undefined when it can. Bounded in time by the file's bytes, and in memory by
 * a few times its bytes.
 */
export function inspectFile(method: EntryMethod, path: string, bytes: Uint8Array): string | undefined {
  try {
    inspect(method, path, bytes)
  } catch (error) {
    if (error instanceof Uncountable) return error.message
    throw error
  }
  return undefined
}

/** @throws Uncountable */
function inspect(method: EntryMethod, path: string, bytes: Uint8Array): void {
  const reader = entryReader(method, path, bytes)
  const names = new KeyTable(new KeyedHash(randomBytes(8)))
  for (let entry = reader.next(); entry !== undefined; entry = reader.next()) {
    const known = names.size
    const name = names.number(entry.key, entry.keyStart, entry.keyEnd)
    if (name === known) continue
    throw new Uncountable(`line ${entry.line}: a second entry with the key ${quoted(shown(names.key(name)))}`)
  }
}
