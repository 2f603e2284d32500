import type { Access } from './access.ts'

/**
 * Who may have what of a dataset (protocols/dataset-heads.md, H12 to H16). `shared`: every member may have it.
 * `compute-only`: members know of it, its objects stay where they are. `local-only`: nobody else learns of it.
 */
export const POLICIES = ['shared', 'compute-only', 'local-only'] as const
export type Policy = (typeof POLICIES)[number]

/** Why what is made of a dataset does not go to all members: its policy, or that it is for those with a grant alone. */
export type Withheld = Exclude<Policy, 'shared'> | 'granted'

/** As much of a dataset as decides who may have what is made of it. */
export interface Described {
  readonly policy: Policy
  readonly record: { readonly access?: Pick<Access, 'read'> | undefined }
}

/**
 * [H27] Who may have what is made of a dataset: undefined where all members may, else why not. Whoever tells the members
 * of a result, a word or a number asks this, and never for the policy alone. Pure.
 */
export function withheldAs({ policy, record }: Described): Withheld | undefined {
  if (policy !== 'shared') return policy
  return record.access?.read === 'granted' ? 'granted' : undefined
}

const WORDS: Record<Withheld, string> = {
  'local-only': 'local-only',
  'compute-only': 'compute-only',
  granted: 'for members with a grant alone',
}

/** For people. */
export function withheldText(why: Withheld): string {
  return WORDS[why]
}

/** A promise about a dataset's objects, and the peer whose it is to take back. */
export interface Commitment {
  readonly policy: Policy
  readonly owner: string
}

/** What one author says of a dataset at present. */
export interface PolicyClaim {
  readonly policy: Policy
  readonly author: string
}

/** The one of several policies that gives the least away. */
export function strictest(...policies: readonly Policy[]): Policy {
  return policies.reduce((a, b) => (POLICIES.indexOf(a) >= POLICIES.indexOf(b) ? a : b), 'shared')
}

/** What counts for a dataset's policy at a node. */
export interface PolicyWords {
  /** What this node was committed to before; undefined where it knew nothing of the dataset. */
  readonly kept: Commitment | undefined
  /** What its founder says; an operator in its stead, while the founder's own word has not been heard. */
  readonly founder: PolicyClaim
  /** What decides: the founder's claim, or an operator's. */
  readonly shown: PolicyClaim
  /** What each member with a say claims of the name, whichever dataset it means. */
  readonly claims: readonly PolicyClaim[]
  /** What this node claims that it founded under the name. */
  readonly own: PolicyClaim | undefined
  /** Peer id of this node. */
  readonly self: string
}

/**
 * What a node is committed to once it knows what is claimed now. A commitment becomes stricter by its founder's or an
 * operator's word, and looser by its owner's alone; by this node's own claim only where it says so itself, not by a
 * record that came back to it. What a node founded under a name is the least that it keeps of whatever has that name.
 * Pure.
 */
export function commitmentOf({ kept, founder, shown, claims, own, self }: PolicyWords): Commitment {
  const promised = kept ?? { policy: founder.policy, owner: founder.author }
  const word = promised.owner === self ? undefined : claims.find(({ author }) => author === promised.owner)
  const first = { policy: word?.policy ?? promised.policy, owner: promised.owner }
  return [founder, shown, ...(own === undefined ? [] : [own])].reduce(stricter, first)
}

function stricter(now: Commitment, { policy, author }: PolicyClaim): Commitment {
  return strictest(now.policy, policy) === now.policy ? now : { policy, owner: author }
}
