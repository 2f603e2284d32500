/** Where in a container something may be mounted by the word of labels or a record. Pure. */

/** What the engine and the system of a container keep for themselves. */
const SYSTEM = ['/boot', '/dev', '/etc', '/proc', '/run', '/sys', '/var/run']
const LIBRARIES = ['lib', 'lib32', 'lib64', 'libexec', 'libx32']
/** Whatever is mounted over these, or around them, replaces the image's own programs: it is another image then. */
const PROGRAMS = ['/', '/usr/', '/usr/local/'].flatMap((root) => {
  return ['bin', 'sbin', ...LIBRARIES].map((name) => `${root}${name}`)
})

/** What is wrong with it as the path of an input or output; undefined where nothing is (services.md L3). */
export function pathProblem(path: string): string | undefined {
  if (!path.startsWith('/')) return 'is not absolute'
  if (path.split('/').some((part) => part === '..' || part === '.')) return 'leads elsewhere by "." or ".."'
  if (path === '/') return 'belongs to the container itself'
  if (/\/\/|.\/$/.test(path)) return 'has a slash that says nothing'
  const kept = [...SYSTEM, ...PROGRAMS].find((one) => isWithin(path, one) || isWithin(one, path))
  if (kept !== undefined) return `belongs to the container itself (${kept})`
  return /[:,\p{Cc}]/u.test(path) ? 'has a colon, a comma or a control character' : undefined
}

export function isWithin(path: string, directory: string): boolean {
  return path === directory || path.startsWith(`${directory}/`)
}
