import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { AbstractBatchOptions, AbstractSublevel } from 'abstract-level'
import { Level } from 'level'
import { writeCarefully } from './careful-writes.ts'
import { messageOf, NodeError } from './errors.ts'

/** The node's one level database; each room keeps to its own sublevel. */
export type Database = Level<string, string>

/** A room's part of the database: text keys, JSON values. */
export type Table<T> = AbstractSublevel<Database, string | Buffer | Uint8Array, string, T>

/** Written with `sync: true`, a value is on the disk before the call returns, and so survives a kill -9. */
export const DURABLE: { readonly sync: true } & Pick<AbstractBatchOptions<string, never>, 'keyEncoding'> = {
  sync: true,
}

/**
 * Raised when the layout of the store changes, so that an older program never misreads a newer store. 2: versions of
 * keys beside the records.
 */
export const STORE_FORMAT = '2'
/** Formats that this program takes over as it finds them: the rooms read what they lack. */
const READABLE_FORMATS: readonly (string | undefined)[] = [undefined, '1', STORE_FORMAT]
const FORMAT_KEY = 'format'

/**
 * Opens (or creates) the database below `dataDirectory`.
 *
 * @throws NodeError DATA_IN_USE when another node holds it, STORE_INCOMPATIBLE when another version wrote it,
 * STORE_FAILED when the disk refuses.
 */
export async function openDatabase(dataDirectory: string): Promise<Database> {
  const path = join(dataDirectory, 'store')
  await mkdir(path, { recursive: true, mode: 0o700 })
  const database: Database = new Level(path, { keyEncoding: 'utf8', valueEncoding: 'utf8' })
  try {
    await database.open()
  } catch (cause) {
    throw openFailure(dataDirectory, cause)
  }
  writeCarefully(database, join(dataDirectory, 'store.room'))
  const format = await database.get(FORMAT_KEY)
  if (READABLE_FORMATS.includes(format)) {
    if (format !== STORE_FORMAT) await database.put(FORMAT_KEY, STORE_FORMAT, DURABLE)
  } else {
    await database.close()
    const message = `The store in ${path} has format ${format}, this program reads ${STORE_FORMAT}; use the version that wrote it`
    throw new NodeError('STORE_INCOMPATIBLE', message, { path, format })
  }
  return database
}

/** Sublevels are named in ASCII, so no key sorts after this. */
const AFTER_ALL_KEYS = '\uffff'

/** Rewrites the files of the database without what was deleted; reads and writes go on meanwhile. */
export async function defragment(database: Database): Promise<void> {
  // Level's types leave out what only its native form can do.
  const native = database as unknown as { compactRange(from: string, to: string): Promise<void> }
  await native.compactRange('', AFTER_ALL_KEYS)
}

export function table<T>(database: Database, name: string): Table<T> {
  return database.sublevel<string, T>(name, { keyEncoding: 'utf8', valueEncoding: 'json' })
}

/** Like `table`, for values that are bytes. */
export function bytesTable(database: Database, name: string): Table<Uint8Array> {
  return database.sublevel<string, Uint8Array>(name, { keyEncoding: 'utf8', valueEncoding: 'view' })
}

function openFailure(dataDirectory: string, cause: unknown): NodeError {
  const inner = cause instanceof Error && cause.cause instanceof Error ? cause.cause : cause
  const locked = inner instanceof Error && 'code' in inner && inner.code === 'LEVEL_LOCKED'
  if (locked) {
    const message = `Another node already runs on ${dataDirectory}; stop it first, or choose another --data directory`
    return new NodeError('DATA_IN_USE', message, { dataDirectory }, { cause })
  }
  const message = `The store in ${dataDirectory} does not open: ${messageOf(inner)}`
  return new NodeError('STORE_FAILED', message, { dataDirectory }, { cause })
}
