/**
 * How a node's key is exchanged on its disk, so that whatever is cut short leaves a node that is wholly the old one or
 * wholly the new one (protocols/keyspace.md §6). The new key lies beside the old one first; one durable write of the
 * store decides; then the file is put in the old one's place, at the next start where nothing came to it before.
 */
import { open, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { privateKeyFromProtobuf, privateKeyToProtobuf } from '@libp2p/crypto/keys'
import { type Database, DURABLE, type Table, table } from '../base/database.ts'
import { NodeError } from '../base/errors.ts'
import { generateIdentity, type Identity, identityOf, KEY_FILE } from './node-key.ts'

const NEXT_FILE = 'identity.key.next'
const CHANGE = 'change'

/** That the store is the new key's already. */
export interface KeyChange {
  readonly from: string
  readonly to: string
}

/** Where the decision lies; whoever makes it writes `change` there together with all else that has to change. */
export function keyChanges(database: Database): { readonly table: Table<KeyChange>; readonly key: string } {
  return { table: table<KeyChange>(database, 'key-change'), key: CHANGE }
}

/** A new key, durably beside the old one; one that was left there by an attempt before is of no use to anybody. */
export async function prepareKey(directory: string): Promise<Identity> {
  const path = join(directory, NEXT_FILE)
  await rm(path, { force: true })
  const identity = await generateIdentity()
  const file = await open(path, 'wx', 0o600)
  try {
    await file.writeFile(privateKeyToProtobuf(identity.privateKey))
    await file.sync()
  } finally {
    await file.close()
  }
  await syncDirectory(directory)
  return identity
}

/**
 * Brings a change that was decided to its end, and clears away one that was not. To be called before the key is read.
 *
 * @throws NodeError STORE_FAILED when the store is a key's that is not there.
 */
export async function finishKeyChange(directory: string, database: Database): Promise<void> {
  const { table: changes, key } = keyChanges(database)
  const next = join(directory, NEXT_FILE)
  const change = await changes.get(key)
  if (change === undefined) {
    await rm(next, { force: true })
    return
  }
  if ((await peerIn(next)) === change.to) {
    await rename(next, join(directory, KEY_FILE))
    await syncDirectory(directory)
  } else if ((await peerIn(join(directory, KEY_FILE))) !== change.to) {
    const message = `This node has changed its key to ${change.to}, and that key is not in ${directory}; restore ${NEXT_FILE} from a backup`
    throw new NodeError('STORE_FAILED', message, { ...change })
  }
  await changes.del(key, DURABLE)
}

async function peerIn(path: string): Promise<string | undefined> {
  const bytes = await readFile(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw error
  })
  return bytes === undefined ? undefined : identityOf(privateKeyFromProtobuf(bytes)).peerId
}

/** A rename is on the disk once its directory is. */
async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory)
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
