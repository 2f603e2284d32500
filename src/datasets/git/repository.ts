/**
 * A dataset's bare git repository as the other rooms see it. Two backends stand behind these interfaces, the `git`
 * program and isomorphic-git; test/contract/repository.test.ts holds both to the same answers, ids and errors.
 */
import type { ByteStream } from '../../network/byte-stream.ts'
import type { AdmissionBounds } from './admission.ts'
import type { PushResult, PushWish, RemoteCall } from './remote.ts'

/** A file, an executable file, a symbolic link. */
export type FileMode = '100644' | '100755' | '120000'

export interface TreeFile {
  /** From the top of the tree, parts joined by `/`; keeps the rules of path-rules.ts. */
  readonly path: string
  readonly mode: FileMode
  readonly oid: string
}

export interface Person {
  readonly name: string
  readonly email: string
}

export interface CommitInfo {
  readonly oid: string
  readonly tree: string
  readonly parents: readonly string[]
  readonly author: Person
  /** Whole seconds, as ms since the epoch. */
  readonly timeMs: number
  readonly message: string
}

/** Author and committer are one, the time is UTC in whole seconds: the same commit has the same id everywhere. */
export interface NewCommit {
  readonly tree: string
  readonly parents: readonly string[]
  readonly message: string
  readonly author: Person
  /** Ms since the epoch; what is below a second is dropped. */
  readonly timeMs: number
}

/** One entry of a directory; the top of a tree has the name ''. */
export interface TreeEntryView {
  readonly name: string
  readonly mode: FileMode | '040000'
  readonly oid: string
  /** Bytes of a file or of a link's target. */
  readonly size?: number
}

export interface OpenBlob {
  /** Bytes of the whole file, whatever range of it was asked for. */
  readonly size: number
  /** To be read, or left with `return()`; a reader that rests for `gitTimeoutMs` is cut off. */
  readonly content: AsyncIterable<Uint8Array>
}

export type OnFile = (index: number, content: AsyncIterable<Uint8Array>) => Promise<void>

/** From byte `start` up to and without byte `end`; what lies behind the end of the file is empty. */
export interface ByteRange {
  readonly start: number
  readonly end: number
}

export interface RepositorySize {
  /** On disk. */
  readonly bytes: number
  readonly looseObjects: number
  readonly packs: number
  /** Loose and packed; one that is stored twice counts twice. */
  readonly objects: number
}

export interface GarbageOptions {
  /** An age: what nothing reaches is kept until it is older than this. */
  readonly pruneOlderThanMs: number
  /** Commits that are kept with all that they reach, beside the branches. */
  readonly keep: readonly string[]
  readonly signal?: AbortSignal
}

export interface GarbageResult {
  readonly before: RepositorySize
  readonly after: RepositorySize
}

export interface Problem {
  readonly code: 'CORRUPT' | 'MISSING' | 'PATH_UNSAFE' | 'MALFORMED'
  readonly oid?: string
  readonly message: string
}

export interface Verification {
  readonly objects: number
  readonly problems: readonly Problem[]
}

