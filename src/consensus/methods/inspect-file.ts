import { DistinctReader } from './distinct-reader.ts'
import { entryReader } from './entry-files.ts'
import type { EntryMethod } from './file-merge.ts'
import { Turns } from './turns.ts'
import { Uncountable } from './uncountable.ts'

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
  const reader = new DistinctReader(entryReader(method, path, bytes))
  const turns = new Turns()
  for (let entry = reader.next(); entry !== undefined; entry = reader.next()) {
    if (turns.isDue) {
      await turns.pass()
      signal?.throwIfAborted()
    }
  }
}
