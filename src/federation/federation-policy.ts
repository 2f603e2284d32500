/**
 * The rules that a federation gives itself (protocols/federation-policy.md): the genesis says what holds at the
 * beginning, and each operator endorses, in one record of its own, the chain of what is to hold after it. Which policy
 * is in force is a pure function of these records and of who is an operator.
 */
import { createHash } from 'node:crypto'
import { z } from 'zod'
import { contactLengthMax, contactsMax, policyChangesMax, policyOperatorsMax } from '../base/limits.ts'
import { ROLES } from './keyspace.ts'

const ID_LENGTH = 10

/** How newcomers come in: by invitation alone, also by a request that an operator approves, or by asking. */
export const JOINING = ['invitation', 'request', 'open'] as const
export type Joining = (typeof JOINING)[number]

export const contactsSchema = z.array(z.string().min(1).max(contactLengthMax)).max(contactsMax)

/** What operators can change together. */
export const policySchema = z.strictObject({
  join: z.enum(JOINING),
  /** What somebody who comes in by asking may do. */
  newcomers: z.enum(ROLES).default('member'),
  /** How many operators must endorse a change. */
  operatorsNeeded: z.int().min(1).max(100),
  /** Mail addresses or pages of people who answer questions. */
  contacts: contactsSchema,
  /** Peer ids of those whose endorsements count while more than one is needed; without them, the founders. */
  operators: z.array(z.string().min(1).max(100)).max(policyOperatorsMax).optional(),
})
export type FederationPolicyText = z.output<typeof policySchema>

/** `/endorsements/<operator>`: every change that its author stands behind, the first one first. */
export const endorsementSchema = z.object({ chain: z.array(policySchema).max(policyChangesMax) })

export interface Endorsement {
  /** Peer id of the operator. */
  readonly peer: string
  readonly chain: readonly FederationPolicyText[]
}

export interface Proposal {
  readonly policy: FederationPolicyText
  readonly endorsedBy: readonly string[]
}

export interface PolicyState {
  /** How often it was changed since the genesis. */
  readonly sequence: number
  readonly policy: FederationPolicyText
  /** What was agreed, without the genesis; an operator's record is to say so too. */
  readonly chain: readonly FederationPolicyText[]
  /** Changes that too few have endorsed so far, the most endorsed first. */
  readonly proposals: readonly Proposal[]
  /** How many must endorse the next change. */
  readonly needed: number
}

/** Whose endorsements count, by peer id. */
export interface Endorsers {
  readonly operators: readonly string[]
  readonly founders: readonly string[]
  /** The key that stands for a peer now, where its node has changed it. */
  readonly presentOf?: (peer: string) => string
}

/**
 * [P2] Goes through the chains step by step. A step is in force when as many of those who count have endorsed it, after
 * the same steps before it, as the policy before it asks for; of several the one with more, then the lower text. While
 * one is enough every present operator counts. While more are needed those count whom the policy names, whoever is made
 * an operator or is none any more: one operator alone neither lowers the number nor fills it with peers of its own.
 */
export function policyInForce(
  genesis: FederationPolicyText,
  { operators, founders, presentOf = (peer) => peer }: Endorsers,
  endorsements: readonly Endorsement[],
): PolicyState {
  let behind = endorsements
  let policy = genesis
  const chain: FederationPolicyText[] = []
  for (;;) {
    const needed = policy.operatorsNeeded
    const counting = needed === 1 ? operators : (policy.operators ?? founders).map(presentOf)
    const proposals = proposalsAt(
      behind.filter(({ peer }) => counting.includes(peer)),
      chain.length,
      // Operators that one operator makes by the dozen outweigh no founder, whom the genesis names.
      needed === 1 ? founders.map(presentOf) : [],
    )
    const next = proposals[0]
    if (next === undefined || next.endorsedBy.length < needed) {
      return { sequence: chain.length, policy, chain, proposals, needed }
    }
    const text = textOf(next.policy)
    const at = chain.length
    behind = behind.filter((one) => one.chain[at] !== undefined && textOf(one.chain[at]) === text)
    policy = next.policy
    chain.push(policy)
  }
}

/** The first letters of the hash of its text: the same at every node, whatever else is proposed meanwhile. */
export function idOf(policy: FederationPolicyText): string {
  return createHash('sha256').update(textOf(policy)).digest('hex').slice(0, ID_LENGTH)
}

/** One policy has one text, whatever the order of its fields. */
export function textOf(policy: FederationPolicyText): string {
  const { join, newcomers, operatorsNeeded, contacts, operators } = policy
  return JSON.stringify({ join, newcomers, operatorsNeeded, contacts, operators })
}

function proposalsAt(
  endorsements: readonly Endorsement[],
  at: number,
  weighty: readonly string[],
): Proposal[] {
  const byText = new Map<string, { policy: FederationPolicyText; endorsedBy: string[] }>()
  for (const { peer, chain } of endorsements) {
    const policy = chain[at]
    if (policy === undefined) continue
    const text = textOf(policy)
    const known = byText.get(text)
    if (known === undefined) byText.set(text, { policy, endorsedBy: [peer] })
    else known.endorsedBy.push(peer)
  }
  const proposals = [...byText].map(([text, { policy, endorsedBy }]) => {
    return { text, proposal: { policy, endorsedBy: endorsedBy.sort() } }
  })
  const weightOf = ({ endorsedBy }: Proposal) => endorsedBy.filter((peer) => weighty.includes(peer)).length
  proposals.sort((a, b) => {
    const heavier = weightOf(b.proposal) - weightOf(a.proposal)
    if (heavier !== 0) return heavier
    const more = b.proposal.endorsedBy.length - a.proposal.endorsedBy.length
    return more !== 0 ? more : a.text < b.text ? -1 : 1
  })
  return proposals.map(({ proposal }) => proposal)
}
