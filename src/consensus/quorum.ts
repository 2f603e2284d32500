/** A member as far as voting is concerned. */
export interface Voter {
  readonly peer: string
  /** Admitted then, ms since the epoch. */
  readonly since: number
  /** When it may vote, from the first until just before the second, ms; without them, as long as it is a member. */
  readonly spans?: readonly (readonly [fromMs: number, untilMs: number])[]
}

/** Whether a member may vote in a round that was opened then (dataset-heads.md [A4]). */
export function isEntitled({ spans }: Pick<Voter, 'spans'>, openedMs: number): boolean {
  return spans === undefined || spans.some(([fromMs, untilMs]) => fromMs <= openedMs && openedMs < untilMs)
}

/**
 * More than two thirds: the least number of members such that two such groups always share more than one third of the
 * electorate, and so at least one honest member as long as fewer than a third lie (Pease, Shostak & Lamport 1980).
 *
 * @returns how many of `electorate` members make a quorum: 1 of 1, 2 of 2, 3 of 3, 3 of 4, 5 of 7.
 */
export function quorumOf(electorate: number): number {
  return Math.floor((2 * electorate) / 3) + 1
}

/** True when `count` is strictly more than two thirds of `electorate`; whole numbers only, so nothing is rounded. */
export function isQuorum(count: number, electorate: number): boolean {
  return electorate > 0 && 3 * count > 2 * electorate
}

/** What is known of those who may vote no more; where it is known, keys of before stand for the nodes of now. */
export interface Past {
  /** Whether an operator has listed the certificate when one of its voters lost its vote (keyspace.md [D3]). */
  readonly isListed: boolean
  /** Whether the peer is a member, or was one. */
  isKnown(peer: string): boolean
  /** The key that a peer's node has now. */
  presentOf(peer: string): string
}

/** What an opening says about who votes. */
export interface Electoral {
  readonly electorate: readonly string[]
  readonly openedMs: number
}

/** The electorate together with everybody who was a member when the round was opened. */
export function votersOf({ electorate, openedMs }: Electoral, members: readonly Voter[]): Set<string> {
  const entitled = members.filter((one) => one.since <= openedMs && isEntitled(one, openedMs))
  return new Set([...electorate, ...entitled.map(({ peer }) => peer)])
}

/**
 * True when `signers` decide a round: those of them that are members must be more than two thirds of the electorate
 * together with everybody who was a member when it was opened. Whoever opens a round writes its electorate down; because
 * of this rule it gains nothing by leaving members out or by putting strangers in. Whose vote was lost since is counted
 * where an operator, who held the certificate then, says that it stays.
 */
export function isDecisive(
  signers: readonly string[],
  opening: Electoral,
  members: readonly Voter[],
  past?: Past,
): boolean {
  const present = (peer: string) => past?.presentOf(peer) ?? peer
  const entitled = members.filter((one) => isEntitled(one, opening.openedMs))
  const known = new Set(entitled.map(({ peer }) => peer))
  const counts = (peer: string) => known.has(peer) || (past?.isListed === true && past.isKnown(peer))
  const counted = signers.filter((peer) => counts(peer) && opening.electorate.includes(peer))
  const voters = [...votersOf(opening, members)]
  // A node with two keys is one voter.
  return isQuorum(new Set(counted.map(present)).size, new Set(voters.map(present)).size)
}
