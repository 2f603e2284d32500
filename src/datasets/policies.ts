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

/**
 * What a node is committed to once it knows what is claimed now. A commitment becomes stricter by anybody's word that is
 * shown, and looser by its owner's alone; by this node's own claim only where it says so itself, not by a record that
 * came back to it. Pure.
 *
 * @param kept what this node was committed to before; what the founder claims, where it knew nothing of the dataset.
 * @param shown the claim that the registry shows.
 * @param claims all claims to the name.
 */
export function commitmentOf(
  kept: Commitment,
  shown: PolicyClaim,
  claims: readonly PolicyClaim[],
  self: string,
): Commitment {
  const own = kept.owner === self ? undefined : claims.find(({ author }) => author === kept.owner)
  const floor = own?.policy ?? kept.policy
  if (strictest(floor, shown.policy) === floor) return { policy: floor, owner: kept.owner }
  return { policy: shown.policy, owner: shown.author }
}
