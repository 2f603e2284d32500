import { readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { isNodeError, NodeError } from '../../base/errors.ts'
import { packBytesMax, packObjectsMax, unpackedBytesMax } from '../../base/limits.ts'
import type { ByteStream } from '../../network/byte-stream.ts'
import { movePacks, packedIds } from './git-directory.ts'
import { decodeTree } from './git-objects.ts'
import { GitExit, type GitProgram } from './git-program.ts'
import { readKinds, readObjects } from './native-objects.ts'
import { fetchRemote } from './native-remote.ts'
import { fetchUploadPack } from './native-transfer.ts'
import { meterPack } from './pack-meter.ts'
import type { RemoteCall } from './remote.ts'
import type { Quarantine } from './repository.ts'
import { measureRepository } from './repository-size.ts'

/** A bare repository of its own that borrows the real one's objects, so that only what is new arrives. */
export class NativeQuarantine implements Quarantine {
  readonly #git: GitProgram
  readonly #path: string
  readonly #place: string
  /** git fetch walks what it has received by itself; a pack taken alone is walked by us. */
  #connected = false

  /** @param path the real repository. @param place the quarantine, already laid out. */
  constructor(git: GitProgram, path: string, place: string) {
    this.#git = git
    this.#path = path
    this.#place = place
  }

  async fetch(stream: ByteStream, wants: readonly string[], signal: AbortSignal): Promise<void> {
    await fetchUploadPack(this.#git, this.#place, stream, wants, signal)
    this.#connected = true
  }

  async fetchRemote(call: RemoteCall, branch: string, signal: AbortSignal): Promise<string> {
    const commit = await fetchRemote(this.#git, this.#place, { call, branch, signal })
    this.#connected = true
    return commit
  }

  async receive(pack: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<void> {
    const args = [`--git-dir=${this.#place}`, 'index-pack', '--stdin', '--strict', '--fsck-objects']
    const child = this.#git.spawn([...args, `--max-input-size=${packBytesMax}`], { signal })
    let said = ''
    child.stdout.on('data', (bytes: Buffer) => {
      if (said.length < 200) said += bytes.toString('latin1')
    })
    try {
      for await (const chunk of meterPack(pack, packBytesMax)) {
        if (child.stdin.destroyed) break
        await new Promise<void>((resolve) => child.stdin.write(chunk, () => resolve()))
      }
      child.stdin.end()
      const { code, stderr } = await child.ended
      signal.throwIfAborted()
      if (code !== 0) throw rejected(new GitExit('index-pack', code, stderr))
      // index-pack hands back what it read beyond the pack's end.
      if (!/^pack\t[0-9a-f]{40}\n$/.test(said)) {
        throw new NodeError('PACK_REJECTED', 'The received pack has bytes that belong to no object')
      }
    } finally {
      child.kill()
    }
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
    await this.#judge(oids, kinds, signal)
    if (!this.#connected) await this.#checkConnected(wants, signal)
    await movePacks(this.#place, this.#path)
  }

  async size(): Promise<number> {
    return (await measureRepository(this.#place)).bytes
  }

  async discard(): Promise<void> {
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

function rejected(cause: NodeError): NodeError {
  // That is nothing that the sender could help.
  if (cause.code === 'DISK_FULL') return cause
  return new NodeError('PACK_REJECTED', `What was received does not hold: ${cause.message}`, cause.data, {
    cause,
  })
}
