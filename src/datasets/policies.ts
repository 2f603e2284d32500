/**
 * Who may have what of a dataset (protocols/dataset-heads.md, H12 to H16). `shared`: every member may have it.
 * `compute-only`: members know of it, its objects stay where they are. `local-only`: nobody else learns of it.
 */
export const POLICIES = ['shared', 'compute-only', 'local-only'] as const
export type Policy = (typeof POLICIES)[number]

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
