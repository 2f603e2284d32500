import { InvalidArgumentError } from 'commander'
import { parseDuration } from './arguments.ts'

/** A moment to come, ms: `90d` from now, or a date such as 2027-01-31. @throws InvalidArgumentError */
export function parseMoment(text: string, nowMs: number): number {
  if (/^\d{4}-\d{2}-\d{2}/.test(text)) {
    const timeMs = Date.parse(text)
    if (!Number.isNaN(timeMs)) return timeMs
  } else if (/^(?:\d+(?:ms|s|m|h|d))+$/.test(text)) {
    return nowMs + parseDuration(text)
  }
  throw new InvalidArgumentError('a moment looks like 90d (from now) or 2027-01-31')
}

/** The same as an option that people give. */
export function untilOption(text: string): number {
  return parseMoment(text, Date.now())
}
