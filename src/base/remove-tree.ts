import { chmod, mkdir, opendir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { messageOf } from './errors.ts'
import type { Logger } from './logger.ts'

/**
 * Removes a directory and all below it, also what its owner may not enter: a tool that runs as the node's own user can
 * leave directories that even the node cannot look into until their modes are opened. No link is followed.
 */
export async function removeTree(path: string): Promise<void> {
  try {
    await rm(path, { recursive: true, force: true })
  } catch (error) {
    if (!isRefusal(error)) throw error
    await openDirectories(path)
    await rm(path, { recursive: true, force: true })
  }
}

/**
 * Begins anew with an empty directory of the node's own. What cannot be removed, such as what another user's node left
 * there, is moved aside under a name with `nowMs` in it.
 */
export async function beginAnew(directory: string, nowMs: number, log: Logger): Promise<void> {
  try {
    await removeTree(directory)
  } catch (error) {
    const aside = `${directory}-left-${nowMs}`
    log.error({ directory, aside, error: messageOf(error) }, 'old work is not to be removed; moved aside')
    await rename(directory, aside).catch((failure: unknown) => {
      log.error({ directory, error: messageOf(failure) }, 'old work stays where it is')
    })
  }
  await mkdir(directory, { recursive: true, mode: 0o700 })
}

async function openDirectories(path: string): Promise<void> {
  await chmod(path, 0o700)
  for await (const entry of await opendir(path)) {
    if (entry.isDirectory()) await openDirectories(join(path, entry.name))
  }
}

function isRefusal(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'EACCES' || error.code === 'EPERM')
}
