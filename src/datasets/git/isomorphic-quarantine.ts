import { createHash } from 'node:crypto'
import fs from 'node:fs'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import git from 'isomorphic-git'
import { messageOf, NodeError } from '../../base/errors.ts'
import { packInMemoryBytesMax } from '../../base/limits.ts'
import { movePacks } from './git-directory.ts'
import { ObjectReader } from './isomorphic-objects.ts'
import { referred } from './object-links.ts'
import { meterPack } from './pack-meter.ts'
import { scanPack } from './pack-scan.ts'
import { withoutGit } from './remote.ts'
import type { Quarantine } from './repository.ts'
import { measureRepository } from './repository-size.ts'

/** Where isomorphic-git trusts what it is given, this checks: the checksum, sizes unpacked, and that nothing is missing. */
export class IsomorphicQuarantine implements Quarantine {
  readonly #path: string
  readonly #place: string
  readonly #release: () => void
  #received: readonly string[] = []

  constructor(path: string, place: string, release: () => void = () => undefined) {
    this.#release = release
    this.#path = path
    this.#place = place
  }

  async fetchRemote(): Promise<string> {
    throw withoutGit()
  }

  async receive(pack: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<void> {
    const chunks: Uint8Array[] = []
    for await (const chunk of meterPack(pack, packInMemoryBytesMax)) {
      signal.throwIfAborted()
      chunks.push(chunk)
    }
    const bytes = Buffer.concat(chunks)
    const checksum = createHash('sha1').update(bytes.subarray(0, -20)).digest()
    if (!checksum.equals(bytes.subarray(-20))) {
      throw new NodeError('PACK_REJECTED', 'The checksum of the received pack does not hold')
    }
    if (scanPack(bytes) === 0) return
    const filepath = `objects/pack/pack-${checksum.toString('hex')}.pack`
    await writeFile(join(this.#place, filepath), bytes)
    try {
      const { oids } = await git.indexPack({ fs, dir: this.#place, gitdir: this.#place, filepath, cache: {} })
      this.#received = oids
    } catch (cause) {
      throw new NodeError(
        'PACK_REJECTED',
        `The received pack does not unpack: ${messageOf(cause)}`,
        {},
        { cause },
      )
    }
  }

  async admit(wants: readonly string[], signal: AbortSignal): Promise<void> {
    const reader = new ObjectReader(this.#place, this.#path)
    const types = new Map<string, string>()
    const needed: [oid: string, type: string][] = wants.map((oid) => [oid, 'commit'])
    for (const oid of this.#received) {
      signal.throwIfAborted()
      const found = await reader.find(oid)
      if (found === undefined)
        throw new NodeError('PACK_REJECTED', `The object ${oid} cannot be read`, { oid })
      types.set(oid, found.type)
      needed.push(...referred(oid, found.type, found.bytes))
    }
    for (const [oid, type] of needed) {
      if (!types.has(oid)) types.set(oid, (await reader.find(oid))?.type ?? 'missing object')
      if (types.get(oid) === type) continue
      throw new NodeError('PACK_REJECTED', `A ${type} ${oid} is needed and did not come`, { oid })
    }
    await movePacks(this.#place, this.#path)
  }

  async size(): Promise<number> {
    return (await measureRepository(this.#place)).bytes
  }

  async discard(): Promise<void> {
    this.#release()
    await rm(this.#place, { recursive: true, force: true, maxRetries: 3 })
  }
}
