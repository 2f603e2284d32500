import { rm } from 'node:fs/promises'
import { isNodeError, NodeError } from '../../base/errors.ts'
import {
  blobBytesMax,
  commitBytesMax,
  packInMemoryBytesMax,
  packInMemoryObjectsMax,
  treeBytesMax,
} from '../../base/limits.ts'
import { ADMISSION_BOUNDS, Admission, type AdmissionBounds, type QuarantineParts } from './admission.ts'
import { movePacks } from './git-directory.ts'
import { ObjectReader } from './isomorphic-objects.ts'
import { missingBelow } from './isomorphic-walk.ts'
import { checkCommit } from './object-format.ts'
import { type Link, referred } from './object-links.ts'
import { meterPack } from './pack-meter.ts'
import { openPack, unpack } from './pack-unpack.ts'
import { encodeEntry, PackFile } from './pack-writer.ts'
import { withoutGit } from './remote.ts'
import type { Quarantine } from './repository.ts'
import { measureRepository } from './repository-size.ts'

/** Checks what git would (dataset-fetch.md D6, D7, D8): the pack, formats, links; then our bounds and rules. */
export class IsomorphicQuarantine implements Quarantine {
  readonly #parts: QuarantineParts
  readonly #tips: () => Promise<readonly string[]>
  readonly #bounds: AdmissionBounds
  readonly #admission: Admission
  readonly #types = new Map<string, string>()
  /** What received objects refer to, by id. */
  readonly #links = new Map<string, string>()

  /** @param tips where the real repository's branches are. */
  constructor(parts: QuarantineParts, tips: () => Promise<readonly string[]>) {
    this.#parts = parts
    this.#tips = tips
    const bounds = { ...ADMISSION_BOUNDS, ...parts.bounds }
    this.#bounds = {
      ...bounds,
      bytesMax: Math.min(bounds.bytesMax, packInMemoryBytesMax),
      fileBytesMax: Math.min(bounds.fileBytesMax, blobBytesMax),
    }
    this.#admission = new Admission(this.#bounds, parts.shapes)
  }

  async fetchRemote(): Promise<string> {
    throw withoutGit()
  }

  /** Deltas are resolved for good: a chain of thousands of them would be walked at every reading. */
  async receive(pack: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<void> {
    const received = await this.#gather(pack, signal)
    const objects = openPack(received)
    const made = await PackFile.create(this.#parts.place, objects, packInMemoryBytesMax)
    try {
      for await (const { oid, type, bytes, packed } of unpack(received, this.#objectBytesMax())) {
        signal.throwIfAborted()
        this.#judge(oid, type, bytes)
        await made.add(oid, packed ?? (await encodeEntry(type, bytes)))
      }
      if (objects > 0) await made.keep()
    } catch (cause) {
      if (!isNodeError(cause, 'TOO_LARGE')) throw cause
      throw new NodeError('PACK_REJECTED', cause.message, cause.data, { cause })
    } finally {
      await made.close()
    }
  }

  async admit(wants: readonly string[], signal: AbortSignal): Promise<void> {
    const reader = new ObjectReader(this.#parts.path)
    for (const oid of wants) this.#link([oid, 'commit'])
    await this.#checkConnected(signal)
    // Directories that are here already are read as well, where it is not known how deep they are.
    for (let next = this.#admission.needed(); next.length > 0; next = this.#admission.needed()) {
      for (const oid of next) {
        signal.throwIfAborted()
        this.#admission.tree(oid, Buffer.from(await reader.read(oid, 'tree')))
      }
    }
    this.#admission.shapes()
    await movePacks(this.#parts.place, this.#parts.path)
  }

  async size(): Promise<number> {
    return (await measureRepository(this.#parts.place)).bytes
  }

  async discard(): Promise<void> {
    this.#parts.release()
    await rm(this.#parts.place, { recursive: true, force: true, maxRetries: 3 })
  }

  /**
   * What arrived may lead to what was here already without being whole, such as a rest that a collection had begun to
   * take away: only what branches lead to is taken for whole, as where git is at hand.
   */
  async #checkConnected(signal: AbortSignal): Promise<void> {
    const links = [...this.#links]
    const wrong = links.find(([oid, type]) => (this.#types.get(oid) ?? type) !== type)
    const here = links.filter(([oid]) => !this.#types.has(oid))
    const reader = new ObjectReader(this.#parts.path, this.#parts.place)
    const missing = wrong ?? (await missingBelow(reader, here, await this.#tips(), signal))
    if (missing === undefined) return
    const [oid, type] = missing
    const message = `A ${type} ${oid} is needed and did not come`
    throw new NodeError('PACK_REJECTED', message, { oid, missing: wrong === undefined })
  }

  async #gather(pack: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<Buffer> {
    const chunks: Uint8Array[] = []
    const { bytesMax } = this.#bounds
    try {
      for await (const chunk of meterPack(pack, bytesMax)) {
        signal.throwIfAborted()
        chunks.push(chunk)
      }
    } catch (cause) {
      if (!isNodeError(cause, 'PACK_REJECTED') || bytesMax < packInMemoryBytesMax) throw cause
      // Only what exceeds this backend is nobody's fault.
      if (typeof cause.data.bytes !== 'number') throw cause
      const message = `${cause.message}, as many as a node without the git program takes; install git here`
      throw new NodeError('TOO_LARGE', message, { ...cause.data, bound: 'memory' }, { cause })
    }
    return Buffer.concat(chunks)
  }

  #objectBytesMax(): number {
    return Math.max(this.#bounds.fileBytesMax, treeBytesMax, commitBytesMax)
  }

  #judge(oid: string, type: string, bytes: Buffer): void {
    this.#admission.object(oid, type, bytes.length)
    this.#types.set(oid, type)
    if (type === 'tree') this.#admission.tree(oid, bytes)
    if (type === 'commit') checkCommit(oid, bytes)
    for (const link of referred(oid, type, bytes)) this.#link(link)
  }

  #link([oid, type]: Link): void {
    const known = this.#links.get(oid) ?? type
    if (known !== type) {
      throw new NodeError('PACK_REJECTED', `The object ${oid} cannot be a ${type} and a ${known}`, { oid })
    }
    this.#links.set(oid, type)
    if (this.#links.size <= packInMemoryObjectsMax) return
    const message = `What came refers to more than ${packInMemoryObjectsMax} objects; install git`
    throw new NodeError('PACK_REJECTED', message)
  }
}
