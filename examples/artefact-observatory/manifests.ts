import { copyFile, mkdir, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'

export interface Manifest {
  /** `name@version`, with the slash of a scoped name as a plus sign: a file name on every system. */
  id: string
  path: string
}

// A name or version that is anything else could lead out of the directory that the manifests are copied to.
const NAME = /^(@[\w.~-]+\/)?[\w.~-]+$/
const VERSION = /^[\w.+-]+$/

/**
 * The package.json of every package installed below `directory`/node_modules, scoped and nested ones included, each
 * name@version once, sorted bytewise by id.
 */
export async function installedManifests(directory: string): Promise<Manifest[]> {
  const found = new Map<string, string>()
  for await (const path of packagesIn(join(directory, 'node_modules'))) {
    const manifest = join(path, 'package.json')
    const id = await idOf(manifest)
    if (id !== undefined && !found.has(id)) found.set(id, manifest)
  }
  const sorted = [...found].sort(([one], [other]) => Buffer.compare(Buffer.from(one), Buffer.from(other)))
  return sorted.map(([id, path]) => ({ id, path }))
}

/** Copies the installed manifests to `target`/manifests/<id>.json and says how many there are. */
export async function copyInstalledManifests(directory: string, target: string): Promise<number> {
  const manifests = await installedManifests(directory)
  await mkdir(join(target, 'manifests'), { recursive: true })
  for (const { id, path } of manifests) await copyFile(path, join(target, 'manifests', `${id}.json`))
  return manifests.length
}

/** The directories of packages in one node_modules directory, and in those that packages bring along. */
async function* packagesIn(nodeModules: string): AsyncGenerator<string> {
  for (const name of await directoriesIn(nodeModules)) {
    if (name.startsWith('.')) continue
    const packages = name.startsWith('@')
      ? (await directoriesIn(join(nodeModules, name))).map((scoped) => join(nodeModules, name, scoped))
      : [join(nodeModules, name)]
    for (const path of packages) {
      yield path
      yield* packagesIn(join(path, 'node_modules'))
    }
  }
}

async function directoriesIn(directory: string): Promise<string[]> {
  try {
    const entries = await readdir(directory, { withFileTypes: true })
    return entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name)
  } catch (error) {
    if (isMissing(error)) return []
    throw error
  }
}

async function idOf(manifest: string): Promise<string | undefined> {
  let text: string
  try {
    text = await readFile(manifest, 'utf8')
  } catch (error) {
    if (isMissing(error)) return undefined
    throw error
  }
  const { name, version } = JSON.parse(text) as { name?: unknown; version?: unknown }
  if (typeof name !== 'string' || typeof version !== 'string') return undefined
  if (!NAME.test(name) || !VERSION.test(version)) return undefined
  return `${name.replace('/', '+')}@${version}`
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT'
}