export interface Repository {
  /** Where the bare repository lies. */
  readonly path: string
  /** Branch name to commit id. */
  branches(): Promise<ReadonlyMap<string, string>>
  resolve(branch: string): Promise<string | undefined>
  hasCommit(oid: string): Promise<boolean>
  /**
   * Whether a commit is here with all that it leads to. What branches lead to is taken for whole; of anything else a
   * collection may have taken away a part.
   */
  isWhole(oid: string, signal?: AbortSignal): Promise<boolean>
  /**
   * Moves a branch if it is still at `from` (undefined: if it does not exist yet).
   *
   * @throws NodeError CONFLICT, COMMIT_NOT_FOUND, INVALID_NAME.
   */
  moveBranch(branch: string, to: string, from: string | undefined): Promise<void>
  /** Deletes a branch that is still at `from`. @throws NodeError CONFLICT, INVALID_NAME. */
  deleteBranch(branch: string, from: string): Promise<void>
  /** @throws NodeError COMMIT_NOT_FOUND */
  readCommit(oid: string): Promise<CommitInfo>
  /** The commit and its ancestors, newest first, at most `limit`. @throws NodeError COMMIT_NOT_FOUND */
  log(oid: string, limit: number): Promise<CommitInfo[]>
  /** True as well when both are the same. @throws NodeError COMMIT_NOT_FOUND */
  isAncestor(ancestor: string, descendant: string): Promise<boolean>
  /** Every file of the commit's tree, sorted bytewise by path. @throws NodeError COMMIT_NOT_FOUND, PATH_UNSAFE */
  listFiles(commit: string): Promise<TreeFile[]>
  /**
   * One directory of a commit's tree ('' is the top), sorted as git sorts.
   *
   * @throws NodeError COMMIT_NOT_FOUND, NOT_FOUND (no such path, or it is a file), PATH_UNSAFE.
   */
  listDirectory(commit: string, path: string): Promise<TreeEntryView[]>
  /** The entry at a path ('' is the top), undefined when there is none. @throws NodeError COMMIT_NOT_FOUND, PATH_UNSAFE */
  entryAt(commit: string, path: string): Promise<TreeEntryView | undefined>
  /**
   * Streams a file: of any size with git, which never holds it whole; up to `blobBytesMax` without.
   *
   * @throws NodeError NOT_FOUND, INVALID_INPUT for a range that is none, TOO_LARGE, QUEUE_FULL.
   */
  openBlob(oid: string, range?: ByteRange, signal?: AbortSignal): Promise<OpenBlob>
  /** Bytes of those of the files that are here, by id. */
  fileSizes(oids: readonly string[]): Promise<ReadonlyMap<string, number>>
  /**
   * Reads many files one after another, in the order in which they are named. `onFile` gets the place in the list and
   * reads the content to its end; with git no file is ever held whole.
   *
   * @throws NodeError NOT_FOUND, TOO_LARGE, or what `onFile` throws.
   */
  readFiles(oids: readonly string[], onFile: OnFile, signal?: AbortSignal): Promise<void>
  /** @throws NodeError NOT_FOUND, TOO_LARGE above what fits memory (`blobBytesMax`). */
  readBlob(oid: string): Promise<Uint8Array>
  /** @returns the tree's id. @throws NodeError PATH_UNSAFE, NOT_FOUND when an object is not here. */
  writeTree(files: readonly TreeFile[]): Promise<string>
  /**
   * Stores what a directory holds. Links are stored as links and never followed; anything that is neither file, link
   * nor directory, and any name against the rules, is refused.
   *
   * @returns the tree's id. @throws NodeError PATH_UNSAFE
   */
  writeTreeFromDirectory(directory: string): Promise<string>
  /** @returns the commit's id. @throws NodeError NOT_FOUND when the tree, COMMIT_NOT_FOUND when a parent is not here. */
  writeCommit(commit: NewCommit): Promise<string>
  /**
   * Writes the commit's files into `directory`, which is made if need be and must be empty. Nothing is written when
   * the tree breaks a rule, and no link that another entry planted is ever written through.
   *
   * @param before hears what will be written before any of it is, and prevents it by throwing.
   * @throws NodeError COMMIT_NOT_FOUND, PATH_UNSAFE, INVALID_INPUT when the directory is not empty.
   */
  checkout(
    commit: string,
    directory: string,
    before?: (files: readonly TreeFile[]) => Promise<void>,
  ): Promise<void>
  size(): Promise<RepositorySize>
  /**
   * Joins packs and loose objects, and drops what has not been reached for `pruneOlderThanMs`. Safe beside readers and
   * writers, and at whatever point it is ended.
   */
  collectGarbage(options: GarbageOptions): Promise<GarbageResult>
  /** Checks every object, and that every branch is whole; at most `problemsMax` problems are told. */
  verify(signal?: AbortSignal): Promise<Verification>
}

