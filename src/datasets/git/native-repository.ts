import { resolve as absolute } from 'node:path'
import { isNodeError, NodeError } from '../../base/errors.ts'
import { blobBytesMax, fetchTimeoutMs, treeEntriesMax } from '../../base/limits.ts'
import type { ByteStream } from '../../network/byte-stream.ts'
import { type AdmissionBounds, TreeShapes } from './admission.ts'
import { conflict, noCommit, noFile } from './browse-faults.ts'
import { writeFiles } from './directory-tree.ts'
import { isLacking } from './fsck-words.ts'
import { collectGarbage } from './garbage.ts'
import { checkBranch, makeQuarantine, NO_COMMIT, prepareRepository } from './git-directory.ts'
import { checkOid, decodeCommit, encodeCommit, isOid, nestTrees } from './git-objects.ts'
import { GitExit, type GitProgram } from './git-program.ts'
import { ingestDirectory } from './ingest.ts'
import { NativeBrowse } from './native-browse.ts'
import { lines, type OnObject, readKinds, readObjects } from './native-objects.ts'
import { NativePacker } from './native-packer.ts'
import { NativeQuarantine } from './native-quarantine.ts'
import { pushRemote } from './native-remote.ts'
import { serveStatelessRead } from './native-stateless.ts'
import { serveUploadPack } from './native-transfer.ts'
import { verify } from './native-verify.ts'
import { checkPaths, unsafePath } from './path-rules.ts'
import type { PushResult, PushWish, RemoteCall } from './remote.ts'
import type {
  ByteRange,
  CommitInfo,
  Dialect,
  FileMode,
  GarbageOptions,
  GarbageResult,
  GitBackend,
  NewCommit,
  OnFile,
  OpenBlob,
  PackRepository,
  Quarantine,
  RepositorySize,
  StatelessRead,
  TreeEntryView,
  TreeFile,
  Verification,
} from './repository.ts'
import { RepositoryGate, RepositoryGates } from './repository-gate.ts'
import { measureRepository } from './repository-size.ts'

const DIALECTS: readonly Dialect[] = ['upload-pack', 'pack']

/** Repositories kept by the `git` program. */
export class NativeBackend implements GitBackend {
  readonly kind = 'native'
  readonly dialects = DIALECTS
  readonly #git: GitProgram
  readonly #gates = new RepositoryGates()

  constructor(git: GitProgram) {
    this.#git = git
  }

  async open(path: string): Promise<PackRepository> {
    await prepareRepository(path)
    return new NativeRepository(this.#git, absolute(path), this.#gates.of(absolute(path)))
  }

  stop(): Promise<void> {
    return this.#git.stop()
  }
}

export class NativeRepository implements PackRepository {
  readonly path: string
  readonly dialects = DIALECTS
  readonly #git: GitProgram
  readonly #browse: NativeBrowse
  readonly #gate: RepositoryGate
  readonly #shapes = new TreeShapes()

  constructor(git: GitProgram, path: string, gate: RepositoryGate = new RepositoryGate()) {
    this.#gate = gate
    this.#git = git
    this.path = path
    this.#browse = new NativeBrowse(git, path)
  }

