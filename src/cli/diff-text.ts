import type { DiffView, FileDiffView } from '../api/dataset-views-diff.ts'
import { printable } from '../base/strangers-words.ts'
import type { Output } from './output.ts'

type Comparison = NonNullable<FileDiffView['comparison']>
type Rows = Extract<Comparison, { as: 'rows' }>
type Values = Extract<Comparison, { as: 'values' }>
type Lines = Extract<Comparison, { as: 'lines' }>

const MARKS = { added: '+', removed: '-', changed: '~', renamed: '>', rewritten: '=' } as const
const STYLES = {
  added: 'green',
  removed: 'red',
  changed: 'yellow',
  renamed: 'yellow',
  rewritten: 'dim',
} as const

/** A comparison for people: the sentence, then each file with as much of it as was told. */
export function diffText(out: Output, diff: DiffView, stat: boolean): string {
  const head = out.style('bold', printable(`${diff.summary}.`, ''))
  const files = diff.files.map((file) => (stat ? fileLine(out, file) : fileText(out, file)))
  const { added, removed, changed, renamed } = diff.counts
  const hidden = added + removed + changed + renamed - diff.files.length
  const rest = hidden > 0 ? [`${hidden} more files differ; --path names one, or a directory`] : []
  // One sentence and one line for the same file would say it twice.
  if (stat && diff.files.length === 1) return head
  return [head, ...files, ...rest].join(stat ? '\n' : '\n\n')
}

function fileLine(out: Output, { change, summary }: FileDiffView): string {
  return `${mark(out, change)} ${printable(summary, '')}`
}

function fileText(out: Output, file: FileDiffView): string {
  const { comparison } = file
  const lines = comparison === undefined ? [] : contentLines(out, comparison)
  return [fileLine(out, file), ...lines.map((line) => `    ${line}`)].join('\n')
}

function contentLines(out: Output, comparison: Comparison): string[] {
  const note =
    comparison.note === undefined || comparison.as === 'whole'
      ? []
      : [out.style('dim', printable(comparison.note, ''))]
  switch (comparison.as) {
    case 'rows':
      return [...note, ...rowLines(out, comparison)]
    case 'values':
      return [...note, ...valueLines(out, comparison)]
    case 'lines':
      return [...note, ...hunkLines(out, comparison)]
    case 'whole':
      return []
  }
}

function rowLines(out: Output, { key, rows, told }: Rows): string[] {
  const by = key.length === 0 ? [] : [out.style('dim', `rows told apart by ${printable(key.join(', '), '')}`)]
  const lines = told.map(({ change, key: values, cells }) => {
    const named = values.length === 0 ? '' : `${printable(values.join(', '), '')}: `
    const shown = cells.filter(
      ({ column }) => change === 'changed' || change === 'rewritten' || !key.includes(column),
    )
    return `${mark(out, change)} ${named}${shown.map((cell) => cellText(cell)).join(', ')}`
  })
  return [
    ...by,
    ...lines,
    ...more(rows.added + rows.removed + rows.changed + rows.rewritten - told.length, 'rows'),
  ]
}

function cellText({ column, from, to, sameNumber }: Rows['told'][number]['cells'][number]): string {
  const both = from !== undefined && to !== undefined
  const value = both ? `${shown(from)} → ${shown(to)}` : shown(from ?? to)
  return `${printable(column, '')} ${value}${sameNumber === true ? ' (same number, other writing)' : ''}`
}

function valueLines(out: Output, { added, removed, changed, rewritten, told }: Values): string[] {
  const lines = told.map(({ change, pointer, from, to }) => {
    const both = from !== undefined && to !== undefined
    const value = both ? `${shown(from)} → ${shown(to)}` : shown(from ?? to)
    const writing = change === 'rewritten' ? ' (same number, other writing)' : ''
    return `${mark(out, change)} ${pointer === '' ? '(all of it)' : printable(pointer, '')} ${value}${writing}`
  })
  return [...lines, ...more(added + removed + changed + rewritten - told.length, 'values')]
}

function hunkLines(out: Output, { hunks, added, removed }: Lines): string[] {
  let told = 0
  const lines = hunks.flatMap(({ fromLine, fromLines, toLine, toLines, lines }) => {
    const head = out.style('dim', `@@ -${fromLine},${fromLines} +${toLine},${toLines} @@`)
    const shownLines = lines.map((line) => {
      const text = printable(line, '\t')
      if (line.startsWith('+') || line.startsWith('-')) told += 1
      return line.startsWith('+')
        ? out.style('green', text)
        : line.startsWith('-')
          ? out.style('red', text)
          : text
    })
    return [head, ...shownLines]
  })
  return [...lines, ...more(added + removed - told, 'lines')]
}

/** An empty cell can be seen, too. */
function shown(text: string | undefined): string {
  return text === undefined || text === '' ? '""' : printable(text, '')
}

function more(count: number, what: string): string[] {
  return count > 0 ? [`… and ${count} more ${what}; --limit shows more`] : []
}

function mark(out: Output, change: keyof typeof MARKS): string {
  return out.style(STYLES[change], MARKS[change])
}
