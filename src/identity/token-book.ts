/**
 * The tokens of one node. The owner's stands in the data directory and opens everything; further ones have a scope, a
 * name and an end, and of them only a hash is kept: a token has 256 random bits, so that a plain SHA-256 of it can be
 * guessed no better than the token itself, and who reads the store or a backup cannot use what it holds.
 */
import { createHash, randomBytes } from 'node:crypto'
import { z } from 'zod'
import type { Clock } from '../base/clock.ts'
import { type Database, DURABLE, type Table, table } from '../base/database.ts'
import { NodeError } from '../base/errors.ts'
import {
  DAY_MS,
  storeQueueMax,
  tokenKeptMs,
  tokenLifeDefaultMs,
  tokenLifeMaxMs,
  tokenLifeMinMs,
  tokensMax,
  tokenUseMarkMs,
} from '../base/limits.ts'
import type { Logger } from '../base/logger.ts'
import { SerialQueue } from '../base/serial-queue.ts'
import { nodeProof, openToken, renewToken, tokenCheck } from './access-token.ts'
import { type Principal, SCOPES, type Scope } from './scopes.ts'

const OWNER: Principal = { id: 'owner', name: 'owner', scope: 'admin' }
const ID_BYTES = 6
const SECRET_BYTES = 32
/** Begins alike everywhere, so that scanners of public code can tell one that was published by mistake. */
const FORM = /^mao_([0-9a-f]{12})_([A-Za-z0-9_-]{43})$/

const storedSchema = z.object({
  name: z.string(),
  scope: z.enum(SCOPES),
  /** SHA-256 of the secret, hex. */
  hash: z.string(),
  createdMs: z.number(),
  expiresMs: z.number(),
  usedMs: z.number().optional(),
})
type Stored = z.infer<typeof storedSchema>

/** A token as it can be told: everything but what opens. */
export type KnownToken = { readonly id: string } & Omit<Stored, 'hash'>

export interface TokenBookParts {
  /** The data directory. */
  readonly directory: string
  readonly database: Database
  readonly clock: Clock
  readonly log: Logger
}

export class TokenBook {
  readonly #parts: TokenBookParts
  readonly #table: Table<Stored>
  readonly #tokens = new Map<string, Stored>()
  /** What is noted of a use never overtakes what ends the token. */
  readonly #writes = new SerialQueue(storeQueueMax)
  #isOwners: (presented: string) => boolean = () => false
  #owners: string | undefined
  #opened = false

  constructor(parts: TokenBookParts) {
    this.#parts = parts
    this.#table = table<Stored>(parts.database, 'tokens')
  }

