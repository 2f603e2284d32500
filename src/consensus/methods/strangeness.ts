/**
 * Strangeness (the predecessor's peer validation): how much one candidate's entries differ from those of all others.
 * Pure.
 */

export interface Strangeness {
  /** Each candidate's number of entries that differ from another candidate's, summed over all others. */
  readonly scores: ReadonlyMap<string, number>
  /** The least strange candidates, sorted: one, or several that hold the same. Empty when nobody is a candidate. */
  readonly winners: readonly string[]
  /** Several are the least strange and do not hold the same: a person has to decide. */
  readonly drawn: boolean
}

/**
 * A path counts as one difference of two candidates when one of them lacks it or both hold something else there.
 *
 * @param candidates entry id by path, by candidate.
 */
export function strangeness(candidates: ReadonlyMap<string, ReadonlyMap<string, string>>): Strangeness {
  const holders = new Map<string, Map<string, number>>()
  for (const entries of candidates.values()) {
    for (const [path, entry] of entries) {
      const counts = holders.get(path) ?? new Map<string, number>()
      holders.set(path, counts.set(entry, (counts.get(entry) ?? 0) + 1))
    }
  }
  const scores = new Map<string, number>()
  for (const [name, entries] of candidates) {
    let score = 0
    for (const [path, counts] of holders) {
      const own = entries.get(path)
      const holding = [...counts.values()].reduce((sum, count) => sum + count, 0)
      const alike = own === undefined ? candidates.size - holding : (counts.get(own) ?? 0)
      score += candidates.size - alike
    }
    scores.set(name, score)
  }
  const least = Math.min(...scores.values())
  const winners = [...scores]
    .filter(([, score]) => score === least)
    .map(([name]) => name)
    .sort()
  const [first] = winners
  const model = candidates.get(first ?? '')
  const drawn = !winners.every((name) => isSame(candidates.get(name), model))
  return { scores, winners, drawn }
}

function isSame(
  a: ReadonlyMap<string, string> | undefined,
  b: ReadonlyMap<string, string> | undefined,
): boolean {
  if (a === undefined || b === undefined) return a === b
  return a.size === b.size && [...a].every(([path, entry]) => b.get(path) === entry)
}
