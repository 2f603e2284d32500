import { diffCellCharactersToldMax, diffCellsToldMax } from '../../base/limits.ts'
import type { Comparison } from './file-comparison.ts'

/** How many rows, values or lines a comparison tells. Pure. */
export function countTold(comparison: Comparison): number {
  switch (comparison.as) {
    case 'rows':
    case 'values':
      return comparison.told.length
    case 'lines':
      return comparison.hunks.reduce((sum, { lines }) => sum + lines.length, 0)
    case 'whole':
      return 0
  }
}

/** The comparison with long texts and long rows cut, an ellipsis in place of what is left out. Pure. */
export function trimmed(comparison: Comparison): Comparison {
  switch (comparison.as) {
    case 'rows': {
      const { columns } = comparison
      return {
        ...comparison,
        key: comparison.key.map(short),
        columns: {
          ...columns,
          added: columns.added.slice(0, diffCellsToldMax).map(short),
          removed: columns.removed.slice(0, diffCellsToldMax).map(short),
          renamed: columns.renamed
            .slice(0, diffCellsToldMax)
            .map(({ from, to }) => ({ from: short(from), to: short(to) })),
          changed: columns.changed
            .slice(0, diffCellsToldMax)
            .map(({ column, rows }) => ({ column: short(column), rows })),
        },
        told: comparison.told.map((row) => ({
          ...row,
          key: row.key.map(short),
          cells: row.cells.slice(0, diffCellsToldMax).map((cell) => ({
            ...cell,
            column: short(cell.column),
            ...shortSides(cell),
          })),
        })),
      }
    }
    case 'values':
      return {
        ...comparison,
        told: comparison.told.map((value) => ({
          ...value,
          pointer: short(value.pointer),
          ...shortSides(value),
        })),
      }
    case 'lines': {
      const hunks = comparison.hunks.map((hunk) => ({ ...hunk, lines: hunk.lines.map(short) }))
      return { ...comparison, hunks }
    }
    case 'whole':
      return comparison
  }
}

function shortSides({ from, to }: { readonly from?: string; readonly to?: string }) {
  return {
    ...(from === undefined ? {} : { from: short(from) }),
    ...(to === undefined ? {} : { to: short(to) }),
  }
}

function short(text: string): string {
  return text.length <= diffCellCharactersToldMax ? text : `${text.slice(0, diffCellCharactersToldMax)}…`
}
