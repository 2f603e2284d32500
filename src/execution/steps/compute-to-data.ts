/**
 * Writes the directories that an algorithm of compute-to-data finds when it begins (layouts.ts): the files of each input
 * by number, a description of each, and the algorithm's own code where a step brings one. The files are copies: the
 * trees that runs share are sealed, and an algorithm may look for plain files alone.
 */
import { constants } from 'node:fs'
import { chmod, copyFile, lstat, mkdir, opendir, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { checkFree } from '../../base/disk-space.ts'
import { NodeError } from '../../base/errors.ts'
import { computeToDataFilesMax } from '../../base/limits.ts'
import { COMPUTE_TO_DATA_DIRECTORIES, type LaidInput } from './layouts.ts'

/** An input of this name is the algorithm's own code, which operators put there under it. */
const ALGORITHM = 'algorithm'
/** An input of this name holds the parameters of a job, which lie beside the inputs. */
const PARAMETERS = 'algoCustomData.json'
const READ_ALL = 0o444
const READ_AND_RUN_ALL = 0o555

/**
 * @param p.directory is made here.
 * @returns the ids of the inputs, in their order: operators give them without `did:op:`, and these are the names under
 * which a step has its inputs.
 * @throws NodeError TOO_LARGE when an input has more files than can be numbered, DISK_FULL, what the disk throws, the signal's reason.
 */
export async function writeComputeToData(p: {
  directory: string
  inputs: readonly LaidInput[]
  tool: string
  /** Disk space that is left to the node. */
  reserveBytes: number
  signal: AbortSignal
}): Promise<string[]> {
  const { directory, inputs, tool, reserveBytes, signal } = p
  const copy = (from: string, to: string) => copyWithin(from, to, reserveBytes)
  for (const name of COMPUTE_TO_DATA_DIRECTORIES) await mkdir(join(directory, name), { recursive: true })
  const dids: string[] = []
  for (const { name, path, isDirectory } of inputs) {
    if (name === ALGORITHM && !isDirectory) await copy(path, join(directory, 'transformations', name))
    else if (name === PARAMETERS && !isDirectory) await copy(path, join(directory, 'inputs', name))
    else {
      const files = isDirectory ? await filesBelow(path, name) : [path]
      const place = join(directory, 'inputs', name)
      await mkdir(place)
      for (const [index, file] of files.entries()) {
        signal.throwIfAborted()
        await copy(file, join(place, String(index)))
      }
      const described = descriptionOf(
        name,
        'dataset',
        files.map((file) => (isDirectory ? file.slice(path.length + 1) : basename(file))),
      )
      await writeFile(join(directory, 'ddos', name), described, { mode: READ_ALL })
      dids.push(name)
    }
  }
  await writeFile(join(directory, 'ddos', tool), descriptionOf(tool, 'algorithm', []), { mode: READ_ALL })
  return dids
}

/** Of a file system that can share blocks, the copy takes no room. */
async function copyWithin(from: string, to: string, reserveBytes: number): Promise<void> {
  await checkFree({ place: dirname(to), reserveBytes, wantedBytes: (await lstat(from)).size })
  await copyFile(from, to, constants.COPYFILE_FICLONE)
  const { mode } = await lstat(to)
  await chmod(to, (mode & 0o100) === 0 ? READ_ALL : READ_AND_RUN_ALL)
}

/** Plain files alone, by path: links lead elsewhere, and git's own order does not depend on the machine either. */
async function filesBelow(root: string, name: string): Promise<string[]> {
  const found: string[] = []
  const waiting = [root]
  for (let directory = waiting.pop(); directory !== undefined; directory = waiting.pop()) {
    for await (const entry of await opendir(directory)) {
      const path = join(directory, entry.name)
      if (entry.isDirectory()) waiting.push(path)
      else if (entry.isFile()) found.push(path)
      if (found.length <= computeToDataFilesMax) continue
      const message = `The input ${name} has more than ${computeToDataFilesMax} files, which nobody finds by number; give the step less of it (a path), or the layout mao`
      throw new NodeError('TOO_LARGE', message, { name })
    }
  }
  return found.sort()
}

/**
 * What algorithms look for in a description: the names of the files behind the numbers, in the words of the third
 * version (`service`, of type metadata) and of the fourth (`services`, of type compute).
 */
function descriptionOf(id: string, type: 'dataset' | 'algorithm', files: readonly string[]): string {
  const numbered = files.map((name, index) => ({ index, name }))
  const main = { name: id, type, files: numbered }
  return JSON.stringify({
    id,
    metadata: { name: id, type },
    services: [{ id: '0', type: 'compute', files: numbered }],
    service: [{ index: 0, type: 'metadata', attributes: { main } }],
  })
}
