/** Differences as a person would tell them. */
import { diffFilesInSentenceMax } from '../../base/limits.ts'
import { TRUTH_BRANCH } from '../git/git-directory.ts'
import type { DatasetDiff, FileDiff } from './differences.ts'
import { type Comparison, sameContent } from './file-comparison.ts'
import type { TableDiff } from './table.ts'
import type { ValueDiff } from './value-diff.ts'

/**
 * One sentence, such as `carol differs from alice: 3 of 270 rows in packages.csv (2 removed, 1 changed: version)`. Pure.
 */
export function summaryOf({ from, to, counts, files }: Omit<DatasetDiff, 'summary'>): string {
  const [one, other] = [nameOf(to.name), nameOf(from.name)]
  const differing = counts.added + counts.removed + counts.changed + counts.renamed
  if (differing === 0) return `${one} does not differ from ${other}`
  const told = files.slice(0, diffFilesInSentenceMax).map(({ summary }) => summary)
  const more = differing - told.length
  const rest = more > 0 ? [`and ${more} more`] : []
  const all = differing + counts.unchanged
  const scope = differing === 1 ? '' : ` in ${differing} of ${all} files`
  return `${one} differs from ${other}${scope}: ${[...told, ...rest].join('; ')}`
}

/** What happened to one file, with its name. Pure. */
export function describeFile({ path, previousPath, change, from, to, comparison }: FileDiff): string {
  if (change === 'renamed')
    return `${previousPath ?? ''} renamed to ${path}${modeChange(from?.mode, to?.mode)}`
  if (change !== 'changed') return `${path} ${change}`
  if (from?.oid === to?.oid) return `${path}${modeChange(from?.mode, to?.mode)}`
  if (comparison === undefined) return `${path} changed`
  return `${describeContent(path, comparison)}${modeChange(from?.mode, to?.mode)}`
}

function describeContent(path: string, comparison: Comparison): string {
  switch (comparison.as) {
    case 'rows':
      return describeRows(path, comparison)
    case 'values':
      return describeValues(path, comparison)
    case 'lines':
      return `${count(comparison.added + comparison.removed, 'line')} in ${path} (${parts([
        [comparison.removed, 'removed'],
        [comparison.added, 'added'],
      ])})`
    case 'whole':
      return `${path} changed (compared as a whole: ${comparison.note ?? 'its content is not text'})`
  }
}

function describeRows(path: string, comparison: Comparison & TableDiff): string {
  const { rows, columns, moved } = comparison
  const differing = rows.added + rows.removed + rows.changed
  const names = columns.changed.slice(0, 3).map(({ column }) => column)
  const further = columns.changed.length > names.length ? [...names, '…'] : names
  const inRows = parts([
    [rows.removed, 'removed'],
    [rows.added, 'added'],
    [rows.changed, `changed${further.length === 0 ? '' : `: ${further.join(', ')}`}`],
  ])
  const total = Math.max(rows.from, rows.to)
  const words = [
    ...(differing === 0 ? [] : [`${differing} of ${count(total, 'row')} in ${path} (${inRows})`]),
    ...listed('added', columns.added),
    ...listed('removed', columns.removed),
    ...columns.renamed.map(({ from, to }) => `column ${from} renamed to ${to}`),
    ...(rows.rewritten === 0 ? [] : [`numbers of ${count(rows.rewritten, 'row')} written otherwise`]),
    ...(columns.reordered ? ['columns in another order'] : []),
    ...(moved ? ['rows in another order'] : []),
  ]
  if (words.length === 0) return `${path} says the same, written otherwise`
  return differing === 0 ? `${path}: ${words.join(', ')}` : words.join(', ')
}

function describeValues(path: string, comparison: Comparison & ValueDiff): string {
  const { added, removed, changed, rewritten, names } = comparison
  if (sameContent(comparison)) {
    const numbers = rewritten === 0 ? '' : ` (${count(rewritten, 'number')})`
    return `${path} says the same, written otherwise${numbers}`
  }
  const what = parts([
    [removed, 'removed'],
    [added, 'added'],
    [changed, 'changed'],
  ])
  const differing = added + removed + changed
  if (names === undefined) return `${count(differing, 'value')} in ${path} (${what})`
  const entries = `${names.differ} of ${Math.max(names.from, names.to)} entries`
  return `${entries} in ${path} (${count(differing, 'value')}: ${what})`
}

function nameOf(name: string): string {
  return name === TRUTH_BRANCH ? 'the ground truth' : name
}

function parts(counted: readonly (readonly [number, string])[]): string {
  const there = counted.filter(([number]) => number > 0)
  return there.map(([number, word]) => `${number} ${word}`).join(', ')
}

function listed(what: string, columns: readonly string[]): string[] {
  if (columns.length === 0) return []
  const names = columns.length > 3 ? `${columns.slice(0, 3).join(', ')}, …` : columns.join(', ')
  return [`${columns.length === 1 ? 'column' : `${columns.length} columns`} ${names} ${what}`]
}

function modeChange(from: string | undefined, to: string | undefined): string {
  if (from === undefined || to === undefined || from === to) return ''
  if (from === '120000') return ' is no link any more'
  if (to === '120000') return ' became a link'
  return to === '100755' ? ' became executable' : ' is not executable any more'
}

function count(number: number, word: string): string {
  return `${number} ${word}${number === 1 ? '' : 's'}`
}
