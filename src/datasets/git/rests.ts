/** What a git that was killed, or met a full disk, leaves in a bare repository (dataset-upkeep.md Q12). */
import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'

/** git's names for a pack in the making, and that of `replaceFile` for what stands beside one. */
const PACK_REST = /^(?:tmp_|\.tmp-)|\.lock$/
/** The name of pack-writer.ts for a pack in the making. */
const MADE_BY_US = /^making_/
/** A pack and what belongs to it. */
const PACK_FILE = /^(pack-[0-9a-f]{40})\./
/** Loose objects in the making: git's name, and that of `replaceFile`. */
const OBJECT_REST = /^tmp_obj_|\.lock$/
const FAN_OUT = /^[0-9a-f]{2}$/

/**
 * Packs in the making; to be called while nobody makes any: collections do, and so does whoever stores a large file,
 * which git writes into a pack of its own. What is received is made elsewhere.
 */
export async function clearPackRests(path: string): Promise<void> {
  await clear(join(path, 'objects', 'pack'), PACK_REST)
}

/** Parts of packs that have no index, and so are nothing to git; to be called while nobody brings any. */
export async function clearTornPacks(path: string): Promise<void> {
  const directory = join(path, 'objects', 'pack')
  const names = new Set(await readdir(directory))
  await clear(directory, MADE_BY_US)
  for (const name of names) {
    const pack = PACK_FILE.exec(name)?.[1]
    if (pack !== undefined && !(names.has(`${pack}.idx`) && names.has(`${pack}.pack`)))
      await rm(join(directory, name), { force: true })
  }
}

/** Objects in the making; to be called while nobody makes any. */
export async function clearObjectRests(path: string): Promise<void> {
  const objects = join(path, 'objects')
  await clear(objects, OBJECT_REST)
  const fanOut = (await readdir(objects)).filter((name) => FAN_OUT.test(name))
  await Promise.all(fanOut.map((name) => clear(join(objects, name), OBJECT_REST)))
}

async function clear(directory: string, rest: RegExp): Promise<void> {
  for (const name of await readdir(directory))
    if (rest.test(name)) await rm(join(directory, name), { recursive: true, force: true })
}
