/** What the benches say, as pure functions: medians, ratios, and the table that people read. */

export interface Row {
  readonly name: string
  readonly ours: number
  /** What the same work took there; null where nothing real can be compared with. */
  readonly anchor: number | null
  readonly unit: string
  /** Ours to the anchor, to three decimals. Whether more is better depends on the unit, and the aim says which. */
  readonly ratio: number | null
  readonly aim: string
}

export interface Measured {
  readonly name: string
  readonly ours: number
  readonly anchor: number | null
  readonly unit: string
  readonly aim: string
}

/** Rounded to four digits that count: no clock here is better. */
export function row({ name, ours, anchor, unit, aim }: Measured): Row {
  const rounded = { ours: rounded4(ours), anchor: anchor === null ? null : rounded4(anchor) }
  return { name, ...rounded, unit, ratio: ratio(ours, anchor), aim }
}

const rounded4 = (value: number) => Number(value.toPrecision(4))

/** @returns null where there is nothing to divide by. */
export function ratio(ours: number, anchor: number | null): number | null {
  if (anchor === null || anchor === 0) return null
  return Math.round((ours / anchor) * 1_000) / 1_000
}

/** The value in the middle, of two middle ones their mean. @throws RangeError when there are no values. */
export function median(values: readonly number[]): number {
  const sorted = sortedOrThrow(values)
  const upper = Math.floor(sorted.length / 2)
  const [left, right] = [sorted[Math.ceil(sorted.length / 2) - 1] as number, sorted[upper] as number]
  return (left + right) / 2
}

/**
 * The smallest value that at least `share` of all do not exceed (nearest rank).
 *
 * @param share above 0, at most 1. @throws RangeError when there are no values.
 */
export function percentile(values: readonly number[], share: number): number {
  const sorted = sortedOrThrow(values)
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] as number
}

function sortedOrThrow(values: readonly number[]): number[] {
  if (values.length === 0) throw new RangeError('Nothing was measured')
  return values.toSorted((a, b) => a - b)
}

const HEADINGS = ['name', 'ours', 'anchor', 'unit', 'ratio', 'aim'] as const
/** Columns of numbers stand to the right. */
const NUMBERS = new Set<string>(['ours', 'anchor', 'ratio'])

/** The rows below their headings, a line each, without an end of line at the end. */
export function table(rows: readonly Row[]): string {
  const cells = rows.map((r) => [r.name, figure(r.ours), figure(r.anchor), r.unit, figure(r.ratio), r.aim])
  const lines = [[...HEADINGS], ...cells]
  const widths = HEADINGS.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)))
  return lines
    .map((line) =>
      line
        .map((cell, column) => padded(cell, column, widths))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

function padded(cell: string, column: number, widths: readonly number[]): string {
  const width = widths[column] ?? 0
  return NUMBERS.has(HEADINGS[column] ?? '') ? cell.padStart(width) : cell.padEnd(width)
}

/** Three digits that count, and never an exponent. */
function figure(value: number | null): string {
  if (value === null) return '-'
  if (Math.abs(value) >= 100) return String(Math.round(value))
  return String(Number(value.toPrecision(3)))
}
