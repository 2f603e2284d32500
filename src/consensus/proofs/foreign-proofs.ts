/**
 * Reads another member's branch of certificates, of which nothing is believed. Read from the top: what does not follow
 * from the truth that this node holds itself is left, and at the first signature that does not hold, all of it. So a
 * hostile branch costs the reading of its list and of one certificate beyond what is true in it.
 */
import type { Repository } from '../../datasets/git/repository.ts'
import { decodeJson } from '../../registry/collection.ts'
import type { OpenRecord } from '../certificate.ts'
import { type Link, readLink } from './link.ts'
import { isOf } from './registry-roll.ts'
import { type RollContext, type RollRecord, readRollRecord } from './roll-records.ts'
import { type Filed, listProofs, readContents, type StoredProofs } from './stored-proofs.ts'

export interface ForeignBranch extends RollContext {
  readonly repository: Repository
  readonly commit: string
  /** Id of the dataset. */
  readonly id: string
  /** Content id of the genesis of this federation. */
  readonly genesisOid: string
  readonly open: OpenRecord
  readonly signal?: AbortSignal
}

/** What a branch has that is not here, or why none of it is taken. */
export type ForeignProofs =
  | { readonly links: readonly Filed<Link>[]; readonly records: readonly Filed<RollRecord>[] }
  | { readonly refused: string }

/**
 * @param own what this node has.
 * @param tip the certificate of the truth that it holds.
 * @throws NodeError when the objects cannot be read.
 */
export async function readForeign(
  branch: ForeignBranch,
  own: StoredProofs,
  tip: Link,
): Promise<ForeignProofs> {
  const { repository, commit, genesisOid, signal } = branch
  const listed = await listProofs(repository, commit)
  if (listed.genesis !== genesisOid) return { refused: 'it is of another federation' }
  const links = await readLinks(branch, own, tip, listed.certificates)
  if (!Array.isArray(links)) return links
  const records: Filed<RollRecord>[] = []
  const news = [...listed.records].filter(([hash]) => !own.records.has(hash))
  const hashes = new Map(news.map(([hash, oid]) => [oid, hash]))
  for await (const { oid, bytes } of readContents(repository, [...hashes.keys()], signal)) {
    const record = await readRollRecord(bytes, branch)
    // A key of which this version knows nothing may say something to another one.
    if (typeof record === 'string') continue
    if (record.hash !== hashes.get(oid))
      return { refused: 'a record of its roll stands in another one’s place' }
    if (isOf(record, branch.dataset, branch.id)) records.push({ value: record, oid })
  }
  return { links, records }
}

async function readLinks(
  { repository, dataset, open, signal }: ForeignBranch,
  own: StoredProofs,
  tip: Link,
  listed: ReadonlyMap<number, string>,
): Promise<Filed<Link>[] | { refused: string }> {
  const heights = [...listed.keys()].filter((height) => height <= tip.height).sort((a, b) => b - a)
  const news = heights.filter((height) => own.links.get(height)?.oid !== listed.get(height))
  const found: Filed<Link>[] = []
  const heightsBy = news.values()
  /** What stands at a height by what stands above it, as far as that is known. */
  const wanted = new Map([[tip.height, tip.commit as string | null]])
  for (const { value } of own.links.values()) wanted.set(value.height - 1, value.parent)
  const oids = news.map((height) => listed.get(height) as string)
  for await (const { oid, bytes } of readContents(repository, oids, signal)) {
    const height = heightsBy.next().value as number
    const claimed = (decodeJson(bytes) ?? {}) as { commit?: unknown; height?: unknown }
    if (claimed.height !== height || claimed.commit !== wanted.get(height)) {
      // Below a gap, or of another chain: it may be one that somebody's truth was once.
      if (wanted.has(height)) return found
      continue
    }
    const link = await readLink(bytes, dataset, open)
    if ('clause' in link) return { refused: `its certificate of height ${height}: ${link.reason}` }
    wanted.set(height - 1, link.parent)
    found.push({ value: link, oid })
  }
  return found
}
