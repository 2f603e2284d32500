/**
 * git lets a repository speak for itself: its config names programs to run, its info directory rewrites history, its
 * alternates lead into other repositories. Ours say nothing of the kind, so whatever does is somebody else's word, and
 * is put right before anything is read through it.
 */
import { lstat, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

export const CONFIG = '[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = true\n'
const OID_LINE = /^[0-9a-f]{40}\n?$/
/** Heads of files that are larger than a branch says enough. */
const BRANCH_BYTES_MAX = 4_096

/** Relative to a bare repository; each changes what git reads, or which programs it starts. */
const STRANGERS = [
  'config.worktree',
  'commondir',
  'gitdir',
  'hooks',
  'info/attributes',
  'info/grafts',
  'info/sparse-checkout',
  'modules',
  'objects/info/alternates',
  'objects/info/http-alternates',
  'objects/info/commit-graph',
  'objects/info/commit-graphs',
  'objects/pack/multi-pack-index',
  'refs/replace',
  'shallow',
  'worktrees',
]

/** @param head what HEAD has to say. */
export async function disarm(path: string, head: string): Promise<void> {
  for (const name of STRANGERS) await rm(join(path, name), { recursive: true, force: true })
  await putRight(join(path, 'config'), CONFIG)
  await putRight(join(path, 'HEAD'), head)
  await dropReplacements(join(path, 'packed-refs'))
  await dropCrookedBranches(join(path, 'refs', 'heads'))
}

async function putRight(file: string, content: string): Promise<void> {
  const found = await lstat(file).catch(() => undefined)
  if (found?.isFile() === true && found.size === content.length && (await readFile(file, 'utf8')) === content)
    return
  // A link would have the file behind it written.
  await rm(file, { recursive: true, force: true })
  await writeFile(file, content, { flag: 'wx' })
}

async function dropReplacements(file: string): Promise<void> {
  const text = await readFile(file, 'utf8').catch(() => '')
  if (!text.includes(' refs/replace/')) return
  const rows = text.split('\n').filter((row) => !/^[0-9a-f]{40} refs\/replace\//.test(row))
  await writeFile(file, rows.join('\n'))
}

/**
 * A branch is a file with an id in it. One that points to another name, or is a link, or was torn by a power cut, is as
 * good as lost, and a lost branch is fetched from others or begun anew (dataset-heads.md H11).
 */
async function dropCrookedBranches(directory: string): Promise<void> {
  for (const entry of await readdir(directory, { withFileTypes: true })) {
    const file = join(directory, entry.name)
    if (entry.isDirectory()) continue
    const whole = entry.isFile() && (await lstat(file)).size < BRANCH_BYTES_MAX
    if (whole && OID_LINE.test(await readFile(file, 'latin1'))) continue
    await rm(file, { force: true })
  }
}
