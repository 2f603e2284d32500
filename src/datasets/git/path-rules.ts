/**
 * Which paths and links a dataset may hold. A tree comes from a stranger's disk and ends on ours, so a path that means
 * something else to git, to another file system or to a shell is refused wherever trees are made, received or written
 * out (dataset-fetch.md §8). Pure: every rule is a function from text to the fault found, or undefined.
 */
import { NodeError } from '../../base/errors.ts'
import { pathBytesMax, pathDepthMax, pathNameBytesMax } from '../../base/limits.ts'

/** Code points that HFS+ ignores when it compares names: `.g\u200cit` is `.git` there. */
const IGNORED_BY_HFS = /[\u200c-\u200f\u202a-\u202e\u206a-\u206f\ufeff]/g
/** Names that open a device on Windows, whatever extension follows. */
const DEVICE = /^(?:con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]|conin\$|conout\$)$/
const DRIVE = /^[a-z]:/i
/**
 * What most paths are: short, of plain letters and digits, and no device anywhere. They break none of the rules below,
 * which a listing of some hundred thousand paths would ask one by one; a test holds the two to each other.
 */
const PLAIN = /^(?:[a-z0-9_][a-z0-9_-]*(?:\.[a-z0-9_-]+)*(?:\/(?!$)|$))+$/i
const MAYBE_DEVICE = /(?:^|\/)(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:[./]|$)/i

/** What is wrong with one name of a path, or undefined. */
export function nameFault(name: string): string | undefined {
  if (name === '') return 'has an empty name'
  if (name === '.' || name === '..') return `has the name "${name}"`
  if (!name.isWellFormed() || name.includes('\ufffd')) return 'has a name that is not UTF-8'
  if (Buffer.byteLength(name) > pathNameBytesMax) return `has a name of more than ${pathNameBytesMax} bytes`
  if (DRIVE.test(name)) return 'names a drive'
  if (/[/\\]/.test(name)) return 'has a separator inside a name'
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is meant
  if (/[\x00-\x1f\x7f]/.test(name)) return 'has a control character'
  if (isGitDirectory(name)) return 'is the directory of git in disguise'
  const stem = (name.toLowerCase().split(/[.:]/)[0] ?? '').trimEnd()
  if (DEVICE.test(stem)) return 'names a device'
  return undefined
}

/** What is wrong with a path relative to the top of a tree, or undefined. */
export function pathFault(path: string): string | undefined {
  if (path.length < 2 * pathDepthMax && PLAIN.test(path) && !MAYBE_DEVICE.test(path)) return undefined
  return faultByName(path)
}

/** The same by every rule, name by name. */
export function faultByName(path: string): string | undefined {
  if (path.startsWith('/')) return 'is absolute'
  if (Buffer.byteLength(path) > pathBytesMax) return `has more than ${pathBytesMax} bytes`
  const names = path.split('/')
  if (names.length > pathDepthMax) return `is deeper than ${pathDepthMax} directories`
  for (const name of names) {
    const fault = nameFault(name)
    if (fault !== undefined) return fault
  }
  return undefined
}

/**
 * What is wrong with a symbolic link at `path`, or undefined. A target climbs first and descends then, never the
 * other way round (D20): behind a name that is a link itself, `..` would lead to wherever that link's target lies.
 */
export function linkFault(path: string, target: string): string | undefined {
  if (target === '') return 'is a link to nothing'
  if (target.startsWith('/') || DRIVE.test(target)) return 'is a link to an absolute path'
  if (Buffer.byteLength(target) > pathBytesMax) return `is a link of more than ${pathBytesMax} bytes`
  const names = target.replace(/\/+$/, '').split('/')
  const climbs = names.findIndex((name) => name !== '..' && name !== '.')
  const head = climbs === -1 ? names : names.slice(0, climbs)
  const tail = climbs === -1 ? [] : names.slice(climbs)
  const depth = path.split('/').length - 1
  if (head.filter((name) => name === '..').length > depth) return 'is a link that leads out of the tree'
  for (const name of tail) {
    if (name === '..') return 'is a link that climbs after it has descended'
    const fault = nameFault(name)
    if (fault !== undefined) return `is a link whose target ${fault}`
  }
  return undefined
}

/**
 * Checks the whole list of a tree's paths: each by itself, and that no path is given twice or is a file and a
 * directory at once, which is how a link is planted and then written through.
 *
 * @throws NodeError PATH_UNSAFE naming the first path at fault.
 */
export function checkPaths(paths: readonly string[]): void {
  const files = new Set<string>()
  for (const path of paths) {
    checkPath(path)
    if (files.has(path)) throw unsafePath(path, 'is given twice')
    files.add(path)
  }
  const directories = new Set<string>()
  for (const path of paths) {
    for (let end = path.lastIndexOf('/'); end > 0; end = path.lastIndexOf('/', end - 1)) {
      const directory = path.slice(0, end)
      if (directories.has(directory)) break
      if (files.has(directory)) throw unsafePath(directory, 'is a file and a directory at once')
      directories.add(directory)
    }
  }
}

/** @throws NodeError PATH_UNSAFE */
export function checkPath(path: string): void {
  const fault = pathFault(path)
  if (fault !== undefined) throw unsafePath(path, fault)
}

/** @throws NodeError PATH_UNSAFE */
export function checkLink(path: string, target: string): void {
  const fault = linkFault(path, target)
  if (fault !== undefined) throw unsafePath(path, fault)
}

export function unsafePath(path: string, fault: string): NodeError {
  // Quoted as JSON, so that a name cannot carry control characters into a terminal.
  const shown = JSON.stringify(path.slice(0, 200))
  return new NodeError('PATH_UNSAFE', `The path ${shown} ${fault}; datasets hold no such paths`, {
    path,
    fault,
  })
}

/** True for `.git` as any file system of our members would read it (git's own rules for NTFS and HFS+). */
function isGitDirectory(name: string): boolean {
  const folded = name.replace(IGNORED_BY_HFS, '').normalize('NFKC').toLowerCase()
  const stem = (folded.split(':')[0] ?? '').replace(/[. ]+$/, '')
  return stem === '.git' || /^git~[0-9]+$/.test(stem)
}
