import { hkdfSync } from 'node:crypto'
import type { PrivateKey } from '@libp2p/interface'

const KEY_BYTES = 32
const SEED_BYTES = 32

/**
 * A symmetric key that follows from a node's private key and from what it is for, so that what is sealed with it opens
 * on this node alone, and a key for one purpose says nothing of another. HKDF with SHA-256 (RFC 5869); the private key
 * is uniformly random, so no salt is needed (RFC 5869, 3.1), and `purpose` is its `info` (3.2).
 */
export function derivedKey(privateKey: Pick<PrivateKey, 'raw'>, purpose: string): Uint8Array {
  // Of an Ed25519 key the first half is the secret seed (RFC 8032, 5.1.5), the second its public key.
  const seed = privateKey.raw.subarray(0, SEED_BYTES)
  return new Uint8Array(hkdfSync('sha256', seed, new Uint8Array(), purpose, KEY_BYTES))
}
