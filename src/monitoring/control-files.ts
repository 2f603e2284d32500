import { messageOf } from '../base/errors.ts'
import { controlFileBytesMax, controlValueLeast, controlValueMost } from '../base/limits.ts'

const CONTROL = /^control-(.+)\.csv$/

export interface Snapshot {
  /** `control-<sortable>.csv` */
  file: string
  value: number
}

export interface ControlFile {
  path: string
  read(): Promise<Uint8Array>
}

/** The names of the control files among `paths`, oldest first. Only the top of the tree counts, as it always did. */
export function controlPaths(paths: readonly string[]): string[] {
  const found = paths.filter((path) => CONTROL.test(path) && !path.includes('/'))
  return found.sort(compareAge)
}

/**
 * Names are sortable as text. Where both are plain counts (`control-9`, `control-10`) they are compared as numbers,
 * which is the same for padded counts and what was meant for others.
 */
function compareAge(a: string, b: string): number {
  const left = CONTROL.exec(a)?.[1] ?? ''
  const right = CONTROL.exec(b)?.[1] ?? ''
  if (/^\d+$/.test(left) && /^\d+$/.test(right) && BigInt(left) !== BigInt(right)) {
    return BigInt(left) < BigInt(right) ? -1 : 1
  }
  return left < right ? -1 : left > right ? 1 : 0
}

/**
 * Reads the newest `count` control files, oldest first. A file that does not hold one number is left out and told of;
 * `newestProblem` says so of the newest one, without which there is nothing to judge.
 */
export async function readSnapshots(
  files: readonly ControlFile[],
  count: number,
): Promise<{ snapshots: Snapshot[]; problems: string[]; newestProblem?: string }> {
  const byPath = new Map(files.map((file) => [file.path, file]))
  const newest = controlPaths([...byPath.keys()]).slice(-count)
  const snapshots: Snapshot[] = []
  const problems: string[] = []
  for (const path of newest) {
    try {
      const bytes = (await byPath.get(path)?.read()) ?? new Uint8Array()
      snapshots.push({ file: path, value: parseValue(bytes) })
    } catch (error) {
      problems.push(`${path}: ${messageOf(error)}`)
    }
  }
  const last = newest.at(-1)
  const newestProblem = problems.find((problem) => problem.startsWith(`${last}: `))
  return { snapshots, problems, ...(newestProblem === undefined ? {} : { newestProblem }) }
}

function parseValue(bytes: Uint8Array): number {
  if (bytes.length > controlFileBytesMax) throw new Error(`holds more than ${controlFileBytesMax} bytes`)
  const text = new TextDecoder().decode(bytes).trim()
  const value = Number(text)
  if (text === '' || !Number.isFinite(value)) throw new Error('does not hold one number')
  const size = Math.abs(value)
  if (size !== 0 && (size < controlValueLeast || size > controlValueMost)) {
    throw new Error(`holds ${value}, which is beyond what is judged`)
  }
  return value
}
