/** One entry of a file, and what stands around the entries: the shapes that readers of all formats give (entry-files.ts). */

/** How a line ends; entries within one JSON value have none. */
export const NO_ENDING = 0
export const LF_ENDING = 1
export const CRLF_ENDING = 2
export type Ending = typeof NO_ENDING | typeof LF_ENDING | typeof CRLF_ENDING

/** Views into the reader's buffers, good until the next entry. A reader writes them anew each time. */
export interface EntryView {
  /** The entry as it was written, without its ending. */
  bytes: Uint8Array
  start: number
  end: number
  ending: Ending
  /** Its name: the values of the key columns, written as a row of CSV with as few quotation marks as can be. */
  key: Uint8Array
  keyStart: number
  keyEnd: number
  /** What it says, however it was written: equal bytes are equal entries. */
  value: Uint8Array
  valueStart: number
  valueEnd: number
  /** The line on which it begins, from 1. */
  line: number
}

/** What stands around the entries. */
export interface Frame {
  /** What has to be the same for entries to be comparable: the columns of a table, the kind of a JSON value. */
  readonly shape: string
  /** Columns of a table, in their order; none for JSON, whose entries name their own. */
  readonly columns: readonly string[] | undefined
  /** What stands before the first entry, as it was written. */
  readonly before: Uint8Array
  readonly between: Uint8Array
  readonly after: Uint8Array
  /** The last line has no ending. */
  readonly unterminated: boolean
}

/** Gives the entries of one version in their order. Everything in it may throw Uncountable. */
export interface EntryReader {
  /** Undefined at the end of the file. */
  next(): EntryView | undefined
  /** Whole once `next` has given undefined. */
  frame(): Frame
}

export const NOTHING = new Uint8Array(0)

export function newEntryView(): EntryView {
  const none = { start: 0, end: 0, keyStart: 0, keyEnd: 0, valueStart: 0, valueEnd: 0, line: 0 }
  return { bytes: NOTHING, key: NOTHING, value: NOTHING, ending: NO_ENDING, ...none }
}

/** By their bytes; what begins like the other and goes on stands behind it. */
export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  if (a === b) return 0
  const length = Math.min(a.length, b.length)
  for (let i = 0; i < length; i += 1) {
    const difference = (a[i] as number) - (b[i] as number)
    if (difference !== 0) return difference
  }
  return a.length - b.length
}
