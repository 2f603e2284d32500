/** What this node has published and not removed again, on its disk: records, and beside them the lists of files. */
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Database, DURABLE, type Table, table } from '../../base/database.ts'
import { messageOf, NodeError } from '../../base/errors.ts'
import { publicationsKeptMax } from '../../base/limits.ts'
import { type Manifest, manifestName, manifestSchema } from './manifest.ts'

export interface Publication {
  /** `<run>-<step>-<publisher>` */
  readonly id: string
  readonly publisher: string
  readonly kind: 'folder' | 's3' | 'ipfs' | 'renku'
  /** What the publisher's settings meant then. */
  readonly target: string
  readonly run: string
  readonly pipeline: string
  readonly step: string
  /** `writing` is what a crash leaves too; `removing` goes with the next sweep. */
  readonly state: 'writing' | 'published' | 'removing' | 'removed'
  /** Within the publisher; absent until it is known, and there is nothing to remove before. */
  readonly place?: string
  /** False where the same content was there before. */
  readonly isOurs?: boolean
  readonly address?: string
  readonly files: number
  readonly bytes: number
  readonly manifestSha256: string
  readonly createdMs: number
  readonly expiresMs?: number
  readonly removedMs?: number
  /** Why the last try to remove it failed. */
  readonly problem?: string
}

export class Publications {
  readonly #table: Table<Publication>
  readonly #directory: string
  readonly #all = new Map<string, Publication>()

  /** @param parts.directory for the lists of files; it is made when there are any. */
  constructor(parts: { database: Database; directory: string }) {
    this.#table = table(parts.database, 'publications')
    this.#directory = parts.directory
  }

  async load(): Promise<void> {
    this.#all.clear()
    for await (const [id, publication] of this.#table.iterator()) this.#all.set(id, publication)
  }

  /** Oldest first. */
  list(): Publication[] {
    return [...this.#all.values()].toSorted((one, other) => one.createdMs - other.createdMs)
  }

  find(id: string): Publication | undefined {
    return this.#all.get(id)
  }

  /** @throws NodeError NOT_FOUND */
  get(id: string): Publication {
    const found = this.#all.get(id)
    if (found !== undefined) return found
    const message = `This node knows no publication ${id}; "maoctl publication list" shows them`
    throw new NodeError('NOT_FOUND', message, { id })
  }

  /** Before the first byte goes out: what is to be removed again is known then. @throws NodeError QUOTA_EXCEEDED */
  async begin(publication: Publication, manifest: Manifest): Promise<void> {
    await this.#makeRoom()
    await mkdir(this.#directory, { recursive: true, mode: 0o700 })
    const file = this.#fileOf(publication.id)
    await writeFile(`${file}.part`, JSON.stringify(manifest), { mode: 0o600, flush: true })
    await rename(`${file}.part`, file)
    await this.save(publication)
  }

  async save(publication: Publication): Promise<void> {
    await this.#table.put(publication.id, publication, DURABLE)
    this.#all.set(publication.id, publication)
    if (publication.state === 'removed') await rm(this.#fileOf(publication.id), { force: true })
  }

  async forget(id: string): Promise<void> {
    await this.#table.del(id, DURABLE)
    this.#all.delete(id)
    await rm(this.#fileOf(id), { force: true })
  }

  /** All files of a publication, the manifest last. @throws NodeError STORE_FAILED when the list is lost. */
  async paths(id: string): Promise<string[]> {
    try {
      const { files } = manifestSchema.parse(JSON.parse(await readFile(this.#fileOf(id), 'utf8')))
      return [...files.map(({ path }) => path), manifestName(files)]
    } catch (cause) {
      const message = `Which files ${id} has is not known any more (${messageOf(cause)}), so nothing of it was removed; remove them by hand`
      throw new NodeError('STORE_FAILED', message, { id }, { cause })
    }
  }

  async #makeRoom(): Promise<void> {
    const excess = this.#all.size + 1 - publicationsKeptMax
    if (excess <= 0) return
    const gone = this.list().filter(({ state }) => state === 'removed')
    for (const { id } of gone.slice(0, excess)) await this.forget(id)
    if (gone.length >= excess) return
    const message = `This node remembers ${publicationsKeptMax} publications, which is the most; remove some with "maoctl publication remove"`
    throw new NodeError('QUOTA_EXCEEDED', message)
  }

  #fileOf(id: string): string {
    return join(this.#directory, `${id}.json`)
  }
}
