/** Publications as directories of a disk, such as one that a web server shows or that others mount. */
import { randomUUID } from 'node:crypto'
import { createReadStream, createWriteStream } from 'node:fs'
import { chmod, mkdir, rename, rm, rmdir, stat } from 'node:fs/promises'
import { dirname, join, relative } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { pathToFileURL } from 'node:url'
import { isDiskFull } from '../../base/disk-space.ts'
import { messageOf, NodeError } from '../../base/errors.ts'
import { removeTree } from '../../base/remove-tree.ts'
import type { Destination, Outgoing, OutgoingFile, Placed } from './destination.ts'
import { digestOfStream } from './manifest.ts'
import type { FolderSettings } from './settings.ts'

export class FolderDestination implements Destination {
  readonly kind = 'folder'
  readonly #settings: FolderSettings

  constructor(settings: FolderSettings) {
    this.#settings = settings
  }

  get target(): string {
    return this.#settings.directory
  }

  placeOf(name: string): string {
    const { directory, prefix } = this.#settings
    return join(directory, prefix, name)
  }

  /** It has its name when it is whole, and not before. */
  async publish({ name, files, manifest, signal }: Outgoing): Promise<Placed> {
    const { directory, publicUrl } = this.#settings
    // A disk that is not mounted looks like an empty directory, or none.
    if (!(await isDirectory(directory))) {
      const message = `The folder ${directory} is not there; make or mount it, and run it again`
      throw new NodeError('PUBLISH_FAILED', message, { directory })
    }
    const place = this.placeOf(name)
    const part = join(dirname(place), `.${randomUUID()}.part`)
    try {
      await mkdir(part, { recursive: true })
      for (const file of [...files, manifest]) await this.#write(part, file, signal)
      // An earlier try of the same step, which was cut or is taken over.
      await removeTree(place)
      await rename(part, place)
    } catch (error) {
      await removeTree(part)
      signal.throwIfAborted()
      if (error instanceof NodeError) throw error
      const code = isDiskFull(error) ? 'DISK_FULL' : 'PUBLISH_FAILED'
      throw new NodeError(
        code,
        `${place} cannot be written: ${messageOf(error)}`,
        { place },
        { cause: error },
      )
    }
    const below = relative(directory, place).split('/').map(encodeURIComponent).join('/')
    return { place, address: publicUrl === undefined ? pathToFileURL(place).href : `${publicUrl}/${below}/` }
  }

  async #write(part: string, file: OutgoingFile, signal: AbortSignal): Promise<void> {
    const at = join(part, file.path)
    await mkdir(dirname(at), { recursive: true })
    // To the disk itself before it is called published.
    await pipeline(file.open(), createWriteStream(at, { flags: 'wx', flush: true }), { signal })
    await chmod(at, 0o644)
    if (!this.#settings.readBack) return
    const { sha256 } = await digestOfStream(createReadStream(at, { signal }))
    if (sha256 === file.sha256) return
    const message = `${at} was written with the SHA-256 ${file.sha256}, and reads as ${sha256}`
    throw new NodeError('PUBLISH_FAILED', message, { path: file.path })
  }

  /** Directories go when they are empty: what others have put there stays. */
  async remove(place: string, paths: readonly string[], signal: AbortSignal): Promise<void> {
    const { directory } = this.#settings
    // [MUST] Never beyond the folder, whatever was remembered.
    if (relative(directory, place).startsWith('..')) {
      throw new NodeError('FORBIDDEN', `${place} is not below ${directory}`, { place })
    }
    if (!(await isDirectory(directory))) {
      throw new NodeError('SOURCE_UNAVAILABLE', `The folder ${directory} is not there; is it mounted?`, {
        directory,
      })
    }
    const directories = new Set<string>()
    for (const path of paths) {
      signal.throwIfAborted()
      await rm(join(place, path), { force: true })
      for (let at = dirname(path); at !== '.'; at = dirname(at)) directories.add(at)
    }
    const deepest = [...directories].toSorted((one, other) => other.length - one.length)
    for (const inner of deepest) await removeEmpty(join(place, inner))
    for (let at = place; at !== directory && at.startsWith(directory); at = dirname(at)) await removeEmpty(at)
  }
}

async function isDirectory(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  )
}

async function removeEmpty(path: string): Promise<void> {
  try {
    await rmdir(path)
  } catch (error) {
    const stays = ['ENOTEMPTY', 'EEXIST', 'ENOENT']
    if (!(error instanceof Error && 'code' in error && stays.includes(String(error.code)))) throw error
  }
}
