/** What a git that was killed, or met a full disk, leaves in a bare repository. */
import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'

/** git's names for a pack in the making. */
const PACK_REST = /^(?:tmp_|\.tmp-)/
/** Loose objects in the making: git's name, and that of `replaceFile`. */
const OBJECT_REST = /^tmp_obj_|\.lock$/
const FAN_OUT = /^[0-9a-f]{2}$/

/** Packs in the making. Only a collection makes packs here, one at a time; what is received is made elsewhere. */
export async function clearPackRests(path: string): Promise<void> {
  await clear(join(path, 'objects', 'pack'), PACK_REST)
}

/** Objects in the making; to be called while nobody makes any. */
export async function clearObjectRests(path: string): Promise<void> {
  const objects = join(path, 'objects')
  await clear(objects, OBJECT_REST)
  for (const name of await readdir(objects))
    if (FAN_OUT.test(name)) await clear(join(objects, name), OBJECT_REST)
}

async function clear(directory: string, rest: RegExp): Promise<void> {
  for (const name of await readdir(directory))
    if (rest.test(name)) await rm(join(directory, name), { recursive: true, force: true })
}
