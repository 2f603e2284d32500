/**
 * Ed25519 by node's own crypto, with keys that are prepared once: most of what libp2p's `sign` and `verify` cost is
 * making a key object for each call. Signatures are checked in the thread pool, so that the event loop stays free.
 */
import { createPrivateKey, createPublicKey, type KeyObject, sign, verify } from 'node:crypto'
import { publicKeyFromRaw } from '@libp2p/crypto/keys'
import type { PrivateKey } from '@libp2p/interface'
import { peerIdFromPublicKey } from '@libp2p/peer-id'
import { NodeError } from '../base/errors.ts'
import { signatureChecksMax, signatureChecksWaitingMax, signerKeysMax } from '../base/limits.ts'

/** Who signed: the peer id that follows from a key, and the key as node's crypto takes it. */
export interface Signer {
  readonly peer: string
  readonly key: KeyObject
}

/** ASN.1 around a raw Ed25519 key (RFC 8410): SubjectPublicKeyInfo, and PKCS #8 of the seed. */
const SPKI_PREFIX = Buffer.from('302a300506032b6570032100', 'hex')
const PKCS8_PREFIX = Buffer.from('302e020100300506032b657004220420', 'hex')
const SEED_BYTES = 32

const signingKeys = new WeakMap<PrivateKey, KeyObject>()

/** @throws NodeError UNSUPPORTED for another key than an Ed25519 one. */
export function signWith(privateKey: PrivateKey, message: Uint8Array): Uint8Array {
  let key = signingKeys.get(privateKey)
  if (key === undefined) {
    if (privateKey.type !== 'Ed25519') {
      throw new NodeError('UNSUPPORTED', `A node signs with an Ed25519 key, not with ${privateKey.type}`)
    }
    const seed = privateKey.raw.subarray(0, SEED_BYTES)
    key = createPrivateKey({ key: Buffer.concat([PKCS8_PREFIX, seed]), format: 'der', type: 'pkcs8' })
    signingKeys.set(privateKey, key)
  }
  return sign(null, message, key)
}

/** The signers met last, so that each is prepared once; bounded, since strangers can make keys without end. */
export class Signers {
  readonly #byKey = new Map<string, Signer>()

  /** `raw` are the 32 bytes of an Ed25519 key. */
  get(raw: Uint8Array): Signer {
    const name = Buffer.from(raw.buffer, raw.byteOffset, raw.byteLength).toString('latin1')
    const known = this.#byKey.get(name)
    if (known !== undefined) {
      // A map keeps the order of insertion, so the first one is the one not met for longest.
      this.#byKey.delete(name)
      this.#byKey.set(name, known)
      return known
    }
    const peer = peerIdFromPublicKey(publicKeyFromRaw(raw)).toString()
    const key = createPublicKey({ key: Buffer.concat([SPKI_PREFIX, raw]), format: 'der', type: 'spki' })
    const signer = { peer, key }
    this.#byKey.set(name, signer)
    if (this.#byKey.size > signerKeysMax) this.#byKey.delete(this.#byKey.keys().next().value as string)
    return signer
  }
}

interface Check {
  readonly message: Uint8Array
  readonly signer: Signer
  readonly signature: Uint8Array
  readonly done: (holds: boolean) => void
}

/**
 * Checks of signatures in the thread pool, a bounded number at once: the pool also serves the disk, which is not to wait
 * behind thousands of them. When too many wait, a check is made at once on the event loop, which slows down whoever
 * brings them; none is ever refused, since a refusal would look like a forgery.
 */
export class SignatureChecks {
  readonly #waiting: Check[] = []
  #running = 0

  holds(message: Uint8Array, signer: Signer, signature: Uint8Array): Promise<boolean> {
    if (this.#waiting.length >= signatureChecksWaitingMax) {
      return Promise.resolve(verify(null, message, signer.key, signature))
    }
    return new Promise((done) => {
      const check = { message, signer, signature, done }
      if (this.#running < signatureChecksMax) this.#run(check)
      else this.#waiting.push(check)
    })
  }

  #run({ message, signer, signature, done }: Check): void {
    this.#running += 1
    verify(null, message, signer.key, signature, (error, holds) => {
      this.#running -= 1
      // An error is a key or signature that the library cannot work with: it does not hold.
      done(error === null && holds)
      const next = this.#waiting.shift()
      if (next !== undefined) this.#run(next)
    })
  }
}
