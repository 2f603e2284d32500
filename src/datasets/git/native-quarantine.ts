import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { isNodeError, NodeError } from '../../base/errors.ts'
import { treeBytesMax } from '../../base/limits.ts'
import {
  ADMISSION_BOUNDS,
  Admission,
  type AdmissionBounds,
  type QuarantineParts,
  type TreeShapes,
  workMaxMs,
} from './admission.ts'
import { movePacks } from './git-directory.ts'
import type { GitProgram } from './git-program.ts'
import { IdTable } from './id-table.ts'
import { ObjectBatches } from './native-batch.ts'
import { fetchRemote } from './native-remote.ts'
import { indexPack, rejected, tooMuchWork } from './native-transfer.ts'
import type { RemoteCall } from './remote.ts'
import type { Quarantine, ReceiveOptions } from './repository.ts'
import { measureRepository } from './repository-size.ts'

/** A bare repository of its own that borrows the real one's objects, so that only what is new arrives. */
export class NativeQuarantine implements Quarantine {
  readonly #git: GitProgram
  readonly #path: string
  readonly #place: string
  readonly #shapes: TreeShapes
  readonly #bounds: AdmissionBounds
  readonly #release: () => void
  /** git fetch walks what it has received by itself; a pack taken alone is walked by us. */
  #connected = false
  /** Of a pack that a member has sent. */
  #packBytes: number | undefined

  constructor(git: GitProgram, parts: QuarantineParts) {
    this.#git = git
    this.#path = parts.path
    this.#place = parts.place
    this.#shapes = parts.shapes
    this.#bounds = { ...ADMISSION_BOUNDS, ...parts.bounds }
    this.#release = parts.release
  }

  async fetchRemote(
    call: RemoteCall,
    branch: string,
    signal: AbortSignal,
    onBytes: (bytes: number) => Promise<void> = async () => undefined,
  ): Promise<string> {
    const { bytesMax } = this.#bounds
    const commit = await fetchRemote(this.#git, this.#place, { call, branch, signal, bytesMax, onBytes })
    this.#connected = true
    return commit
  }

  async receive(
    pack: AsyncIterable<Uint8Array>,
    signal: AbortSignal,
    options?: ReceiveOptions,
  ): Promise<void> {
    const how = { ...options, bounds: this.#bounds }
    this.#packBytes = await indexPack(this.#git, this.#place, pack, signal, how)
  }

  async admit(wants: readonly string[], signal: AbortSignal): Promise<void> {
    const ended = new AbortController()
    const late = this.#lateSignal()
    const both = AbortSignal.any([signal, ended.signal, ...late])
    // Side by side, since each is mostly a process of its own; both have ended before anything is moved or removed.
    const isWalked = !this.#connected && (await hasObjects(this.#path))
    const checks = [this.#judge(wants, both)]
    if (isWalked) checks.push(this.#checkConnected(wants, both))
    for (const check of checks) check.catch((error: unknown) => ended.abort(error))
    await Promise.allSettled(checks)
    await Promise.all(checks).catch((error: unknown) => {
      signal.throwIfAborted()
      throw late.some(({ aborted }) => aborted) ? tooMuchWork(this.#packBytes ?? 0) : error
    })
    await movePacks(this.#place, this.#path)
  }

  #lateSignal(): AbortSignal[] {
    return this.#packBytes === undefined
      ? []
      : [AbortSignal.timeout(workMaxMs(this.#bounds, this.#packBytes))]
  }

  async size(): Promise<number> {
    return (await measureRepository(this.#place)).bytes
  }

  async discard(): Promise<void> {
    this.#release()
    await rm(this.#place, { recursive: true, force: true, maxRetries: 3 })
  }

  /** Every object received, whether or not anything leads to it: all of them would become ours. */
  async #received(): Promise<IdTable[]> {
    const directory = join(this.#place, 'objects', 'pack')
    const indexes = (await readdir(directory)).filter((name) => name.endsWith('.idx'))
    return Promise.all(indexes.map((name) => IdTable.read(join(directory, name))))
  }

  async #judge(wants: readonly string[], signal: AbortSignal): Promise<void> {
    const received = await this.#received()
    const admission = new Admission(this.#bounds, this.#shapes)
    const batches = new ObjectBatches(this.#git, this.#place, signal)
    try {
      await this.#checkWants(wants, batches)
      // Directories that are here already are read as well, where it is not known how deep they are.
      let next = await this.#count(received, admission, batches)
      for (; next.length > 0; next = admission.needed()) await this.#readTrees(next, admission, batches)
    } finally {
      batches.close()
    }
    admission.shapes()
  }

  async #checkWants(wants: readonly string[], batches: ObjectBatches): Promise<void> {
    const onObject = (index: number, type: string) => {
      if (type !== 'commit') throw notWanted(wants[index] as string)
    }
    try {
      await batches.read(wants, { onObject })
    } catch (error) {
      throw isNodeError(error, 'NOT_FOUND') ? notWanted(String(error.data.oid)) : error
    }
  }

  /** @returns the directories among what was received. */
  async #count(
    received: readonly IdTable[],
    admission: Admission,
    batches: ObjectBatches,
  ): Promise<string[]> {
    const trees: string[] = []
    for (const table of received) {
      const onObject = (index: number, type: string, size: number) => {
        const oid = table.at(index)
        admission.object(oid, type, size)
        if (type === 'tree') trees.push(oid)
      }
      await batches.read(table.without(), { onObject })
    }
    return trees
  }

  async #readTrees(oids: readonly string[], admission: Admission, batches: ObjectBatches): Promise<void> {
    const onObject = (index: number, type: string, size: number) => {
      const oid = oids[index] as string
      if (type !== 'tree') throw new NodeError('PACK_REJECTED', `The object ${oid} is no directory`, { oid })
      if (size > treeBytesMax)
        throw new NodeError('PACK_REJECTED', `The directory ${oid} is too large`, { oid })
    }
    const onContent = (index: number, bytes: Buffer) => admission.tree(oids[index] as string, bytes)
    try {
      await batches.read(oids, { onObject, onContent })
    } catch (error) {
      throw isNodeError(error, 'NOT_FOUND') ? rejected(error) : error
    }
  }

  /**
   * Whether all is here that the wants lead to. Nothing that arrived lacks what it names (indexPack has proven it); but
   * what it names may have been here already without being whole, such as a rest that the collector had begun to take
   * away. So only what branches lead to is taken for whole, and the rest is walked (dataset-fetch.md D8).
   */
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

/** In a repository without objects, all that arrives can rest on itself alone. */
async function hasObjects(path: string): Promise<boolean> {
  const objects = join(path, 'objects')
  const inside = [...(await readdir(objects)), ...(await readdir(join(objects, 'pack')))]
  return inside.some((name) => /^[0-9a-f]{2}$/.test(name) || name.endsWith('.pack'))
}

function notWanted(oid: string): NodeError {
  const message = `The commit ${oid} was asked for and did not come`
  return new NodeError('PACK_REJECTED', message, { commit: oid })
}
