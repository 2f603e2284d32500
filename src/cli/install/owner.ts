/** Whose a node is that root installs: whoever called root by sudo. What root writes for it has to be theirs to be read. */
import { lchown, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'

export interface Owner {
  readonly user: string
  readonly uid: number
  readonly gid: number
  readonly home: string
}

/** Undefined where nobody but root itself is there. */
export async function ownerOf(
  environment: Readonly<Record<string, string | undefined>>,
): Promise<Owner | undefined> {
  const { SUDO_USER } = environment
  if (process.getuid?.() !== 0 || SUDO_USER === undefined || SUDO_USER === 'root') return undefined
  return ownerIn(await readFile('/etc/passwd', 'utf8').catch(() => ''), SUDO_USER)
}

/** A line of passwd(5): name, password, uid, gid, comment, home, shell. Pure. */
export function ownerIn(passwd: string, user: string): Owner | undefined {
  const fields = passwd
    .split('\n')
    .map((line) => line.split(':'))
    .find(([name]) => name === user)
  const [, , uid = '', gid = '', , home = ''] = fields ?? []
  if (!/^\d+$/.test(uid) || !/^\d+$/.test(gid) || home === '') return undefined
  return { user, uid: Number(uid), gid: Number(gid), home }
}

/** Gives a directory and all that is in it to its owner; links are given, and not followed. */
export async function giveTo({ uid, gid }: Pick<Owner, 'uid' | 'gid'>, directory: string): Promise<void> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true })
  for (const entry of entries) await lchown(join(entry.parentPath, entry.name), uid, gid)
  await lchown(directory, uid, gid)
}
