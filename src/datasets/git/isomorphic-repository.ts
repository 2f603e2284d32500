import fs from 'node:fs'
import { readFile } from 'node:fs/promises'
import { resolve as absolute, join } from 'node:path'
import git from 'isomorphic-git'
import { messageOf, NodeError } from '../../base/errors.ts'
import { blobBytesMax, packInMemoryBytesMax, storeQueueMax, treeEntriesMax } from '../../base/limits.ts'
import { SerialQueue } from '../../base/serial-queue.ts'
import { type AdmissionBounds, TreeShapes } from './admission.ts'
import { conflict } from './browse-faults.ts'
import { writeFiles } from './directory-tree.ts'
import { collectGarbage } from './garbage.ts'
import { checkBranch, makeQuarantine, prepareRepository, removeRef, replaceFile } from './git-directory.ts'
import {
  checkOid,
  DIRECTORY_MODE,
  decodeCommit,
  decodeTree,
  encodeCommit,
  isOid,
  nestTrees,
} from './git-objects.ts'
import { ingestDirectory } from './ingest.ts'
import { entryAt, fileSizes, listDirectory, openBlob, readFiles } from './isomorphic-browse.ts'
import { between, history, isAncestor } from './isomorphic-history.ts'
import { ObjectReader, writeLoose } from './isomorphic-objects.ts'
import { IsomorphicPacker } from './isomorphic-packer.ts'
import { IsomorphicQuarantine } from './isomorphic-quarantine.ts'
import { verify } from './isomorphic-verify.ts'
import { missingBelow } from './isomorphic-walk.ts'
import { encodePack } from './pack-writer.ts'
import { checkPath, checkPaths } from './path-rules.ts'
import { type PushResult, withoutGit } from './remote.ts'
import type {
  ByteRange,
  CommitInfo,
  Dialect,
  GarbageOptions,
  GarbageResult,
  GitBackend,
  NewCommit,
  OnFile,
  OpenBlob,
  PackRepository,
  Quarantine,
  RepositorySize,
  TreeEntryView,
  TreeFile,
  Verification,
} from './repository.ts'
import { RepositoryGate, RepositoryGates } from './repository-gate.ts'
import { measureRepository } from './repository-size.ts'

const DIALECTS: readonly Dialect[] = ['pack']

/** Repositories kept by isomorphic-git, for machines without the `git` program. */
export class IsomorphicBackend implements GitBackend {
  readonly kind = 'isomorphic'
  readonly dialects = DIALECTS
  readonly #gates = new RepositoryGates()

  async open(path: string): Promise<PackRepository> {
    await prepareRepository(path)
    return new IsomorphicRepository(absolute(path), this.#gates.of(absolute(path)))
  }

  async stop(): Promise<void> {
    // Nothing runs outside this process.
  }
}

export class IsomorphicRepository implements PackRepository {
  readonly path: string
  readonly dialects = DIALECTS
  /** Moves of branches read and write, and must not interleave. */
  readonly #moves = new SerialQueue(storeQueueMax)

  readonly #gate: RepositoryGate
  readonly #shapes = new TreeShapes()

  readonly #objects: ObjectReader

  constructor(path: string, gate: RepositoryGate = new RepositoryGate()) {
    this.#objects = new ObjectReader(path)
    this.#gate = gate
    this.path = path
  }

  async branches(): Promise<ReadonlyMap<string, string>> {
    const names = await git.listBranches({ fs, gitdir: this.path })
    const branches = new Map<string, string>()
    for (const name of names.sort()) {
      const oid = await this.#resolve(name)
      if (oid !== undefined) branches.set(name, oid)
    }
    return branches
  }

  async resolve(branch: string): Promise<string | undefined> {
    return this.#resolve(checkBranch(branch))
  }

  async hasCommit(oid: string): Promise<boolean> {
    return isOid(oid) && (await this.#objects.info(oid))?.type === 'commit'
  }

  async isWhole(oid: string, signal?: AbortSignal): Promise<boolean> {
    if (!(await this.hasCommit(oid))) return false
    const tips = [...(await this.branches()).values()]
    return (await missingBelow(this.#objects, [[oid, 'commit']], tips, signal)) === undefined
  }

  async moveBranch(branch: string, to: string, from: string | undefined): Promise<void> {
    checkBranch(branch)
    if (from !== undefined) checkOid(from)
    await this.#objects.check(to, 'commit')
    await this.#moves.run(async () => {
      const found = await this.#resolve(branch)
      if (found !== from) throw conflict(branch, found, from)
      const file = join(this.path, 'refs', 'heads', branch)
      await this.#gate.together(() => replaceFile(file, `${to}\n`))
    })
  }

  async deleteBranch(branch: string, from: string): Promise<void> {
    checkBranch(branch)
    checkOid(from)
    await this.#moves.run(async () => {
      const found = await this.#resolve(branch)
      if (found !== from) throw conflict(branch, found, from)
      await removeRef(this.path, branch)
    })
  }