  async branches(): Promise<ReadonlyMap<string, string>> {
    const text = await this.#run([
      'for-each-ref',
      '--format=%(refname:lstrip=2) %(objectname)',
      'refs/heads/',
    ])
    return new Map(lines(text).map((line) => line.split(' ') as [string, string]))
  }

  async resolve(branch: string): Promise<string | undefined> {
    checkBranch(branch)
    return (await this.branches()).get(branch)
  }

  async hasCommit(oid: string): Promise<boolean> {
    return isOid(oid) && (await this.#kinds([oid])).get(oid)?.type === 'commit'
  }

  async isWhole(oid: string, signal?: AbortSignal): Promise<boolean> {
    if (!(await this.hasCommit(oid))) return false
    const args = [
      `--git-dir=${this.path}`,
      'rev-list',
      '--objects',
      '--quiet',
      oid,
      '--not',
      '--branches',
      '--',
    ]
    try {
      await this.#git.run(args, { timeoutMs: fetchTimeoutMs, ...(signal === undefined ? {} : { signal }) })
      return true
    } catch (error) {
      signal?.throwIfAborted()
      if (error instanceof GitExit && isLacking(error.stderr)) return false
      throw error
    }
  }

  async moveBranch(branch: string, to: string, from: string | undefined): Promise<void> {
    checkBranch(branch)
    if (!isOid(to)) throw noCommit(to)
    try {
      // git itself refuses to put anything but a commit on a branch.
      const args = ['--no-deref', `refs/heads/${branch}`, to, checkOid(from ?? NO_COMMIT)]
      await this.#gate.together(() => this.#run(['update-ref', ...args]))
    } catch (cause) {
      await this.#checkCommit(to)
      const found = await this.resolve(branch)
      throw found === from ? cause : conflict(branch, found, from)
    }
  }

  async deleteBranch(branch: string, from: string): Promise<void> {
    checkBranch(branch)
    // git would take zeros for "whatever it is at".
    if (checkOid(from) === NO_COMMIT) throw conflict(branch, await this.resolve(branch), from)
    try {
      await this.#run(['update-ref', '--no-deref', '-d', `refs/heads/${branch}`, from])
    } catch (cause) {
      const found = await this.resolve(branch)
      throw found === from ? cause : conflict(branch, found, from)
    }
  }

  async readCommit(oid: string): Promise<CommitInfo> {
    const [commit] = await this.#readCommits([oid])
    return commit as CommitInfo
  }

  async log(oid: string, limit: number): Promise<CommitInfo[]> {
    await this.#checkCommit(oid)
    const text = await this.#run(['rev-list', `--max-count=${Math.max(0, Math.floor(limit))}`, oid])
    return this.#readCommits(lines(text))
  }

  async isAncestor(ancestor: string, descendant: string): Promise<boolean> {
    const stranger = [ancestor, descendant].find((oid) => !isOid(oid))
    if (stranger !== undefined) throw noCommit(stranger)
    try {
      await this.#run(['merge-base', '--is-ancestor', ancestor, descendant])
      return true
    } catch (error) {
      if (error instanceof GitExit && error.exitCode === 1) return false
      await this.#checkCommit(ancestor, descendant)
      throw error
    }
  }

  async listFiles(commit: string): Promise<TreeFile[]> {
    if (!isOid(commit)) throw noCommit(commit)
    // Asked for what it is only where it is no commit, since a process costs more than what it does.
    const listing = this.#run(['ls-tree', '-r', '-z', '--full-tree', `${commit}^{commit}`])
    const output = await listing.catch(async (error: unknown) => {
      await this.#checkCommit(commit)
      throw error
    })
    const files: TreeFile[] = []
    for (let at = 0; at < output.length; ) {
      const end = output.indexOf(0, at)
      // A name that is not UTF-8 comes out with a replacement character, which the rules refuse.
      const line = output.toString('utf8', at, end)
      const [mode, , oid] = line.slice(0, line.indexOf('\t')).split(' ')
      const path = line.slice(line.indexOf('\t') + 1)
      if (mode !== '100644' && mode !== '100755' && mode !== '120000')
        throw unsafePath(path, `has the mode ${mode}`)
      files.push({ path, mode: mode satisfies FileMode, oid: oid as string })
      at = end + 1
    }
    if (files.length > treeEntriesMax) {
      throw new NodeError('TOO_LARGE', `The commit ${commit} holds more than ${treeEntriesMax} files`)
    }
    checkPaths(files.map((file) => file.path))
    return files
  }

  listDirectory(commit: string, path: string): Promise<TreeEntryView[]> {
    return this.#browse.listDirectory(commit, path)
  }

  entryAt(commit: string, path: string): Promise<TreeEntryView | undefined> {
    return this.#browse.entryAt(commit, path)
  }

  openBlob(oid: string, range?: ByteRange, signal?: AbortSignal): Promise<OpenBlob> {
    return this.#browse.openBlob(oid, range, signal)
  }

  fileSizes(oids: readonly string[]): Promise<ReadonlyMap<string, number>> {
    return this.#browse.fileSizes(oids)
  }

  readFiles(oids: readonly string[], onFile: OnFile, signal?: AbortSignal): Promise<void> {
    return this.#browse.readFiles(oids, onFile, signal)
  }

  async readBlob(oid: string): Promise<Uint8Array> {
    const kind = (await this.#kinds([checkOid(oid)])).get(oid)
    if (kind?.type !== 'blob') throw noFile(oid)
    if (kind.size > blobBytesMax) {
      throw new NodeError(
        'TOO_LARGE',
        `${oid} has ${kind.size} bytes, at most ${blobBytesMax} are read at once`,
      )
    }
    return this.#run(['cat-file', 'blob', oid])
  }

  async writeTree(files: readonly TreeFile[]): Promise<string> {
    checkPaths(files.map((file) => file.path))
    for (const file of files) checkOid(file.oid)
    const { trees, root } = nestTrees(files)
    const input = trees.map(({ entries }) => {
      const line = (mode: string, oid: string, name: string) =>
        `${mode} ${mode === '40000' ? 'tree' : 'blob'} ${oid}\t${name}\0`
      return `${entries.map(({ mode, oid, name }) => line(mode, oid, name)).join('')}\0`
    })
    try {
      await this.#run(['mktree', '-z', '--batch'], input.join(''))
    } catch (cause) {
      const missing =
        cause instanceof GitExit ? /object ([0-9a-f]{40}) is unavailable/.exec(cause.stderr) : null
      if (missing === null) throw cause
      throw new NodeError(
        'NOT_FOUND',
        `There is no file content ${missing[1]} here`,
        { oid: missing[1] },
        { cause },
      )
    }
    return root
  }

  async writeTreeFromDirectory(directory: string): Promise<string> {
    const root = absolute(directory)
    if (root.includes('\n'))
      throw new NodeError('INVALID_INPUT', 'The name of the directory holds a line break')
    // Filters and line endings of a checkout are none of our business: the bytes are stored as they are.
    const hash = ['hash-object', '-w', '--no-filters', '--stdin-paths']
    const storeLarge = async (file: string) => lines(await this.#run(hash, `${file}\n`))[0] as string
    const done = await this.#gate.together(async () => this.#gate.lend())
    try {
      return await ingestDirectory(this.path, root, storeLarge)
    } finally {
      done()
    }
  }

  async writeCommit(commit: NewCommit): Promise<string> {
    const bytes = encodeCommit(commit)
    // Begun at once: an object to which nothing leads is garbage, and harms nobody.
    const writing = this.#run(['hash-object', '-t', 'commit', '-w', '--stdin'], bytes)
    writing.catch(() => undefined)
    const kinds = await this.#kinds([commit.tree, ...commit.parents])
    if (kinds.get(commit.tree)?.type !== 'tree') {
      throw new NodeError('NOT_FOUND', `There is no tree ${commit.tree} here`, { oid: commit.tree })
    }
    const stranger = commit.parents.find((parent) => kinds.get(parent)?.type !== 'commit')
    if (stranger !== undefined) throw noCommit(stranger)
    const [oid] = lines(await writing)
    return oid as string
  }

  async checkout(
    commit: string,
    directory: string,
    before?: (files: readonly TreeFile[]) => Promise<void>,
  ): Promise<void> {
    const files = await this.listFiles(commit)
    await before?.(files)
    await writeFiles(files, directory, async (oids, onBlob) => {
      let index = 0
      await this.#objects(oids, async (_oid, _type, content) => {
        await onBlob(index, content)
        index += 1
      })
    })
  }

  size(): Promise<RepositorySize> {
    return measureRepository(this.path)
  }

  collectGarbage(options: GarbageOptions): Promise<GarbageResult> {
    const packer = new NativePacker(this.#git, this.path, () => this.branches())
    return collectGarbage(packer, this.path, this.#gate, options)
  }

  verify(signal?: AbortSignal): Promise<Verification> {
    return verify(this.#git, this.path, signal)
  }

  async *packObjects(
    wants: readonly string[],
    haves: readonly string[],
    signal: AbortSignal,
  ): AsyncIterable<Uint8Array> {
    await this.#checkCommit(...wants)
    const kinds = await this.#kinds(haves.filter(isOid))
    const known = haves.filter((oid) => kinds.get(oid)?.type === 'commit')
    const input = [...wants, ...known.map((oid) => `^${oid}`), ''].join('\n')
    const args = ['pack-objects', '--quiet', '--revs', '--stdout', '--delta-base-offset']
    const child = this.#git.spawn([`--git-dir=${this.path}`, ...args], { signal })
    try {
      child.stdin.end(input)
      for await (const chunk of child.stdout) yield chunk as Buffer
      const { code, stderr } = await child.ended
      if (code !== 0) throw new GitExit('pack-objects', code, stderr)
    } finally {
      child.kill()
    }
  }

  uploadPack(stream: ByteStream, signal: AbortSignal): Promise<void> {
    return serveUploadPack(this.#git, this.path, stream, signal)
  }

  serveRead(read: StatelessRead, signal: AbortSignal): AsyncIterable<Uint8Array> {
    return serveStatelessRead(this.#git, this.path, read, signal)
  }

  async quarantine(bounds: Partial<AdmissionBounds> = {}): Promise<Quarantine> {
    return this.#gate.together(async () => {
      const place = await makeQuarantine(this.path)
      const parts = { path: this.path, place, shapes: this.#shapes, bounds, release: this.#gate.lend() }
      return new NativeQuarantine(this.#git, parts)
    })
  }

  pushRemote(call: RemoteCall, wishes: readonly PushWish[], signal: AbortSignal): Promise<PushResult> {
    return pushRemote(this.#git, this.path, { call, wishes, signal })
  }

  #run(args: readonly string[], input?: string | Uint8Array): Promise<Buffer> {
    return this.#git.run([`--git-dir=${this.path}`, ...args], input === undefined ? {} : { input })
  }

  #kinds(oids: readonly string[]) {
    return readKinds(this.#git, this.path, oids)
  }

  #objects(oids: readonly string[], onObject: OnObject) {
    return readObjects(this.#git, this.path, oids, onObject)
  }

  async #readCommits(oids: readonly string[]): Promise<CommitInfo[]> {
    const stranger = oids.find((oid) => !isOid(oid))
    if (stranger !== undefined) throw noCommit(stranger)
    const commits: CommitInfo[] = []
    try {
      await this.#objects(oids, async (oid, type, content) => {
        if (type !== 'commit') throw noCommit(oid)
        const chunks: Uint8Array[] = []
        for await (const chunk of content) chunks.push(chunk)
        commits.push(decodeCommit(oid, Buffer.concat(chunks)))
      })
    } catch (error) {
      throw isNodeError(error, 'NOT_FOUND') ? noCommit(String(error.data.oid)) : error
    }
    return commits
  }

  async #checkCommit(...oids: readonly string[]): Promise<void> {
    const kinds = await this.#kinds(oids.filter(isOid))
    const stranger = oids.find((oid) => kinds.get(oid)?.type !== 'commit')
    if (stranger !== undefined) throw noCommit(stranger)
  }
}
