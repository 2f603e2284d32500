import { structuredPatch } from 'diff'

/** Lines round a change, as people know it from git. */
const CONTEXT_LINES = 3

export interface Hunk {
  /** Places from 1 and numbers of lines, as in `@@ -fromLine,fromLines +toLine,toLines @@`. */
  readonly fromLine: number
  readonly fromLines: number
  readonly toLine: number
  readonly toLines: number
  /** Each behind ` `, `-`, `+` or `\`. */
  readonly lines: readonly string[]
}

export interface LineDiff {
  readonly added: number
  readonly removed: number
  /** The first ones. */
  readonly hunks: readonly Hunk[]
}

export interface LineDiffOptions {
  /** Changed lines, on both sides together, beyond which two texts are two texts. */
  readonly editsMax: number
  readonly timeoutMs: number
  /** Lines told, those round the changes included. */
  readonly toldMax: number
}

/**
 * The shortest way from one text to the other by whole lines (Myers, An O(ND) difference algorithm and its variations,
 * 1986). Undefined when it is longer than is worth telling, or takes too long to find.
 */
export function diffLines(from: string, to: string, options: LineDiffOptions): LineDiff | undefined {
  const { editsMax, timeoutMs, toldMax } = options
  const patch = structuredPatch('', '', from, to, undefined, undefined, {
    context: CONTEXT_LINES,
    maxEditLength: editsMax,
    timeout: timeoutMs,
  })
  if (patch === undefined) return undefined
  const count = { added: 0, removed: 0 }
  const hunks: Hunk[] = []
  let left = toldMax
  for (const { oldStart, oldLines, newStart, newLines, lines } of patch.hunks) {
    for (const line of lines) {
      if (line.startsWith('+')) count.added += 1
      else if (line.startsWith('-')) count.removed += 1
    }
    if (left > 0) {
      const told = lines.slice(0, left)
      hunks.push({
        fromLine: oldStart,
        fromLines: oldLines,
        toLine: newStart,
        toLines: newLines,
        lines: told,
      })
      left -= told.length
    }
  }
  return { ...count, hunks }
}
