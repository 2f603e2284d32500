/** Whether an If-None-Match header names what there is: weak comparison, as RFC 9110, 13.1.2 has it. Pure. */
export function noneMatches(header: string | undefined, tag: string): boolean {
  if (header === undefined) return false
  if (header.trim() === '*') return true
  return [...header.matchAll(/(?:W\/)?("[^"]*")/g)].some(([, named]) => named === tag)
}

/** Whether a range may be answered: without If-Range, or with the very tag (RFC 9110, 13.1.5; dates never fit). Pure. */
export function rangeHolds(ifRange: string | undefined, tag: string): boolean {
  return ifRange === undefined || ifRange.trim() === tag
}
