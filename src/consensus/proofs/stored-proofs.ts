/**
 * Reads and writes what stands in a branch `certificates`: which files belong there, what each says, and the commit of
 * what is kept (protocols/verification.md §2). Reading is bounded whoever wrote the branch.
 */
import { NodeError } from '../../base/errors.ts'
import { certificatesMax, proofFileBytesMax, rollRecordsMax } from '../../base/limits-proofs.ts'
import { objectId } from '../../datasets/git/git-objects.ts'
import type { Repository, TreeFile } from '../../datasets/git/repository.ts'
import { storeFiles } from '../merging.ts'
import { branchCommit, certificatePath, GENESIS_PATH, placeAt, recordPath } from './layout.ts'
import type { Link } from './link.ts'
import type { RollRecord } from './roll-records.ts'

/** Files that are read at once. */
const BATCH = 256

/** Something that was read, and the file that it stands in. */
export interface Filed<T> {
  readonly value: T
  /** Id of the file's content. */
  readonly oid: string
}

/** What a branch holds, as far as it has a place there. */
export interface Listing {
  readonly genesis: string | undefined
  /** Content ids, by height. */
  readonly certificates: ReadonlyMap<number, string>
  /** Content ids, by hash of the record. */
  readonly records: ReadonlyMap<string, string>
}

/** What a branch says, once it was read and checked. */
export interface StoredProofs {
  readonly links: ReadonlyMap<number, Filed<Link>>
  readonly records: ReadonlyMap<string, Filed<RollRecord>>
}

export const NO_PROOFS: StoredProofs = { links: new Map(), records: new Map() }

/** @throws NodeError TOO_LARGE, COMMIT_NOT_FOUND, PATH_UNSAFE */
export async function listProofs(repository: Repository, commit: string): Promise<Listing> {
  let genesis: string | undefined
  const [certificates, records] = [new Map<number, string>(), new Map<string, string>()]
  for (const { path, oid, mode } of await repository.listFiles(commit)) {
    const place = mode === '100644' ? placeAt(path) : undefined
    // What a later version puts there is left alone.
    if (place?.kind === 'genesis') genesis = oid
    if (place?.kind === 'certificate') certificates.set(place.height, oid)
    if (place?.kind === 'record') records.set(place.hash, oid)
  }
  if (certificates.size > certificatesMax || records.size > rollRecordsMax)
    throw new NodeError('TOO_LARGE', `The certificates of ${commit} are more than a chain may have`)
  return { genesis, certificates, records }
}

/** Files one after another, in the order asked for. @throws NodeError TOO_LARGE for one that is no record. */
export async function* readContents(
  repository: Repository,
  oids: readonly string[],
  signal?: AbortSignal,
): AsyncGenerator<{ oid: string; bytes: Uint8Array }, void, undefined> {
  for (let at = 0; at < oids.length; at += BATCH) {
    signal?.throwIfAborted()
    const some = oids.slice(at, at + BATCH)
    const sizes = await repository.fileSizes(some)
    const large = some.find((oid) => (sizes.get(oid) ?? 0) > proofFileBytesMax)
    if (large !== undefined) throw new NodeError('TOO_LARGE', `${large} is larger than a record can be`)
    const read: Uint8Array[] = []
    await repository.readFiles(
      some,
      async (index, content) => {
        const chunks: Uint8Array[] = []
        for await (const chunk of content) chunks.push(chunk)
        read[index] = Buffer.concat(chunks)
      },
      signal,
    )
    for (const [index, oid] of some.entries()) yield { oid, bytes: read[index] as Uint8Array }
  }
}

/** What is to stand in the branch. */
export interface Kept {
  readonly genesis: Uint8Array
  readonly links: readonly Link[]
  readonly records: readonly RollRecord[]
}

/**
 * Stores the commit of what is kept; nothing leads to it yet.
 *
 * @param known where certificates (by hash of their bytes) and records stand already.
 * @param fresh the bytes of those that stand nowhere yet, by the same hashes.
 * @returns the commit and the content id of each, by hash.
 * @throws NodeError NOT_FOUND when an object has gone meanwhile, DISK_FULL, QUOTA_EXCEEDED.
 */
export async function writeProofs(
  repository: Repository,
  { genesis, links, records }: Kept,
  known: ReadonlyMap<string, string>,
  fresh: ReadonlyMap<string, Uint8Array>,
): Promise<{ commit: string; oids: ReadonlyMap<string, string> }> {
  const tip = links.at(-1) as Link
  const oids = new Map<string, string>()
  const news = new Map([[objectId('blob', Buffer.from(genesis)), genesis]])
  const files: TreeFile[] = [fileAt(GENESIS_PATH, [...news.keys()][0] as string)]
  const place = (hash: string, path: string) => {
    const bytes = fresh.get(hash)
    const oid = known.get(hash) ?? (bytes && objectId('blob', Buffer.from(bytes)))
    if (oid === undefined) throw new NodeError('INTERNAL', `Nothing is known of ${path}`)
    if (bytes !== undefined && !known.has(hash)) news.set(oid, bytes)
    oids.set(hash, oid)
    files.push(fileAt(path, oid))
  }
  for (const { hash, height } of links) place(hash, certificatePath(height))
  for (const { hash } of records) place(hash, recordPath(hash))
  await storeFiles(repository, news.values())
  files.sort((a, b) => Buffer.compare(Buffer.from(a.path), Buffer.from(b.path)))
  const tree = await repository.writeTree(files)
  return { commit: await repository.writeCommit(branchCommit(tree, tip)), oids }
}

function fileAt(path: string, oid: string): TreeFile {
  return { path, mode: '100644', oid }
}
