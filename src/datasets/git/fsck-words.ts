/** git's own check speaks in words of its own (git help fsck); these tell which of them are about names. */

const ABOUT_NAMES = new Set([
  'hasDot',
  'hasDotdot',
  'hasDotgit',
  'fullPathname',
  'emptyName',
  'duplicateEntries',
  'treeNotSorted',
  'zeroPaddedFilemode',
  'badFilemode',
  'gitmodulesSymlink',
  'gitattributesSymlink',
  'gitignoreSymlink',
  'mailmapSymlink',
])

export interface FsckFinding {
  readonly oid: string
  readonly aboutNames: boolean
}

/** What a line of `git fsck` or `git index-pack --fsck-objects` finds at an object, if it is such a line. */
export function fsckFinding(line: string): FsckFinding | undefined {
  const found = /^error(?: in tree|: object) ([0-9a-f]{40}): (\w+):/.exec(line)
  if (found === null) return undefined
  const [, oid, word] = found as unknown as [string, string, string]
  return { oid, aboutNames: ABOUT_NAMES.has(word) }
}

/** The first object whose names git refuses, among all that it says. */
export function namesRefused(said: string): string | undefined {
  let emptyName = false
  for (const line of said.split('\n')) {
    if (line.includes('empty filename in tree entry')) emptyName = true
    const found = fsckFinding(line.trim())
    if (found !== undefined && (found.aboutNames || emptyName)) return found.oid
  }
  return undefined
}

const LACKING =
  /did not receive expected object|missing (?:blob|tree|commit) object|bad (?:blob|tree|commit|object)\b|could not (?:read|parse)|unable to (?:read|parse|find)|failed to traverse parents|unresolved deltas/i

/** Whether git says that an object is not there which another one refers to. */
export function isLacking(said: string): boolean {
  return LACKING.test(said)
}
