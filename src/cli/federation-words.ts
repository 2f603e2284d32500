import { timeText } from './output.ts'

/** `an operator`, `a member`. */
export function article(role: string): string {
  return /^[aeiou]/.test(role) ? 'an' : 'a'
}

/** How a membership of this node ended. */
export function endedText({
  endedMs,
  reason,
}: {
  endedMs?: number | undefined
  reason?: string | undefined
}): string {
  const when = endedMs === undefined ? '' : ` at ${timeText(endedMs)}`
  return `our membership ended${when}${reason ? `: ${reason}` : ''}`
}
