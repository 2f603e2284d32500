import { InvalidArgumentError } from 'commander'

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** `90s`, `10m`, `1h30m`, `500ms` as milliseconds. @throws InvalidArgumentError */
export function parseDuration(text: string): number {
  const parts = [...text.matchAll(/(\d+)(ms|s|m|h|d)/g)]
  if (parts.length === 0 || parts.map(([part]) => part).join('') !== text) {
    throw new InvalidArgumentError('a time looks like 90s, 10m or 1h30m')
  }
  return parts.reduce((sum, [, count = '', unit = '']) => sum + Number(count) * (UNITS[unit] ?? 0), 0)
}

/** @throws InvalidArgumentError unless it is a whole number from 1. */
export function parseCount(text: string): number {
  const count = Number(text)
  if (!Number.isSafeInteger(count) || count < 1)
    throw new InvalidArgumentError('a whole number from 1 is expected')
  return count
}

/** @throws InvalidArgumentError unless it is a TCP port; 0 means a free one. */
export function parsePort(text: string): number {
  const port = Number(text)
  if (!/^\d+$/.test(text) || port > 65_535)
    throw new InvalidArgumentError('a port is a number from 0 to 65535')
  return port
}

/** For an option that may come several times. */
export function gather(text: string, before: readonly string[] | undefined): string[] {
  return [...(before ?? []), text]
}
