import { stripVTControlCharacters } from 'node:util'
import Table from 'cli-table3'

/** Between columns, as `docker ps` has it. */
const GAP = 3
/** A column is made no narrower: less tells nothing. */
const COLUMN_MIN = 8
const CUT = '…'

/** Letters that take two places on a terminal: East Asian scripts and pictures. */
const WIDE =
  /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1f300}-\u{1f64f}\u{1f900}-\u{1f9ff}\u{20000}-\u{3fffd}]/u

const NO_LINES = Object.fromEntries(
  ['top', 'top-mid', 'top-left', 'top-right', 'bottom', 'bottom-mid', 'bottom-left', 'bottom-right']
    .concat(['left', 'left-mid', 'mid', 'mid-mid', 'right', 'right-mid', 'middle'])
    .map((part) => [part, '']),
)

/** Columns without lines between them. @param head with whatever style it is to have. */
export function drawTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const table = new Table({
    head: [...head],
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': GAP, compact: true },
    chars: NO_LINES,
  })
  table.push(...rows.map((row) => [...row]))
  return table.toString().replace(/ +$/gm, '')
}

/**
 * The same rows, fit for a line of `width` places: the widest column gives way first, down to its title or eight places.
 * What cannot be made to fit stays too wide, which is better than unreadable.
 */
export function fitted(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  width: number,
): string[][] {
  const natural = head.map((title, at) =>
    Math.max(...[title, ...rows.map((row) => row[at] ?? '')].map(widthOf)),
  )
  const least = head.map((title, at) => Math.min(natural[at] ?? 0, Math.max(COLUMN_MIN, widthOf(title))))
  const widths = [...natural]
  let excess = widths.reduce((sum, each) => sum + each, GAP * (widths.length - 1)) - width
  for (; excess > 0; excess -= 1) {
    const shrinkable = widths.map((each, at) => (each > (least[at] ?? 0) ? each : 0))
    const widest = Math.max(...shrinkable)
    if (widest === 0) break
    widths[shrinkable.indexOf(widest)] = widest - 1
  }
  return rows.map((row) => row.map((cell, at) => shortened(cell, widths[at] ?? 0)))
}

/** How many places of a terminal a text takes. */
export function widthOf(text: string): number {
  let width = 0
  for (const letter of stripVTControlCharacters(text)) width += WIDE.test(letter) ? 2 : 1
  return width
}

function shortened(cell: string, width: number): string {
  if (widthOf(cell) <= width) return cell
  let kept = ''
  for (const letter of stripVTControlCharacters(cell)) {
    if (widthOf(kept + letter) + CUT.length > width) break
    kept += letter
  }
  return kept + CUT
}
