import { chmod, open, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { generateKeyPair, privateKeyFromProtobuf, privateKeyToProtobuf } from '@libp2p/crypto/keys'
import type { PrivateKey } from '@libp2p/interface'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { NodeError } from '../base/errors.ts'

/** Who this node is: its Ed25519 key and the libp2p peer id that follows from it. */
export interface Identity {
  /** Peer id in its text form (`12D3Koo…`). */
  readonly peerId: string
  readonly privateKey: PrivateKey
}

export const KEY_FILE = 'identity.key'

/**
 * The key in `directory`, made at the first call. The file (libp2p's protobuf form) is readable by its owner alone.
 *
 * @throws NodeError STORE_FAILED when the file holds no Ed25519 key; a new identity is never made silently over an old one.
 */
export async function loadIdentity(directory: string): Promise<Identity> {
  const path = join(directory, KEY_FILE)
  const stored = await readFile(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw error
  })
  if (stored === undefined) return createIdentity(path)
  await chmod(path, 0o600)
  try {
    const privateKey = privateKeyFromProtobuf(stored)
    // [E6] Nobody would take a word of a node with another kind of key (protocols/envelope.md).
    if (privateKey.type !== 'Ed25519') throw new Error(`It holds a key of type ${privateKey.type}`)
    return identityOf(privateKey)
  } catch (cause) {
    const message = `${path} holds no Ed25519 key; restore it from a backup, or remove it to become a new node`
    throw new NodeError('STORE_FAILED', message, { path }, { cause })
  }
}

export function identityOf(privateKey: PrivateKey): Identity {
  return { peerId: peerIdFromPrivateKey(privateKey).toString(), privateKey }
}

/** A fresh identity that is written nowhere. */
export async function generateIdentity(): Promise<Identity> {
  return identityOf(await generateKeyPair('Ed25519'))
}

async function createIdentity(path: string): Promise<Identity> {
  const identity = await generateIdentity()
  // 'wx': two nodes that start on one new directory cannot both make its key.
  const file = await open(path, 'wx', 0o600)
  try {
    await file.writeFile(privateKeyToProtobuf(identity.privateKey))
    await file.sync()
  } finally {
    await file.close()
  }
  return identity
}
