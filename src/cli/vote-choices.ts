import { InvalidArgumentError } from 'commander'

export interface FileChoice {
  readonly path: string
  readonly member: string
}
export interface EntryChoice extends FileChoice {
  readonly key: string
}

/** `PATH=MEMBER`; names of members have no `=`. @throws InvalidArgumentError */
export function fileChoice(text: string, before: readonly FileChoice[] = []): FileChoice[] {
  const at = text.lastIndexOf('=')
  if (at <= 0 || at === text.length - 1)
    throw new InvalidArgumentError('a file is chosen as PATH=MEMBER, such as table.csv=bob')
  return [...before, { path: text.slice(0, at), member: text.slice(at + 1) }]
}

/** `PATH:KEY=MEMBER`; the path ends where it is the name of a file with entries. @throws InvalidArgumentError */
export function entryChoice(text: string, before: readonly EntryChoice[] = []): EntryChoice[] {
  const [, path, key, member] = /^(.+?\.(?:csv|json|jsonl|ndjson)):(.+)=([^=]+)$/is.exec(text) ?? []
  if (path === undefined || key === undefined || member === undefined) {
    throw new InvalidArgumentError(
      'an entry is chosen as PATH:KEY=MEMBER, such as table.csv:42=bob, in a .csv, .json, .jsonl or .ndjson file',
    )
  }
  return [...before, { path, key, member }]
}
