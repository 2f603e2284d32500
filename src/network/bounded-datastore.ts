import { LevelDatastore } from 'datastore-level'
import { messageOf } from '../base/errors.ts'
import {
  peerNoteBytesMax,
  peersNotedMax,
  peersUnwrittenMax,
  peersWriteDelayMs,
  tableKeyBytesMax,
  tableValueBytesMax,
} from '../base/limits.ts'
import type { Logger } from '../base/logger.ts'
import { TableEntries } from './table-entries.ts'

type Key = Parameters<LevelDatastore['put']>[0]
type Query = Parameters<LevelDatastore['query']>[0]
type Pair = { key: Key; value: Uint8Array }

/** Where the distributed table keeps what others have it keep. */
const TABLE = '/dht/'
/** Where libp2p keeps what it knows of peers. */
const PEERS = '/peers/'

/**
 * The peer store and this node's part of the distributed table. Anybody may have entries kept in the table and notes of
 * itself, with keys and addresses of any length: so their number and their size are bounded. What is too large is not
 * kept; what is too much costs whoever has most in the table, and whoever was not heard of for longest among the peers.
 *
 * libp2p reads and writes what it knows of a peer with each stream, each ping among them, and waits for both before the
 * stream goes on. So that is kept in memory and written some seconds later, all changes of one peer at once; what a crash
 * takes with it is heard again with the next connection.
 */
export class BoundedDatastore extends LevelDatastore {
  readonly #log: Logger
  #table = new TableEntries()
  /** Peers of whom there are notes, on disk or still to be written; what was written last stands last. */
  readonly #noted = new Set<string>()
  /** What was read or written lately; what was used last stands last. */
  readonly #recent = new Map<string, Uint8Array>()
  #unwritten = new Map<string, Pair>()
  #timer: NodeJS.Timeout | undefined
  #writing: Promise<void> = Promise.resolve()

  constructor(path: string, log: Logger) {
    super(path)
    this.#log = log
  }

  override async open(): Promise<void> {
    await super.open()
    this.#table = new TableEntries()
    this.#noted.clear()
    const gone: Key[] = []
    for await (const key of this.queryKeys({ prefix: TABLE })) {
      const isTooLong = key.toString().length > tableKeyBytesMax
      const names = isTooLong ? [key.toString()] : this.#table.add(key.toString())
      gone.push(...names.map((name) => keyOf(name)))
    }
    for await (const key of this.queryKeys({ prefix: PEERS })) this.#noted.add(key.toString())
    for (const key of gone) await super.delete(key)
    await this.#forgetOldest()
  }

  override async close(): Promise<void> {
    await this.#write()
    this.#recent.clear()
    await super.close()
  }

  override async get(key: Key): Promise<Uint8Array> {
    const name = key.toString()
    const known = this.#recent.get(name)
    if (known !== undefined) return known
    const value = await super.get(key)
    // Another call may have written it meanwhile.
    if (name.startsWith(PEERS) && !this.#recent.has(name)) this.#recall(name, value)
    return value
  }

  override async has(key: Key): Promise<boolean> {
    return this.#recent.has(key.toString()) || super.has(key)
  }

  override async put(key: Key, value: Uint8Array): Promise<Key> {
    const name = key.toString()
    if (name.startsWith(PEERS)) {
      // What was known before stays: nobody has that much to say of itself.
      if (value.byteLength > peerNoteBytesMax) return key
      this.#noted.delete(name)
      this.#noted.add(name)
      await this.#forgetOldest()
      this.#recall(name, value)
      this.#unwritten.set(name, { key, value })
      if (this.#unwritten.size >= peersUnwrittenMax) await this.#write()
      else this.#timer ??= setTimeout(() => void this.#write(), peersWriteDelayMs).unref()
      return key
    }
    if (name.startsWith(TABLE)) {
      if (name.length > tableKeyBytesMax || value.byteLength > tableValueBytesMax) return key
      for (const gone of this.#table.add(name)) await super.delete(keyOf(gone))
    }
    return super.put(key, value)
  }

  override async delete(key: Key): Promise<void> {
    const name = key.toString()
    this.#recent.delete(name)
    this.#unwritten.delete(name)
    // What is being written would else come after it.
    await this.#writing
    if (name.startsWith(TABLE)) this.#table.remove(name)
    this.#noted.delete(name)
    await super.delete(key)
  }

  override async *query(query: Query): AsyncGenerator<Pair> {
    await this.#write()
    yield* super.query(query)
  }

  override async *queryKeys(query: Parameters<LevelDatastore['queryKeys']>[0]): AsyncGenerator<Key> {
    await this.#write()
    yield* super.queryKeys(query)
  }

  /** Forgets peers beyond the bound; libp2p hears of those that come again. */
  async #forgetOldest(): Promise<void> {
    for (const oldest of this.#noted) {
      if (this.#noted.size <= peersNotedMax) return
      await this.delete(keyOf(oldest))
    }
  }

  #recall(name: string, value: Uint8Array): void {
    this.#recent.delete(name)
    this.#recent.set(name, value)
    if (this.#recent.size <= peersUnwrittenMax) return
    // What is not written yet must not be read from the disk.
    for (const oldest of this.#recent.keys()) {
      if (this.#unwritten.has(oldest)) continue
      this.#recent.delete(oldest)
      return
    }
  }

  /** Writes what has changed; what cannot be written is tried again with the next change. */
  #write(): Promise<void> {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#writing = this.#writing.then(async () => {
      const pairs = this.#unwritten
      if (pairs.size === 0) return
      this.#unwritten = new Map()
      try {
        const batch = this.batch()
        for (const { key, value } of pairs.values()) batch.put(key, value)
        await batch.commit()
      } catch (error) {
        this.#unwritten = new Map([...pairs, ...this.#unwritten])
        this.#log.warn({ error: messageOf(error) }, 'what is known of peers could not be written')
      }
    })
    return this.#writing
  }
}

/** All that a store asks of a key. */
function keyOf(name: string): Key {
  return { toString: () => name } as Key
}
