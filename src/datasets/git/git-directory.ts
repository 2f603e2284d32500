/** The layout of a bare repository on disk, as far as both backends share it. */
import { randomUUID } from 'node:crypto'
import { access, mkdir, open, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { NodeError } from '../../base/errors.ts'
import { CONFIG, disarm } from './disarm.ts'
import { clearObjectRests, clearPackRests, clearTornPacks } from './rests.ts'

/** Beside the repositories, and so on the same file system: objects move by renaming. */
const QUARANTINE = '.quarantine'
const ZEROS = '0'.repeat(40)
export const NO_COMMIT = ZEROS
export const TRUTH_BRANCH = 'ground-truth'
/** Proves the one above; no step and no member can have this name, for it has no dash. */
export const CERTIFICATES_BRANCH = 'certificates'
/** Where stock git begins (stock-git.md P7). */
const HEAD = `ref: refs/heads/${TRUTH_BRANCH}\n`

/** Branches are `<step>-<node>` and `ground-truth`: two names of ours with a dash between. */
const BRANCH = /^[a-z0-9](?:[a-z0-9._-]{0,125}[a-z0-9])?$/

export function isBranch(text: string): boolean {
  return BRANCH.test(text) && !text.includes('..') && !text.endsWith('.lock')
}

/** @throws NodeError INVALID_NAME */
export function checkBranch(text: string): string {
  if (!isBranch(text)) throw new NodeError('INVALID_NAME', `"${text}" cannot name a branch`, { branch: text })
  return text
}

/**
 * Makes an empty bare repository at `path` unless one is there, puts right what is not ours in it, and clears what a
 * killed git has left locked.
 */
export async function prepareRepository(path: string): Promise<void> {
  await layOut(path)
  await disarm(path, HEAD)
  for (const directory of [path, join(path, 'refs', 'heads')]) {
    for (const name of await readdir(directory)) {
      // Nobody else works here: the store's lock keeps a second node away.
      if (name.endsWith('.lock')) await rm(join(directory, name), { force: true })
    }
  }
  await clearPackRests(path)
  await clearTornPacks(path)
  await clearObjectRests(path)
}

/**
 * Makes a bare repository that sees the objects of the one at `path` and keeps new ones to itself.
 *
 * @returns where it lies.
 */
export async function makeQuarantine(path: string): Promise<string> {
  const place = join(dirname(path), QUARANTINE, randomUUID())
  try {
    await layOut(place)
    await writeFile(join(place, 'objects', 'info', 'alternates'), `${join(path, 'objects')}\n`)
    return place
  } catch (error) {
    // On a full disk half a place is all that there was room for.
    await rm(place, { recursive: true, force: true })
    throw error
  }
}

/** Removes what a killed node has left in quarantine below `directory`. */
export async function clearQuarantine(directory: string): Promise<void> {
  await rm(join(directory, QUARANTINE), { recursive: true, force: true })
}

/**
 * Moves the packs of a quarantine into the repository. git finds a pack by its index, which goes last: a node that is
 * killed in between has either all of a pack or nothing of it.
 */
export async function movePacks(place: string, path: string): Promise<void> {
  const [from, to] = [join(place, 'objects', 'pack'), join(path, 'objects', 'pack')]
  const rank = (name: string) => (name.endsWith('.idx') ? 1 : 0)
  const names = (await readdir(from)).filter((name) => /^pack-[0-9a-f]{40}\.(?:pack|rev|idx)$/.test(name))
  for (const name of names.sort((a, b) => rank(a) - rank(b))) {
    if (!(await exists(join(to, name)))) await rename(join(from, name), join(to, name))
  }
  await syncDirectory(to)
}

export async function exists(path: string): Promise<boolean> {
  try {
    await access(path)
    return true
  } catch {
    return false
  }
}

/** Makes renames in a directory survive a power cut, where the system can. */
export async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** Puts a file in place in one step, durable before it has its name. */
export async function replaceFile(path: string, content: string | Uint8Array): Promise<void> {
  const temporary = `${path}.${randomUUID()}.lock`
  const handle = await open(temporary, 'wx')
  try {
    await handle.writeFile(content)
    await handle.sync()
    await rename(temporary, path)
  } catch (error) {
    await rm(temporary, { force: true })
    throw error
  } finally {
    await handle.close()
  }
}

/** Removes a branch wherever it is kept: first from the list of packed ones, which would show an older state again. */
export async function removeRef(path: string, branch: string): Promise<void> {
  const [packed, name] = [join(path, 'packed-refs'), `refs/heads/${branch}`]
  const listed = (await exists(packed)) ? await readFile(packed, 'utf8') : ''
  const rows = listed.split('\n')
  const at = rows.findIndex((row) => row.slice(41) === name)
  if (at !== -1) {
    // What an annotated tag points to stands in a row of its own behind it.
    rows.splice(at, rows[at + 1]?.startsWith('^') === true ? 2 : 1)
    await replaceFile(packed, rows.join('\n'))
  }
  await rm(join(path, name), { force: true })
  await syncDirectory(join(path, 'refs', 'heads'))
}

async function layOut(path: string): Promise<void> {
  if (await exists(join(path, 'HEAD'))) return
  for (const inner of ['objects/info', 'objects/pack', 'refs/heads', 'refs/tags', 'info']) {
    await mkdir(join(path, inner), { recursive: true })
  }
  await writeFile(join(path, 'config'), CONFIG)
  // Last: a directory without it is no repository, and is laid out again.
  await writeFile(join(path, 'HEAD'), HEAD)
}
