/** Which files a method looks into, and how it reads them. */
import { isUtf8 } from 'node:buffer'
import { entryFileBytesMax, labelFileBytesMax } from '../../base/limits-consensus.ts'
import { CheckedReader, rowCheck } from './cell-checks.ts'
import { CsvReader } from './csv-entries.ts'
import type { EntryReader } from './entry.ts'
import type { EntryMethod } from './file-merge.ts'
import { JsonLinesReader, JsonReader } from './json-entries.ts'
import { matchesPattern } from './path-pattern.ts'
import { Uncountable } from './uncountable.ts'

export type Format = 'csv' | 'json' | 'lines'

const FORMATS: readonly (readonly [ending: string, format: Format])[] = [
  ['.csv', 'csv'],
  ['.json', 'json'],
  ['.jsonl', 'lines'],
  ['.ndjson', 'lines'],
]

/** By the end of the path, of which the case does not matter in ASCII; undefined where it is none of these. */
export function formatOf(path: string): Format | undefined {
  const lower = path.replace(/[A-Z]/g, (letter) => letter.toLowerCase())
  return FORMATS.find(([ending]) => lower.endsWith(ending))?.[1]
}

/** True when the method looks for entries in files of this path. */
export function isEntryFile(method: EntryMethod, path: string): boolean {
  if (method.key === undefined || formatOf(path) === undefined) return false
  return method.files === undefined || method.files.some((pattern) => matchesPattern(pattern, path))
}

/** @throws Uncountable when it cannot be read for what stands before its first entry. */
export function entryReader(method: EntryMethod, path: string, bytes: Uint8Array): EntryReader {
  if (bytes.length > entryFileBytesMax) throw new Uncountable(`more than ${entryFileBytesMax} bytes`)
  if (!isUtf8(bytes)) throw new Uncountable(`line ${lineOfBadUtf8(bytes)}: not valid UTF-8`)
  const key = method.key ?? []
  if (method.name === 'dawid-skene' && bytes.length > labelFileBytesMax) {
    throw new Uncountable(`more than ${labelFileBytesMax} bytes of labels`)
  }
  switch (formatOf(path)) {
    case 'csv':
      return new CsvReader(bytes, { key, onColumns: rowCheck(method, bytes) })
    case 'json':
      return new CheckedReader(new JsonReader(bytes, key), method)
    case 'lines':
      return new CheckedReader(new JsonLinesReader(bytes, key), method)
    default:
      throw new Uncountable('neither CSV nor JSON nor JSON Lines by its name')
  }
}

/** Of a text that is not valid: the first line that is not. Lines end before any byte that could be part of another. */
function lineOfBadUtf8(bytes: Uint8Array): number {
  let line = 1
  for (let start = 0; start < bytes.length; line += 1) {
    const end = bytes.indexOf(0x0a, start)
    const stop = end < 0 ? bytes.length : end
    if (!isUtf8(bytes.subarray(start, stop))) return line
    start = stop + 1
  }
  return line
}
