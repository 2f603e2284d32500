import { createHash } from 'node:crypto'
import { NodeError } from '../base/errors.ts'

/** Bytes of the key of a private network (libp2p's specification "pnet": XSalsa20). */
export const NETWORK_KEY_BYTES = 32

/** The key in the form of a swarm key file, which is what libp2p's protector reads. @throws NodeError INVALID_INPUT */
export function pskFile(key: Uint8Array): Uint8Array {
  if (key.length !== NETWORK_KEY_BYTES) {
    const message = `The key of a private network has ${NETWORK_KEY_BYTES} bytes, this one ${key.length}`
    throw new NodeError('INVALID_INPUT', message)
  }
  return Buffer.from(`/key/swarm/psk/1.0.0/\n/base16/\n${Buffer.from(key).toString('hex')}\n`)
}

/**
 * What nodes call themselves on the local network (mDNS). Those of a private network have a name of their own, so that
 * others neither find nor dial them; it is a hash of the key, from which nobody learns the key (network.md P3).
 */
export function serviceTag(key: Uint8Array | undefined): string {
  if (key === undefined) return '_mao-node._udp.local'
  const hash = createHash('sha256').update('mao-mdns\0').update(key).digest('hex')
  return `_mao-${hash.slice(0, 10)}._udp.local`
}

export function sameKey(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  return a === undefined || b === undefined ? a === b : Buffer.from(a).equals(b)
}