  async readCommit(oid: string): Promise<CommitInfo> {
    return decodeCommit(oid, await this.#objects.read(oid, 'commit'))
  }

  async log(oid: string, limit: number): Promise<CommitInfo[]> {
    const commits: CommitInfo[] = []
    for await (const commit of history(this.#objects, oid)) {
      if (commits.length >= limit) break
      commits.push(commit)
    }
    return commits
  }

  async isAncestor(ancestor: string, descendant: string): Promise<boolean> {
    for (const oid of [ancestor, descendant]) await this.#objects.check(oid, 'commit')
    return isAncestor(this.#objects, ancestor, descendant)
  }

  async listFiles(commit: string): Promise<TreeFile[]> {
    const reader = this.#objects
    const { tree } = decodeCommit(commit, await reader.read(commit, 'commit'))
    const files: TreeFile[] = []
    const walk = async (oid: string, prefix: string): Promise<void> => {
      for (const { mode, name, oid: entry } of decodeTree(oid, await reader.read(oid, 'tree'))) {
        const path = prefix + name
        // Before the descent, so that a tree of trees cannot lead us deeper than the rules allow.
        checkPath(path)
        if (mode === DIRECTORY_MODE) await walk(entry, `${path}/`)
        else files.push({ path, mode, oid: entry })
        if (files.length > treeEntriesMax) {
          throw new NodeError('TOO_LARGE', `The commit ${commit} holds more than ${treeEntriesMax} files`)
        }
      }
    }
    await walk(tree, '')
    checkPaths(files.map((file) => file.path))
    return files
  }

  async listDirectory(commit: string, path: string): Promise<TreeEntryView[]> {
    return listDirectory(this.#objects, commit, path)
  }

  async entryAt(commit: string, path: string): Promise<TreeEntryView | undefined> {
    return entryAt(this.#objects, commit, path)
  }

  async openBlob(oid: string, range?: ByteRange): Promise<OpenBlob> {
    return openBlob(this.#objects, oid, range)
  }

  async fileSizes(oids: readonly string[]): Promise<ReadonlyMap<string, number>> {
    return fileSizes(this.#objects, oids)
  }

  async readFiles(oids: readonly string[], onFile: OnFile, signal?: AbortSignal): Promise<void> {
    await readFiles(this.#objects, oids, onFile, signal)
  }

  async readBlob(oid: string): Promise<Uint8Array> {
    const bytes = await this.#objects.read(checkOid(oid), 'blob')
    if (bytes.length <= blobBytesMax) return bytes
    throw new NodeError(
      'TOO_LARGE',
      `${oid} has ${bytes.length} bytes, at most ${blobBytesMax} are read at once`,
    )
  }

  async writeTree(files: readonly TreeFile[]): Promise<string> {
    checkPaths(files.map((file) => file.path))
    const reader = this.#objects
    for (const oid of new Set(files.map((file) => checkOid(file.oid)))) await reader.check(oid, 'blob')
    const { trees, root } = nestTrees(files)
    for (const tree of trees) await writeLoose(this.path, 'tree', tree.bytes)
    return root
  }

  async writeTreeFromDirectory(directory: string): Promise<string> {
    const storeLarge = async (file: string, size: number) => {
      if (size <= blobBytesMax) return writeLoose(this.path, 'blob', await readFile(file))
      const message = `${file} has ${size} bytes; without the git program a file has at most ${blobBytesMax}: install git`
      throw new NodeError('TOO_LARGE', message, { path: file, size })
    }
    const done = await this.#gate.together(async () => this.#gate.lend())
    try {
      return await ingestDirectory(this.path, absolute(directory), storeLarge)
    } finally {
      done()
    }
  }

  async writeCommit(commit: NewCommit): Promise<string> {
    const bytes = encodeCommit(commit)
    const reader = this.#objects
    await reader.check(commit.tree, 'tree')
    for (const parent of commit.parents) await reader.check(parent, 'commit')
    return writeLoose(this.path, 'commit', bytes)
  }

  async checkout(
    commit: string,
    directory: string,
    before?: (files: readonly TreeFile[]) => Promise<void>,
  ): Promise<void> {
    const reader = this.#objects
    const files = await this.listFiles(commit)
    await before?.(files)
    await writeFiles(files, directory, async (oids, onBlob) => {
      for (const [index, oid] of oids.entries()) {
        const bytes = await reader.read(oid, 'blob')
        await onBlob(index, once(bytes))
      }
    })
  }

  size(): Promise<RepositorySize> {
    return measureRepository(this.path)
  }

  collectGarbage(options: GarbageOptions): Promise<GarbageResult> {
    const packer = new IsomorphicPacker(this.path, () => this.branches())
    return collectGarbage(packer, this.path, this.#gate, options)
  }

  async verify(signal?: AbortSignal): Promise<Verification> {
    return verify(this.path, await this.branches(), signal)
  }

  /** Undeltified, one object at a time. */
  async *packObjects(
    wants: readonly string[],
    haves: readonly string[],
    signal: AbortSignal,
  ): AsyncIterable<Uint8Array> {
    const oids = await this.#missing(wants, haves, signal)
    let bytes = 0
    for (const oid of oids) {
      signal.throwIfAborted()
      bytes += await this.#objects.storedBytes(oid)
      if (bytes > packInMemoryBytesMax) throw tooMuch()
    }
    // [MUST] Deltas take more here than on the disk; what is too much is then cut (dataset-fetch.md D21).
    let sent = 0
    for await (const part of encodePack(this.#objects, oids)) {
      sent += part.length
      if (sent > packInMemoryBytesMax) throw tooMuch()
      yield part
    }
  }

  async uploadPack(): Promise<void> {
    throw new NodeError('UNSUPPORTED', 'Without the git program a node does not serve git upload-pack')
  }

  // biome-ignore lint/correctness/useYield: nothing is ever said
  async *serveRead(): AsyncGenerator<Uint8Array> {
    const message =
      'Datasets are read by git clients with the help of the git program, which this node does without; install git there'
    throw new NodeError('UNSUPPORTED', message)
  }

  async quarantine(bounds: Partial<AdmissionBounds> = {}): Promise<Quarantine> {
    return this.#gate.together(async () => {
      const place = await makeQuarantine(this.path)
      const parts = { path: this.path, place, shapes: this.#shapes, bounds, release: this.#gate.lend() }
      return new IsomorphicQuarantine(parts, async () => [...(await this.branches()).values()])
    })
  }

  async pushRemote(): Promise<PushResult> {
    throw withoutGit()
  }

  async #resolve(branch: string): Promise<string | undefined> {
    try {
      return await git.resolveRef({ fs, gitdir: this.path, ref: `refs/heads/${branch}` })
    } catch (error) {
      if (error instanceof git.Errors.NotFoundError) return undefined
      const message = `isomorphic-git could not read the branch ${branch}: ${messageOf(error)}`
      throw new NodeError('GIT_FAILED', message, {}, { cause: error })
    }
  }

  async #missing(wants: readonly string[], haves: readonly string[], signal: AbortSignal): Promise<string[]> {
    for (const want of wants) await this.#objects.check(want, 'commit')
    const here: string[] = []
    for (const have of haves) if (await this.hasCommit(have)) here.push(have)
    const { fresh, known } = await between(this.#objects, wants, here)
    const [wanted, held] = [new Set<string>(), new Set<string>()]
    for (const commit of known) await this.#addTree(this.#objects, commit.tree, held, signal)
    for (const commit of fresh) {
      wanted.add(commit.oid)
      await this.#addTree(this.#objects, commit.tree, wanted, signal, held)
    }
    return [...wanted]
  }

  /** Adds all objects of a tree; those in `known` with all below them are left out. */
  async #addTree(
    reader: ObjectReader,
    tree: string,
    found: Set<string>,
    signal: AbortSignal,
    known: ReadonlySet<string> = new Set(),
  ): Promise<void> {
    const pending = [tree]
    for (let oid = pending.pop(); oid !== undefined; oid = pending.pop()) {
      signal.throwIfAborted()
      if (found.has(oid) || known.has(oid)) continue
      found.add(oid)
      const content = await reader.read(oid, 'tree')
      for (const entry of decodeTree(oid, content)) {
        if (entry.mode === DIRECTORY_MODE) pending.push(entry.oid)
        else if (!known.has(entry.oid)) found.add(entry.oid)
      }
    }
  }
}

function tooMuch(): NodeError {
  const message = `This node serves packs of at most ${packInMemoryBytesMax} bytes while it has no git program; ask another member, or have git installed on it`
  return new NodeError('TOO_LARGE', message, { bytesMax: packInMemoryBytesMax })
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array, void, undefined> {
  yield bytes
}
