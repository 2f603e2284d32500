import { LevelDatastore } from 'datastore-level'
import { tableEntriesMax } from '../base/limits.ts'

type Key = Parameters<LevelDatastore['put']>[0]

/** Where the distributed table keeps what others have it keep. */
const TABLE = '/dht/'

/**
 * The peer store and this node's part of the distributed table. Anybody may have entries kept in the table, so they are
 * counted; beyond the bound a new one is dropped, which its owner overcomes on the other nodes near to its key.
 */
export class BoundedDatastore extends LevelDatastore {
  #entries = 0

  override async open(): Promise<void> {
    await super.open()
    this.#entries = 0
    for await (const _ of this.queryKeys({ prefix: TABLE })) this.#entries += 1
  }

  override async put(key: Key, value: Uint8Array): Promise<Key> {
    if (isTable(key) && !(await this.has(key))) {
      if (this.#entries >= tableEntriesMax) return key
      this.#entries += 1
    }
    return super.put(key, value)
  }

  override async delete(key: Key): Promise<void> {
    if (isTable(key) && (await this.has(key))) this.#entries -= 1
    await super.delete(key)
  }
}

function isTable(key: Key): boolean {
  return key.toString().startsWith(TABLE)
}
