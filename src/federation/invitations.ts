/**
 * Invitations: an operator hands a token to whom it trusts, over whatever channel the two already share. The token says
 * where the federation is and carries a secret that admits once; the operator's node keeps only the secret's hash.
 */
import { createHash, randomBytes } from 'node:crypto'
import { z } from 'zod'
import type { Clock } from '../base/clock.ts'
import { type Database, DURABLE, type Table, table } from '../base/database.ts'
import { NodeError } from '../base/errors.ts'
import { invitationLifeDefaultMs, invitationLifeMaxMs, invitationsMax } from '../base/limits.ts'
import { wantedFrom } from '../network/supervisor.ts'
import { ROLES, type Role } from './keyspace.ts'

/** 32 bytes as base64url. */
const NETWORK_KEY_LENGTH = 43

const tokenSchema = z.strictObject({
  federation: z.string().min(1).max(100),
  name: z.string().max(100),
  /** Addresses of the inviting node, its peer id included. */
  addresses: z.array(z.string().max(500)).min(1).max(32),
  expiresMs: z.number().int(),
  secret: z.string().min(20).max(100),
  /** What the newcomer will be, for it to know; the inviting node goes by its own book. A member, without a word. */
  role: z.enum(ROLES).optional(),
  /** When its membership will end by itself, ms. */
  until: z.number().int().optional(),
  /** What a private federation's network asks for, base64url. */
  networkKey: z.string().length(NETWORK_KEY_LENGTH).optional(),
})
export type Invitation = z.infer<typeof tokenSchema>

const TOKEN_PREFIX = 'mao1-'

export function encodeInvitation(invitation: Invitation): string {
  return TOKEN_PREFIX + Buffer.from(JSON.stringify(invitation)).toString('base64url')
}

/** Reads a token; asks nobody. @throws NodeError INVITATION_INVALID, or INVITATION_EXPIRED by this node's clock. */
export function decodeInvitation(token: string, nowMs: number): Invitation {
  const invalid = (cause?: unknown) =>
    new NodeError(
      'INVITATION_INVALID',
      'This is no invitation; copy the whole token, from mao1- to its end',
      {},
      { cause },
    )
  const copied = token.trim()
  if (!copied.startsWith(TOKEN_PREFIX)) throw invalid()
  let invitation: Invitation
  try {
    invitation = tokenSchema.parse(
      JSON.parse(Buffer.from(copied.slice(TOKEN_PREFIX.length), 'base64url').toString()),
    )
  } catch (cause) {
    throw invalid(cause)
  }
  // Nobody could be asked: it was put together by hand, or cut.
  if (wantedFrom(invitation.addresses).length === 0) throw invalid()
  if (invitation.expiresMs <= nowMs) throw expired(invitation.expiresMs)
  return invitation
}

const issuedSchema = z.object({
  /** Which federation it opens; early ones do not say. */
  federation: z.string().optional(),
  expiresMs: z.number(),
  usedBy: z.string().optional(),
  role: z.enum(ROLES).default('member'),
  until: z.number().optional(),
  /** For whom it is, in the operator's words. */
  note: z.string().default(''),
})
type Issued = z.input<typeof issuedSchema>

/** What an invitation admits as. */
export interface Grade {
  readonly role: Role
  /** When the membership ends by itself, ms. */
  readonly until?: number
}

export interface IssuedInvitation extends Grade {
  /** The first letters of the hash of its secret. */
  readonly id: string
  readonly expiresMs: number
  /** Peer id of who came in with it. */
  readonly usedBy?: string
  readonly note: string
}

export interface WantedInvitation {
  readonly lifeMs?: number
  readonly role?: Role
  readonly until?: number
  readonly note?: string
}

const ID_LENGTH = 10

export interface InvitationBookParts {
  readonly database: Database
  readonly clock: Clock
}

/** The invitations that this node has issued, by the hash of their secret. */
export class InvitationBook {
  readonly #table: Table<Issued>
  readonly #clock: Clock
  #federation: string | undefined
  /** Redemptions run one after another: of two peers with one token the second must see the first. */
  #redeeming: Promise<unknown> = Promise.resolve()

  constructor(parts: InvitationBookParts) {
    this.#table = table<Issued>(parts.database, 'invitations')
    this.#clock = parts.clock
  }

