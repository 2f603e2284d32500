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

const tokenSchema = z.strictObject({
  federation: z.string().min(1).max(100),
  name: z.string().max(100),
  /** Addresses of the inviting node, its peer id included. */
  addresses: z.array(z.string().max(500)).min(1).max(32),
  expiresMs: z.number().int(),
  secret: z.string().min(20).max(100),
})
export type Invitation = z.infer<typeof tokenSchema>

const TOKEN_PREFIX = 'mao1-'

export function encodeInvitation(invitation: Invitation): string {
  return TOKEN_PREFIX + Buffer.from(JSON.stringify(invitation)).toString('base64url')
}

/** @throws NodeError INVITATION_INVALID, or INVITATION_EXPIRED by this node's clock. */
export function decodeInvitation(token: string, nowMs: number): Invitation {
  const invalid = (cause?: unknown) =>
    new NodeError(
      'INVITATION_INVALID',
      'This is no invitation; copy the whole token, from mao1- to its end',
      {},
      { cause },
    )
  if (!token.startsWith(TOKEN_PREFIX)) throw invalid()
  let invitation: Invitation
  try {
    invitation = tokenSchema.parse(
      JSON.parse(Buffer.from(token.slice(TOKEN_PREFIX.length), 'base64url').toString()),
    )
  } catch (cause) {
    throw invalid(cause)
  }
  if (invitation.expiresMs <= nowMs) throw expired(invitation.expiresMs)
  return invitation
}

const issuedSchema = z.object({ expiresMs: z.number(), usedBy: z.string().optional() })
type Issued = z.infer<typeof issuedSchema>

export interface InvitationBookParts {
  readonly database: Database
  readonly clock: Clock
}

/** The invitations that this node has issued, by the hash of their secret. */
export class InvitationBook {
  readonly #table: Table<Issued>
  readonly #clock: Clock
  /** Redemptions run one after another: of two peers with one token the second must see the first. */
  #redeeming: Promise<unknown> = Promise.resolve()

  constructor(parts: InvitationBookParts) {
    this.#table = table<Issued>(parts.database, 'invitations')
    this.#clock = parts.clock
  }

  /** @throws NodeError INVALID_INPUT (a life beyond the bound), QUEUE_FULL (too many open invitations). */
  async issue(lifeMs: number = invitationLifeDefaultMs): Promise<{ secret: string; expiresMs: number }> {
    if (!(lifeMs > 0 && lifeMs <= invitationLifeMaxMs)) {
      const days = (invitationLifeMaxMs / invitationLifeDefaultMs) * 7
      throw new NodeError('INVALID_INPUT', `An invitation lives up to ${days} days`, { lifeMs })
    }
    await this.#dropExpired()
    if ((await this.#table.keys().all()).length >= invitationsMax) {
      throw new NodeError(
        'QUEUE_FULL',
        `${invitationsMax} invitations are open; wait until some have expired`,
      )
    }
    const secret = randomBytes(24).toString('base64url')
    const expiresMs = this.#clock.now() + lifeMs
    await this.#table.put(hashOf(secret), { expiresMs }, DURABLE)
    return { secret, expiresMs }
  }

  /**
   * Marks the invitation as used by `peer`, durably, before anybody is admitted. The same peer may come again, since its
   * answer may have been lost on the way; one that was removed may not.
   *
   * @throws NodeError INVITATION_INVALID, INVITATION_EXPIRED, INVITATION_USED
   */
  redeem(secret: string, peer: string, wasRemoved: boolean): Promise<void> {
    const redeemed = this.#redeeming.then(() => this.#redeem(secret, peer, wasRemoved))
    // Only the order matters here; a refusal belongs to the caller.
    this.#redeeming = redeemed.catch(() => undefined)
    return redeemed
  }

  async #redeem(secret: string, peer: string, wasRemoved: boolean): Promise<void> {
    const key = hashOf(secret)
    const stored = await this.#table.get(key)
    if (stored === undefined) {
      throw new NodeError(
        'INVITATION_INVALID',
        'The inviting node does not know this invitation; ask for a new one',
      )
    }
    const issued = issuedSchema.parse(stored)
    if (issued.usedBy === peer && !wasRemoved) return
    if (issued.usedBy !== undefined) {
      throw new NodeError('INVITATION_USED', 'This invitation was used already; ask for a new one')
    }
    if (issued.expiresMs <= this.#clock.now()) throw expired(issued.expiresMs)
    await this.#table.put(key, { ...issued, usedBy: peer }, DURABLE)
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
