/** A node's own request to be admitted, as it remembers it (protocols/join.md §3). */
import { z } from 'zod'
import {
  contactLengthMax,
  requestAgainMaxMs,
  requestAgainMinMs,
  requestContactsMax,
  requestLifeMs,
  requestMessageLengthMax,
  requestOverAgainMs,
} from '../base/limits.ts'
import type { Answer } from './questions.ts'

/**
 * - `asking`: nobody has answered yet;
 * - `pending`: a member keeps it, and operators are to decide;
 * - `denied`, `refused`: a member said that an operator said no, or that the federation takes no such requests. Who says
 *   so is believed as long as nobody says otherwise, and asked again now and then: a no may be taken back.
 *
 * One that was approved is remembered no longer: the node is a member.
 */
export const PETITION_STATES = ['asking', 'pending', 'denied', 'refused'] as const

export const petitionSchema = z.object({
  state: z.enum(PETITION_STATES),
  /** Unknown until somebody answers, for who asks at an address alone. */
  federation: z.string().max(100).optional(),
  federationName: z.string().max(100).optional(),
  /** Where to ask: each ends in the peer id of a member. */
  addresses: z.array(z.string().max(500)).max(requestContactsMax),
  message: z.string().max(requestMessageLengthMax),
  contact: z.string().max(contactLengthMax),
  sinceMs: z.int(),
  /** When it was asked last, and how often, so that asking grows rarer. */
  askedMs: z.int().optional(),
  asked: z.int().default(0),
  /** Why it is over, or why the last try failed. */
  reason: z.string().max(1_000).optional(),
  /** Whom to write to. */
  contacts: z.array(z.string()).default([]),
})
export type Petition = z.output<typeof petitionSchema>

export function isOpen({ state }: Petition): boolean {
  return state === 'asking' || state === 'pending'
}

/** [J11] Whether it is to be asked again; a no for as long as its record would be kept, so that none is asked anew. Pure. */
export function isAskedAgain(petition: Petition, nowMs: number): boolean {
  return isOpen(petition) || nowMs < petition.sinceMs + requestLifeMs - requestOverAgainMs
}

/** What an answer makes of a petition; undefined for an admission, which ends it. Pure. */
export function heard(petition: Petition, answer: Answer, nowMs: number): Petition | undefined {
  const asked = { ...petition, askedMs: nowMs, asked: petition.asked + 1 }
  if (answer.kind === 'admitted') return undefined
  if (answer.kind === 'pending') {
    const { federation, name: federationName, contacts, addresses } = answer
    // [J11] The first federation that answers is the one that is asked; where its members are may change.
    if (asked.federation !== undefined && asked.federation !== federation)
      return failed(petition, 'Another federation answers there', nowMs)
    const known = [...new Set([...petition.addresses, ...addresses])].slice(0, requestContactsMax)
    const { reason: _, ...open } = asked
    return { ...open, state: 'pending', federation, federationName, contacts, addresses: known }
  }
  if (answer.kind === 'denied') {
    if (asked.federation !== undefined && asked.federation !== answer.federation)
      return failed(petition, 'Another federation answers there', nowMs)
    return { ...asked, state: 'denied', federationName: answer.name, reason: answer.reason }
  }
  if (answer.kind === 'refused') {
    // A crowd goes away again, and so does an observer that was asked; a closed door does not.
    if (answer.code === 'FORBIDDEN') return { ...asked, state: 'refused', reason: answer.message }
    return failed(petition, answer.message, nowMs)
  }
  return failed(petition, 'The member gave an answer to another question', nowMs)
}

/** Nobody gave an answer that counts; what was known before stays. Pure. */
export function failed(petition: Petition, reason: string, nowMs: number): Petition {
  const asked = { ...petition, askedMs: nowMs, asked: petition.asked + 1 }
  return isOpen(petition) ? { ...asked, reason: reason.slice(0, 1_000) } : asked
}

/** How long to wait until it is asked again: soon at first, while people may be watching, then ever more seldom. Pure. */
export function againMs(petition: Petition): number {
  if (!isOpen(petition)) return requestOverAgainMs
  const { asked } = petition
  return Math.min(requestAgainMaxMs, requestAgainMinMs * 1.5 ** Math.max(0, asked - 3))
}
