/** What a git that was killed, or met a full disk, leaves in a bare repository. */
import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'

/** git's names for a pack in the making. */
const PACK_REST = /^(?:tmp_|\.tmp-)/
/** Loose objects in the making: git's name, and that of `replaceFile`. */
const OBJECT_REST = /^tmp_obj_|\.lock$/
const FAN_OUT = /^[0-9a-f]{2}$/

/** Removes packs in the making. Only one collection at a time makes packs here; what is received is made elsewhere. */
export async function clearRests(path: string): Promise<void> {
  await clear(join(path, 'objects', 'pack'), PACK_REST)
}

/** Removes all that was in the making, when nobody is at work here yet. */
export async function clearAllRests(path: string): Promise<void> {
  await clearRests(path)
  const objects = join(path, 'objects')
  await clear(objects, PACK_REST)
  for (const name of await readdir(objects))
    if (FAN_OUT.test(name)) await clear(join(objects, name), OBJECT_REST)
}

async function clear(directory: string, rest: RegExp): Promise<void> {
  for (const name of await readdir(directory))
    if (rest.test(name)) await rm(join(directory, name), { recursive: true, force: true })
}