  /**
   * Says of which federation the book is from now on. What opens another one is forgotten: a node may have ended on its
   * way out of it.
   */
  bind(federation: string): Promise<void> {
    return this.#inTurn(async () => {
      for (const [key, issued] of await this.#table.iterator().all()) {
        if (issued.federation === undefined) await this.#table.put(key, { ...issued, federation }, DURABLE)
        else if (issued.federation !== federation) await this.#table.del(key, DURABLE)
      }
      this.#federation = federation
    })
  }

  /** @throws NodeError INVALID_INPUT (a life beyond the bound, an end that has passed), QUEUE_FULL (too many open invitations). */
  async issue(wanted: WantedInvitation = {}): Promise<IssuedInvitation & { secret: string }> {
    const { lifeMs = invitationLifeDefaultMs, role = 'member', until, note = '' } = wanted
    const nowMs = this.#clock.now()
    if (!(lifeMs > 0 && lifeMs <= invitationLifeMaxMs)) {
      const days = (invitationLifeMaxMs / invitationLifeDefaultMs) * 7
      throw new NodeError('INVALID_INPUT', `An invitation lives up to ${days} days`, { lifeMs })
    }
    if (until !== undefined && until <= nowMs) {
      throw new NodeError('INVALID_INPUT', 'The membership would be over before it began', { until })
    }
    await this.#dropExpired()
    if ((await this.#table.keys().all()).length >= invitationsMax) {
      const message = `${invitationsMax} invitations are open; revoke some, or wait until some have expired`
      throw new NodeError('QUEUE_FULL', message)
    }
    const secret = randomBytes(24).toString('base64url')
    const issued = { expiresMs: nowMs + lifeMs, role, note, ...(until === undefined ? {} : { until }) }
    const bound = this.#federation === undefined ? {} : { federation: this.#federation }
    await this.#table.put(hashOf(secret), { ...issued, ...bound }, DURABLE)
    return { id: hashOf(secret).slice(0, ID_LENGTH), secret, ...issued }
  }

  /** Every invitation that is remembered, the one that expires first at the top. */
  async list(): Promise<IssuedInvitation[]> {
    const rows = await this.#table.iterator().all()
    const all = rows.map(([hash, issued]) => {
      const { until, usedBy, federation: _, ...rest } = issuedSchema.parse(issued)
      return {
        ...{ id: hash.slice(0, ID_LENGTH), ...rest },
        ...(until === undefined ? {} : { until }),
        ...(usedBy === undefined ? {} : { usedBy }),
      }
    })
    return all.sort((a, b) => a.expiresMs - b.expiresMs)
  }

  /**
   * Makes an invitation void that nobody has used yet; who shows it reads that it is unknown.
   *
   * @throws NodeError NOT_FOUND, INVITATION_USED
   */
  revoke(id: string): Promise<void> {
    return this.#inTurn(async () => {
      const keys = (await this.#table.keys().all()).filter(
        (key) => id.length >= ID_LENGTH && key.startsWith(id),
      )
      const [key] = keys
      if (key === undefined) {
        throw new NodeError('NOT_FOUND', `No invitation ${id}; "maoctl federation invitations" lists them`, {
          id,
        })
      }
      const issued = await this.#table.get(key)
      if (issued?.usedBy !== undefined) {
        const message = `The invitation ${id} was used already; end the membership with "maoctl federation remove"`
        throw new NodeError('INVITATION_USED', message, { id, usedBy: issued.usedBy })
      }
      await this.#table.del(key, DURABLE)
    })
  }

  /** Forgets them all, on leaving: none of them is good any more. */
  async clear(): Promise<void> {
    await this.#inTurn(() => this.#table.clear())
  }

  /**
   * Marks the invitation as used by `peer`, durably, before anybody is admitted. The same peer may come again, since its
   * answer may have been lost on the way; one that was removed may not.
   *
   * @returns what it admits as. @throws NodeError INVITATION_INVALID, INVITATION_EXPIRED, INVITATION_USED
   */
  redeem(secret: string, peer: string, wasRemoved: boolean): Promise<Grade> {
    return this.#inTurn(() => this.#redeem(secret, peer, wasRemoved))
  }

  #inTurn<T>(change: () => Promise<T>): Promise<T> {
    const changed = this.#redeeming.then(change)
    // Only the order matters here; a refusal belongs to the caller.
    this.#redeeming = changed.catch(() => undefined)
    return changed
  }

  async #redeem(secret: string, peer: string, wasRemoved: boolean): Promise<Grade> {
    const key = hashOf(secret)
    const stored = await this.#table.get(key)
    if (stored === undefined || this.#isForeign(stored)) {
      throw new NodeError(
        'INVITATION_INVALID',
        'The inviting node does not know this invitation; ask for a new one',
      )
    }
    const issued = issuedSchema.parse(stored)
    const { role, until } = issued
    const grade = until === undefined ? { role } : { role, until }
    if (issued.usedBy === peer && !wasRemoved) return grade
    if (issued.usedBy !== undefined) {
      throw new NodeError('INVITATION_USED', 'This invitation was used already; ask for a new one')
    }
    if (issued.expiresMs <= this.#clock.now()) throw expired(issued.expiresMs)
    await this.#table.put(key, { ...issued, usedBy: peer }, DURABLE)
    return grade
  }

  #isForeign({ federation }: Issued): boolean {
    return federation !== undefined && federation !== this.#federation
  }

  async #dropExpired(): Promise<void> {
    const now = this.#clock.now()
    for await (const [key, issued] of this.#table.iterator()) {
      // Kept for as long again, so that a late comer reads "expired" and not "unknown".
      if (issued.expiresMs + invitationLifeMaxMs <= now) await this.#table.del(key)
    }
  }
}

function expired(expiresMs: number): NodeError {
  const when = new Date(expiresMs).toISOString()
  return new NodeError('INVITATION_EXPIRED', `The invitation expired at ${when}; ask for a new one`, {
    expiresMs,
  })
}

function hashOf(secret: string): string {
  return createHash('sha256').update(secret).digest('hex')
}
