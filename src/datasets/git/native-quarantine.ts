import { readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { isNodeError, NodeError } from '../../base/errors.ts'
import { packObjectsMax, unpackedBytesMax } from '../../base/limits.ts'
import { movePacks, packedIds } from './git-directory.ts'
import { decodeTree } from './git-objects.ts'
import type { GitProgram } from './git-program.ts'
import { readKinds, readObjects } from './native-objects.ts'
import { fetchRemote } from './native-remote.ts'
import { indexPack, rejected } from './native-transfer.ts'
import type { RemoteCall } from './remote.ts'
import type { Quarantine, ReceiveOptions } from './repository.ts'
import { measureRepository } from './repository-size.ts'

/** A bare repository of its own that borrows the real one's objects, so that only what is new arrives. */
export class NativeQuarantine implements Quarantine {
  readonly #git: GitProgram
  readonly #path: string
  readonly #place: string
  readonly #release: () => void
  /** git fetch walks what it has received by itself; a pack taken alone is walked by us. */
  #connected = false

  /** @param path the real repository. @param place the quarantine, already laid out. */
  constructor(git: GitProgram, path: string, place: string, release: () => void = () => undefined) {
    this.#release = release
    this.#git = git
    this.#path = path
    this.#place = place
  }

  async fetchRemote(call: RemoteCall, branch: string, signal: AbortSignal): Promise<string> {
    const commit = await fetchRemote(this.#git, this.#place, { call, branch, signal })
    this.#connected = true
    return commit
  }

  receive(pack: AsyncIterable<Uint8Array>, signal: AbortSignal, options?: ReceiveOptions): Promise<void> {
    return indexPack(this.#git, this.#place, pack, signal, options)
  }

  async admit(wants: readonly string[], signal: AbortSignal): Promise<void> {
    const oids = await this.#received()
    if (oids.length > packObjectsMax) {
      throw new NodeError('PACK_REJECTED', `${oids.length} objects came, at most ${packObjectsMax} are taken`)
    }
    const kinds = await readKinds(this.#git, this.#place, [...oids, ...wants], signal)
    const stranger = wants.find((oid) => kinds.get(oid)?.type !== 'commit')
    if (stranger !== undefined) {
      throw new NodeError('PACK_REJECTED', `The commit ${stranger} was asked for and did not come`, {
        commit: stranger,
      })
    }
    // Side by side, since each is mostly a process of its own; both have ended before anything is moved or removed.
    const checks = [this.#judge(oids, kinds, signal)]
    if (!this.#connected) checks.push(this.#checkConnected(wants, signal))
    await Promise.allSettled(checks)
    await Promise.all(checks)
    await movePacks(this.#place, this.#path)
  }

  async size(): Promise<number> {
    return (await measureRepository(this.#place)).bytes
  }

  async discard(): Promise<void> {
    this.#release()
    await rm(this.#place, { recursive: true, force: true, maxRetries: 3 })
  }

  /** Every object received, whether or not anything leads to it: all of them would become ours. */
  async #received(): Promise<string[]> {
    const directory = join(this.#place, 'objects', 'pack')
    const indexes = (await readdir(directory)).filter((name) => name.endsWith('.idx'))
    const ids = await Promise.all(
      indexes.map(async (name) => packedIds(await readFile(join(directory, name)))),
    )
    return ids.flat()
  }

  async #judge(
    oids: readonly string[],
    kinds: ReadonlyMap<string, { type: string; size: number }>,
    signal: AbortSignal,
  ): Promise<void> {
    const trees: string[] = []
    let bytes = 0
    for (const oid of oids) {
      const kind = kinds.get(oid)
      bytes += kind?.size ?? 0
      if (kind?.type === 'tree') trees.push(oid)
      else if (kind?.type !== 'blob' && kind?.type !== 'commit') {
        throw new NodeError('PACK_REJECTED', `The object ${oid} is a ${kind?.type}; datasets hold none`, {
          oid,
        })
      }
    }
    if (bytes > unpackedBytesMax) {
      throw new NodeError(
        'PACK_REJECTED',
        `What came has ${bytes} bytes unpacked, at most ${unpackedBytesMax} are taken`,
      )
    }
    const onTree = async (oid: string, _type: string, content: AsyncIterable<Uint8Array>) => {
      const chunks: Uint8Array[] = []
      for await (const chunk of content) chunks.push(chunk)
      decodeTree(oid, Buffer.concat(chunks))
    }
    await readObjects(this.#git, this.#place, trees, onTree, signal)
  }

  async #checkConnected(wants: readonly string[], signal: AbortSignal): Promise<void> {
    const args = ['rev-list', '--objects', '--quiet', '--stdin', '--not', '--alternate-refs']
    const input = wants.map((oid) => `${oid}\n`).join('')
    try {
      await this.#git.run([`--git-dir=${this.#place}`, ...args], { input, signal })
    } catch (error) {
      throw isNodeError(error, 'GIT_FAILED') ? rejected(error) : error
    }
  }
}
