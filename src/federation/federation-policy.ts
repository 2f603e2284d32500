/**
 * The rules that a federation gives itself (protocols/federation-policy.md): the genesis says what holds at the
 * beginning, and each operator endorses, in one record of its own, the chain of what is to hold after it. Which policy
 * is in force is a pure function of these records and of who is an operator.
 */
import { z } from 'zod'
import { contactLengthMax, contactsMax, policyChangesMax } from '../base/limits.ts'
import { ROLES } from './keyspace.ts'

/** How newcomers come in: by invitation alone, also by a request that an operator approves, or by asking. */
export const JOINING = ['invitation', 'request', 'open'] as const
export type Joining = (typeof JOINING)[number]

export const contactsSchema = z.array(z.string().min(1).max(contactLengthMax)).max(contactsMax)

/** What operators can change together. */
export const policySchema = z.strictObject({
  join: z.enum(JOINING),
  /** What somebody who comes in by asking may do. */
  newcomers: z.enum(ROLES).default('member'),
  /** How many operators must endorse a change; all of them where there are fewer. */
  operatorsNeeded: z.int().min(1).max(100),
  /** Mail addresses or pages of people who answer questions. */
  contacts: contactsSchema,
})
export type FederationPolicyText = z.output<typeof policySchema>

/** `/endorsements/<operator>`: every change that its author stands behind, the first one first. */
export const endorsementSchema = z.strictObject({ chain: z.array(policySchema).max(policyChangesMax) })

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

/**
 * [P2] Goes through the chains step by step. A step is in force when as many present operators have endorsed it, after
 * the same steps before it, as the policy before it asks for; of several the one with more, then the lower text.
 */
export function policyInForce(
  genesis: FederationPolicyText,
  operators: readonly string[],
  endorsements: readonly Endorsement[],
): PolicyState {
  let behind = endorsements.filter(({ peer }) => operators.includes(peer))
  let policy = genesis
  const chain: FederationPolicyText[] = []
  for (;;) {
    const needed = Math.max(1, Math.min(policy.operatorsNeeded, operators.length))
    const proposals = proposalsAt(behind, chain.length)
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

/** One policy has one text, whatever the order of its fields. */
export function textOf(policy: FederationPolicyText): string {
  const { join, newcomers, operatorsNeeded, contacts } = policy
  return JSON.stringify({ join, newcomers, operatorsNeeded, contacts })
}

function proposalsAt(endorsements: readonly Endorsement[], at: number): Proposal[] {
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
  proposals.sort((a, b) => {
    const more = b.proposal.endorsedBy.length - a.proposal.endorsedBy.length
    return more !== 0 ? more : a.text < b.text ? -1 : 1
  })
  return proposals.map(({ proposal }) => proposal)
}
