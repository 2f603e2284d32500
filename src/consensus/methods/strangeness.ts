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
 * A path counts as one difference of two candidates when one of them lacks it or both hold something else there. So each
 * entry costs its holder one for every candidate that does not hold the same, and each path that a candidate lacks costs
 * it one for every candidate that has it. These are counted by entry instead of by pair: the time taken is in proportion
 * to the entries of all candidates together.
 *
 * @param candidates entry id by path, by candidate.
 */
export function strangeness(candidates: ReadonlyMap<string, ReadonlyMap<string, string>>): Strangeness {
  const paths = new Map<string, { holders: number; readonly alike: Map<string, number> }>()
  let held = 0
  for (const entries of candidates.values()) {
    held += entries.size
    for (const [path, entry] of entries) {
      const found = paths.get(path)
      if (found === undefined) paths.set(path, { holders: 1, alike: new Map([[entry, 1]]) })
      else {
        found.holders += 1
        found.alike.set(entry, (found.alike.get(entry) ?? 0) + 1)
      }
    }
  }
  const scores = new Map<string, number>()
  for (const [name, entries] of candidates) {
    // As if it lacked every path; then what it does hold is put right.
    let score = held
    for (const [path, entry] of entries) {
      const { holders, alike } = paths.get(path) as { holders: number; alike: Map<string, number> }
      score += candidates.size - (alike.get(entry) as number) - holders
    }
    scores.set(name, score)
  }
  let least = Number.POSITIVE_INFINITY
  for (const score of scores.values()) least = Math.min(least, score)
  const winners = [...scores].flatMap(([name, score]) => (score === least ? [name] : [])).sort()
  const model = candidates.get(winners[0] ?? '')
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
