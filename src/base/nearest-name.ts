/** The known name that a misspelt one most likely meant, or undefined when none is near. */
export function nearestName(wrong: string, known: readonly string[], distanceMax = 2): string | undefined {
  const near = known.map((name) => ({
    name,
    distance: editDistance(wrong.toLowerCase(), name.toLowerCase()),
  }))
  near.sort((a, b) => a.distance - b.distance)
  const best = near[0]
  return best !== undefined && best.distance <= distanceMax ? best.name : undefined
}

/** Levenshtein's distance: single letters to insert, delete or replace. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, column) => column)
  for (const [index, letter] of [...a].entries()) {
    const next = [index + 1]
    for (const [column, other] of [...b].entries()) {
      const replaced = (row[column] ?? 0) + (letter === other ? 0 : 1)
      next.push(Math.min(replaced, (row[column + 1] ?? 0) + 1, (next[column] ?? 0) + 1))
    }
    row = next
  }
  return row[b.length] ?? 0
}
