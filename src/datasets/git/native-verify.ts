/** Checking a repository with the git program. */
import { isNodeError, messageOf } from '../../base/errors.ts'
import { fetchTimeoutMs, problemsMax } from '../../base/limits.ts'
import { decodeTree } from './git-objects.ts'
import { GitExit, type GitOptions, type GitProgram } from './git-program.ts'
import { lines, readObjects } from './native-objects.ts'
import type { Problem, Verification } from './repository.ts'

/** What git's own check says of an object, read as one of our codes. */
const FSCK_LINES: readonly (readonly [RegExp, Problem['code']])[] = [
  [/^(?:missing|unreachable missing) \w+ ([0-9a-f]{40})/, 'MISSING'],
  [/^ +to +\w+ ([0-9a-f]{40})/, 'MISSING'],
  [/^error: refs\/heads\/\S+: invalid sha1 pointer ([0-9a-f]{40})/, 'MISSING'],
  [/^error in \w+ ([0-9a-f]{40}): /, 'MALFORMED'],
  [/^error: ([0-9a-f]{40}): (?:object (?:corrupt|could not be parsed)|hash mismatch)/, 'CORRUPT'],
  [/^error: (?:packed|loose object) ([0-9a-f]{40})\b.*corrupt/, 'CORRUPT'],
  [/^error: .*(?:sha1 mismatch|hash mismatch|inflate|corrupt|index file|pack checksum)/, 'CORRUPT'],
]

export async function verify(git: GitProgram, path: string, signal?: AbortSignal): Promise<Verification> {
  const problems = new Problems()
  const { trees, objects } = await listObjects(git, path, problems, signal)
  // Our rules come first: they say more of a name than git's do.
  const unread = await checkPaths(git, path, trees, problems, signal)
  await checkFormats(git, path, problems, signal)
  // git has not found what kept its trees from being read.
  if (unread !== undefined && problems.found.length === 0) throw unread
  return { objects, problems: problems.found }
}

/** The first problem of each object, at most `problemsMax`. */
class Problems {
  readonly found: Problem[] = []
  readonly #of = new Set<string>()

  add(problem: Problem): void {
    if (this.found.length >= problemsMax || this.#of.has(problem.oid ?? problem.message)) return
    this.#of.add(problem.oid ?? problem.message)
    this.found.push(problem)
  }
}

async function checkFormats(git: GitProgram, path: string, problems: Problems, signal?: AbortSignal) {
  const args = [`--git-dir=${path}`, 'fsck', '--full', '--strict', '--no-dangling', '--no-reflogs']
  let said = ''
  const read = (text: string) => {
    const rows = (said + text).split('\n')
    said = rows.pop()?.slice(0, 10_000) ?? ''
    for (const row of rows) {
      for (const [shape, code] of FSCK_LINES) {
        const match = shape.exec(row)
        if (match === null) continue
        problems.add({ code, ...(match[1] === undefined ? {} : { oid: match[1] }), message: row.trim() })
        break
      }
    }
  }
  let output = ''
  try {
    await git.read([...args, '--no-progress'], { ...patient(signal), onStderr: read }, async (stdout) => {
      for await (const chunk of stdout) if (output.length < 10_000_000) output += chunk.toString('latin1')
    })
  } catch (error) {
    // It says by its exit code that it has found something.
    if (!(error instanceof GitExit) || error.exitCode === null) throw error
    read(`\n${output}\n`)
    if (problems.found.length === 0) problems.add({ code: 'CORRUPT', message: messageOf(error) })
  }
}

async function listObjects(git: GitProgram, path: string, problems: Problems, signal?: AbortSignal) {
  const trees: string[] = []
  let objects = 0
  const args = ['cat-file', '--batch-all-objects', '--batch-check=%(objectname) %(objecttype)']
  const onStderr = (text: string) => {
    const oid = /\b([0-9a-f]{40})\b/.exec(text)?.[1]
    if (oid !== undefined) problems.add({ code: 'CORRUPT', oid, message: text.trim() })
  }
  const output = await git.run([`--git-dir=${path}`, ...args], { ...patient(signal), onStderr })
  for (const line of lines(output)) {
    objects += 1
    if (line.endsWith(' tree')) trees.push(line.slice(0, 40))
  }
  return { trees, objects }
}

/** Our rules on names go further than those of git. @returns what kept it from reading on. */
async function checkPaths(
  git: GitProgram,
  path: string,
  trees: readonly string[],
  problems: Problems,
  signal?: AbortSignal,
): Promise<unknown> {
  const onTree = async (oid: string, _type: string, content: AsyncIterable<Uint8Array>) => {
    const chunks: Uint8Array[] = []
    for await (const chunk of content) chunks.push(chunk)
    try {
      decodeTree(oid, Buffer.concat(chunks))
    } catch (error) {
      const code = isNodeError(error, 'PATH_UNSAFE') ? 'PATH_UNSAFE' : 'MALFORMED'
      problems.add({ code, oid, message: messageOf(error) })
    }
  }
  try {
    await readObjects(git, path, trees, onTree, signal)
    return undefined
  } catch (error) {
    signal?.throwIfAborted()
    return error
  }
}

function patient(signal: AbortSignal | undefined): GitOptions {
  return { timeoutMs: fetchTimeoutMs, ...(signal === undefined ? {} : { signal }) }
}