/** One request of git's smart HTTP protocol for reading (gitprotocol-http(5)). */
export interface StatelessRead {
  /** The version of git's protocol that the client asks for; the oldest when it asks for none. */
  readonly protocol?: 0 | 1 | 2 | undefined
  /** What the client says; without it, it is told what there is. */
  readonly request?: Uint8Array | undefined
}

/** How two nodes may exchange objects on one stream (dataset-fetch.md D4, D5). */
export type Dialect = 'upload-pack' | 'pack'

/** What the pack protocol asks of a repository beyond what the other rooms see. */
export interface PackRepository extends Repository {
  /** What this backend speaks, best first. */
  readonly dialects: readonly Dialect[]
  /**
   * One pack with every object reachable from `wants` and not from those of `haves` that are here, as it is made.
   *
   * @throws NodeError COMMIT_NOT_FOUND for a want, TOO_LARGE where the backend cannot hold the pack.
   */
  packObjects(
    wants: readonly string[],
    haves: readonly string[],
    signal: AbortSignal,
  ): AsyncIterable<Uint8Array>
  /** Serves git's own upload-pack on a stream. @throws NodeError UNSUPPORTED */
  uploadPack(stream: ByteStream, signal: AbortSignal): Promise<void>
  /**
   * Answers one request of git's smart HTTP protocol by a client that reads.
   *
   * @throws NodeError UNSUPPORTED, GIT_FAILED
   */
  serveRead(read: StatelessRead, signal: AbortSignal): AsyncIterable<Uint8Array>
  /** A place apart for objects that a peer sends; `bounds` are for a caller that has less room than others. */
  quarantine(bounds?: Partial<AdmissionBounds>): Promise<Quarantine>
  /**
   * Brings commits to branches of a repository that is no member's, each only forward.
   *
   * @throws NodeError UNSUPPORTED, GIT_FAILED when the call itself failed.
   */
  pushRemote(call: RemoteCall, wishes: readonly PushWish[], signal: AbortSignal): Promise<PushResult>
}

/** A repository that is laid out with the first bytes that come for it, so that nothing leaves no trace. */
export interface NewRepository {
  readonly dialects: PackRepository['dialects']
  layOut(): Promise<PackRepository>
}

export interface ReceiveOptions {
  /** The pack may be thin: its deltas may stand on objects that are here already (native only). */
  readonly thin?: boolean
}

/** Received objects wait here until all is proven of them; what is not admitted leaves no trace. */
export interface Quarantine {
  /**
   * Fetches a branch of a repository that is no member's.
   *
   * @param onBytes hears how many more have come, and may refuse them.
   * @returns where it is. @throws NodeError UNSUPPORTED, PACK_REJECTED, PATH_UNSAFE, GIT_FAILED when the call itself
   * failed, and whatever `onBytes` throws.
   */
  fetchRemote(
    call: RemoteCall,
    branch: string,
    signal: AbortSignal,
    onBytes?: (bytes: number) => Promise<void>,
  ): Promise<string>
  /** Takes one pack. @throws NodeError PACK_REJECTED, and whatever `pack` throws. */
  receive(pack: AsyncIterable<Uint8Array>, signal: AbortSignal, options?: ReceiveOptions): Promise<void>
  /**
   * Judges everything received (ids, format, connectivity, limits, paths: dataset-fetch.md D6 to D10), then makes it
   * part of the repository in one step.
   *
   * @throws NodeError PACK_REJECTED, PATH_UNSAFE
   */
  admit(wants: readonly string[], signal: AbortSignal): Promise<void>
  /** Bytes on disk of what has been received. */
  size(): Promise<number>
  /** Removes the place with whatever is still in it. */
  discard(): Promise<void>
}

/** One way of keeping git repositories. */
export interface GitBackend {
  readonly kind: 'native' | 'isomorphic'
  /** What its repositories speak with other members. */
  readonly dialects: readonly Dialect[]
  /** Opens the bare repository at `path`, making it when there is none. */
  open(path: string): Promise<PackRepository>
  /** Ends what still runs. */
  stop(): Promise<void>
}
