/** Patterns of paths: `*` is anything but a slash, `**` anything, everything else itself. */

/**
 * Whether a path matches as a whole, in time proportional to both lengths together, whatever they are: every place in
 * the pattern that some reading of the path has reached is followed at once, none is tried again.
 */
export function matchesPattern(pattern: string, path: string): boolean {
  const steps = stepsOf(pattern)
  let reached = closed(steps, new Set([0]))
  for (let i = 0; i < path.length; i += 1) {
    const next = new Set<number>()
    for (const place of reached) {
      const step = steps[place]
      if (step === '**' || (step === '*' && path[i] !== '/')) next.add(place)
      else if (step === path[i]) next.add(place + 1)
    }
    if (next.size === 0) return false
    reached = closed(steps, next)
  }
  return reached.has(steps.length)
}

function stepsOf(pattern: string): string[] {
  return pattern.match(/\*\*|./gs) ?? []
}

/** Stars may stand for nothing: what lies behind them is reached as well. */
function closed(steps: readonly string[], places: Set<number>): Set<number> {
  // A set that is added to while it is walked gives what was added, too.
  for (const place of places) {
    if (steps[place] === '*' || steps[place] === '**') places.add(place + 1)
  }
  return places
}
