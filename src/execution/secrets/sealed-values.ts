/**
 * Values that lie on the disk sealed, such as secrets, credentials of image registries and passwords of mail servers:
 * whoever copies the database without the node's key file reads their names and nothing else. Each is encrypted and
 * authenticated by AES-256-GCM (NIST SP 800-38D) under a fresh random nonce of 96 bits (8.2.2), with its namespace and
 * name as additional data, so that one cannot be put in the place of another.
 */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'
import { systemClock } from '../../base/clock.ts'
import { type Database, DURABLE, type Table, table } from '../../base/database.ts'
import { NodeError } from '../../base/errors.ts'
import { sealedNameCharactersMax, sealedValueBytesMax, sealedValuesMax } from '../../base/limits.ts'

/** What the key is derived for; see identity/derived-key.ts. */
export const SEALING_PURPOSE = 'mao sealed values 1'

const CIPHER = 'aes-256-gcm'
const NONCE_BYTES = 12
const TAG_BYTES = 16

interface Sealed {
  /** Nonce, ciphertext and tag, in base64. */
  sealed: string
  timeMs: number
}

export interface SealedName {
  readonly name: string
  /** When it was put, ms since the epoch. */
  readonly timeMs: number
}

export class SealedValues {
  readonly #table: Table<Sealed>
  readonly #key: Uint8Array

  /** @param parts.key 32 bytes. */
  constructor(parts: { database: Database; key: Uint8Array }) {
    this.#table = table(parts.database, 'sealed-values')
    this.#key = parts.key
  }

  /**
   * Puts a value, replacing the one before; it is on the disk when this resolves.
   *
   * @throws NodeError INVALID_NAME, TOO_LARGE, QUOTA_EXCEEDED
   */
  async put(namespace: string, name: string, value: string): Promise<void> {
    if (name === '' || name.length > sealedNameCharactersMax) {
      const message = `A sealed value has a name of 1 to ${sealedNameCharactersMax} characters`
      throw new NodeError('INVALID_NAME', message)
    }
    const bytes = Buffer.from(value)
    if (bytes.length > sealedValueBytesMax) {
      const message = `The value of ${name} has ${bytes.length} bytes; ${sealedValueBytesMax} can be sealed`
      throw new NodeError('TOO_LARGE', message, { name })
    }
    const key = keyOf(namespace, name)
    if ((await this.#table.get(key)) === undefined) await this.#checkRoom(namespace)
    await this.#table.put(
      key,
      { sealed: sealWith(this.#key, key, bytes), timeMs: systemClock.now() },
      DURABLE,
    )
  }

  /**
   * The value, or undefined where none has that name.
   *
   * @throws NodeError STORE_FAILED when this node's key does not open it.
   */
  async get(namespace: string, name: string): Promise<string | undefined> {
    const key = keyOf(namespace, name)
    const found = await this.#table.get(key)
    if (found === undefined) return undefined
    try {
      return this.#open(key, Buffer.from(found.sealed, 'base64'))
    } catch (cause) {
      const message = `${name} was sealed with another key than this node's, or changed on the disk; set it again`
      throw new NodeError('STORE_FAILED', message, { name }, { cause })
    }
  }

  /** The names of a namespace, sorted. */
  async list(namespace: string): Promise<SealedName[]> {
    const found: SealedName[] = []
    const from = `${encodeURIComponent(namespace)}/`
    for await (const [key, { timeMs }] of this.#table.iterator({ gt: from, lt: `${from}\uffff` })) {
      found.push({ name: decodeURIComponent(key.slice(from.length)), timeMs })
    }
    return found
  }

  /** @returns whether there was one. */
  async remove(namespace: string, name: string): Promise<boolean> {
    const key = keyOf(namespace, name)
    if ((await this.#table.get(key)) === undefined) return false
    await this.#table.del(key, DURABLE)
    return true
  }

  /**
   * Every value as it is sealed with another key, as writes for one batch of the store.
   *
   * @throws NodeError STORE_FAILED for a value that this node's key does not open: none is lost unnoticed.
   */
  async resealed(key: Uint8Array): Promise<readonly object[]> {
    const operations: object[] = []
    for await (const [name, { sealed, timeMs }] of this.#table.iterator()) {
      let value: string
      try {
        value = this.#open(name, Buffer.from(sealed, 'base64'))
      } catch (cause) {
        const message = `${name} was sealed with another key than this node's, or changed on the disk; remove it first`
        throw new NodeError('STORE_FAILED', message, { name }, { cause })
      }
      const anew = { sealed: sealWith(key, name, Buffer.from(value)), timeMs }
      operations.push({ type: 'put', sublevel: this.#table, key: name, value: anew })
    }
    return operations
  }

  async #checkRoom(namespace: string): Promise<void> {
    const { length } = await this.list(namespace)
    if (length < sealedValuesMax) return
    const message = `${length} values of this kind are sealed already, which is the most; remove one first`
    throw new NodeError('QUOTA_EXCEEDED', message, { namespace })
  }

  #open(name: string, sealed: Buffer): string {
    const tagAt = sealed.length - TAG_BYTES
    const nonce = sealed.subarray(0, NONCE_BYTES)
    const decipher = createDecipheriv(CIPHER, this.#key, nonce, { authTagLength: TAG_BYTES })
    decipher.setAAD(Buffer.from(name))
    decipher.setAuthTag(sealed.subarray(tagAt))
    const value = [decipher.update(sealed.subarray(NONCE_BYTES, tagAt)), decipher.final()]
    return Buffer.concat(value).toString('utf8')
  }
}

function sealWith(key: Uint8Array, name: string, value: Uint8Array): string {
  const nonce = randomBytes(NONCE_BYTES)
  const cipher = createCipheriv(CIPHER, key, nonce, { authTagLength: TAG_BYTES })
  cipher.setAAD(Buffer.from(name))
  const sealed = [nonce, cipher.update(value), cipher.final(), cipher.getAuthTag()]
  return Buffer.concat(sealed).toString('base64')
}

/** Neither part holds a slash after this, so no two names meet. */
function keyOf(namespace: string, name: string): string {
  return `${encodeURIComponent(namespace)}/${encodeURIComponent(name)}`
}