  /** Reads what is known and makes the owner's token at the first start. @throws NodeError INVALID_CONFIG, STORE_FAILED */
  async open(): Promise<void> {
    this.#takeOwners(await openToken(this.#parts.directory))
    this.#tokens.clear()
    for await (const [id, stored] of this.#table.iterator()) this.#tokens.set(id, storedSchema.parse(stored))
    this.#opened = true
  }

  /** Who presents this; undefined for nobody. @throws NodeError TOKEN_EXPIRED */
  check(presented: string): Principal | undefined {
    if (!this.#opened) return undefined
    if (this.#isOwners(presented)) return OWNER
    const [, id = '', secret = ''] = FORM.exec(presented) ?? []
    const stored = this.#tokens.get(id)
    // Both are hashes of the same length, and who could time the comparison would learn of a hash alone.
    if (stored === undefined || stored.hash !== hashOf(secret)) return undefined
    const now = this.#parts.clock.now()
    if (stored.expiresMs <= now) {
      const when = new Date(stored.expiresMs).toISOString()
      const message = `The token ${stored.name} expired at ${when}; ask whoever gave it to you for a new one`
      throw new NodeError('TOKEN_EXPIRED', message, { id, expiresMs: stored.expiresMs })
    }
    this.#markUse(id, stored, now)
    return { id, name: stored.name, scope: stored.scope }
  }

  /** @returns the token, which is told only now. @throws NodeError INVALID_INPUT, ALREADY_EXISTS, QUOTA_EXCEEDED */
  async create(wanted: {
    name: string
    scope: Scope
    lifeMs?: number | undefined
  }): Promise<{ token: string; known: KnownToken }> {
    const { name, scope, lifeMs = tokenLifeDefaultMs } = wanted
    if (!(lifeMs >= tokenLifeMinMs && lifeMs <= tokenLifeMaxMs)) {
      const message = `A token is good for a minute to ${tokenLifeMaxMs / DAY_MS} days`
      throw new NodeError('INVALID_INPUT', message, { lifeMs })
    }
    const now = this.#parts.clock.now()
    await this.#sweep(now)
    const same = [...this.#tokens].find(([, known]) => known.name === name && known.expiresMs > now)
    if (same !== undefined) {
      const message = `A token ${name} exists (${same[0]}); revoke it first, or choose another name`
      throw new NodeError('ALREADY_EXISTS', message, { id: same[0] })
    }
    if (this.#tokens.size >= tokensMax) {
      throw new NodeError('QUOTA_EXCEEDED', `This node has ${tokensMax} tokens; revoke some`)
    }
    const id = randomBytes(ID_BYTES).toString('hex')
    const secret = randomBytes(SECRET_BYTES).toString('base64url')
    const stored = { name, scope, hash: hashOf(secret), createdMs: now, expiresMs: now + lifeMs }
    await this.#table.put(id, stored, DURABLE)
    this.#tokens.set(id, stored)
    return { token: `mao_${id}_${secret}`, known: told(id, stored) }
  }

  /** Sorted by name; expired ones stay for a while. */
  list(): KnownToken[] {
    return [...this.#tokens]
      .map(([id, stored]) => told(id, stored))
      .sort((a, b) => (a.name < b.name ? -1 : 1))
  }

  /** By id or name; it opens nothing from the next request on, and what it opened ends within a second. @throws NodeError NOT_FOUND */
  async revoke(idOrName: string): Promise<KnownToken> {
    const [id, stored] =
      [...this.#tokens].find(([one, { name }]) => one === idOrName || name === idOrName) ?? []
    if (id === undefined || stored === undefined) {
      throw new NodeError('NOT_FOUND', `There is no token ${idOrName}; "maoctl token list" shows them`)
    }
    // Refused at once, also where the disk is full and the store still has it until the next try.
    this.#tokens.delete(id)
    await this.#writes.run(() => this.#table.del(id, DURABLE))
    return told(id, stored)
  }

  /** Replaces the owner's token; the one before opens nothing any more. @throws NodeError STORE_FAILED */
  async renewOwners(): Promise<void> {
    this.#takeOwners(await renewToken(this.#parts.directory))
  }

  /** What only this node can say to a challenge (nodeProof); undefined before it is open. */
  prove(challenge: string, host: string): string | undefined {
    return this.#owners === undefined ? undefined : nodeProof(this.#owners, challenge, host)
  }

  #takeOwners(token: string): void {
    this.#isOwners = tokenCheck(token)
    this.#owners = token
  }

  #markUse(id: string, stored: Stored, now: number): void {
    if (now - (stored.usedMs ?? 0) < tokenUseMarkMs) return
    const used = { ...stored, usedMs: now }
    this.#tokens.set(id, used)
    const noted = this.#writes.run(async () => {
      // Revoked meanwhile, it is not to stand there again at the next start.
      if (this.#tokens.has(id)) await this.#table.put(id, used)
    })
    noted.catch((error: unknown) => {
      this.#parts.log.warn({ err: error }, 'the last use of a token was not noted')
    })
  }

  async #sweep(now: number): Promise<void> {
    const old = [...this.#tokens].filter(([, { expiresMs }]) => expiresMs + tokenKeptMs <= now)
    for (const [id] of old) {
      await this.#table.del(id)
      this.#tokens.delete(id)
    }
  }
}

function told(id: string, { hash: _, ...known }: Stored): KnownToken {
  return { id, ...known }
}

function hashOf(secret: string): string {
  return createHash('sha256').update(secret).digest('hex')
}
