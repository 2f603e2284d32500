/** Checking a repository without the git program. */
import { join } from 'node:path'
import { isNodeError, messageOf } from '../../base/errors.ts'
import { problemsMax } from '../../base/limits.ts'
import { objectId } from './git-objects.ts'
import { IdTable } from './id-table.ts'
import { ObjectReader, type ObjectType } from './isomorphic-objects.ts'
import { referred } from './object-links.ts'
import type { Problem, Verification } from './repository.ts'
import { looseFiles, namesIn } from './repository-size.ts'

export async function verify(
  path: string,
  branches: ReadonlyMap<string, string>,
  signal?: AbortSignal,
): Promise<Verification> {
  const reader = new ObjectReader(path)
  const problems: Problem[] = []
  const tell = (problem: Problem) => {
    if (problems.length < problemsMax) problems.push(problem)
  }
  const types = new Map<string, string>()
  for (const oid of await allIds(path)) {
    signal?.throwIfAborted()
    types.set(oid, await checkObject(reader, oid, tell))
  }
  await checkWhole(reader, types, branches, tell, signal)
  return { objects: types.size, problems }
}

/** Every object that is stored, once. */
export async function allIds(path: string): Promise<Set<string>> {
  const ids = new Set((await looseFiles(path)).map((file) => file.oid))
  for (const name of await namesIn(join(path, 'objects', 'pack'))) {
    if (!name.endsWith('.idx')) continue
    const table = await IdTable.read(join(path, 'objects', 'pack', name))
    for (const oid of table.without()) ids.add(oid)
  }
  return ids
}

/** @returns the object's type, or 'broken'. */
async function checkObject(reader: ObjectReader, oid: string, tell: (problem: Problem) => void) {
  try {
    const found = await reader.find(oid)
    if (found !== undefined && objectId(found.type as ObjectType, found.bytes) === oid) {
      try {
        referred(oid, found.type, found.bytes)
      } catch (error) {
        const code = isNodeError(error, 'PATH_UNSAFE') ? 'PATH_UNSAFE' : 'MALFORMED'
        tell({ code, oid, message: messageOf(error) })
        return 'broken'
      }
      return found.type
    }
    tell({ code: 'CORRUPT', oid, message: `The object ${oid} does not hold what its name says` })
  } catch (error) {
    tell({ code: 'CORRUPT', oid, message: messageOf(error) })
  }
  return 'broken'
}

async function checkWhole(
  reader: ObjectReader,
  types: ReadonlyMap<string, string>,
  branches: ReadonlyMap<string, string>,
  tell: (problem: Problem) => void,
  signal?: AbortSignal,
): Promise<void> {
  const pending: [oid: string, type: string][] = [...branches.values()].map((oid) => [oid, 'commit'])
  const seen = new Set<string>()
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    signal?.throwIfAborted()
    const [oid, type] = next
    if (seen.has(oid)) continue
    seen.add(oid)
    const found = types.get(oid)
    if (found === undefined) tell({ code: 'MISSING', oid, message: `The ${type} ${oid} is not here` })
    else if (found !== type && found !== 'broken')
      tell({ code: 'MALFORMED', oid, message: `${oid} is a ${found}, not a ${type}` })
    else if (found !== 'blob' && found !== 'broken') {
      pending.push(...referred(oid, found, await reader.read(oid, found as ObjectType)))
    }
  }
}
