import { createHash } from 'node:crypto'
import type { OpenedRecord } from '../../src/consensus/certificate.ts'
import { quorumOf } from '../../src/consensus/quorum.ts'
import { type Opening, openingSchema, parseValue, type Signed } from '../../src/consensus/records.ts'
import { encodeCommit, nestTrees, objectId } from '../../src/datasets/git/git-objects.ts'
import type { NewCommit, TreeFile } from '../../src/datasets/git/repository.ts'
import { encodeJson } from '../../src/registry/collection.ts'

/** Parts of a round for tests of the pure core: no network, no git, but git's own object ids. */

export const SLOT = 1_790_000_000_000

export function names(count: number): string[] {
  return Array.from({ length: count }, (_, i) => `peer${String(i + 1).padStart(2, '0')}`)
}

export function blobId(content: string): string {
  return objectId('blob', Buffer.from(content))
}

/** A sorted file list from `path: content`. */
export function filesOf(contents: Readonly<Record<string, string>>): TreeFile[] {
  const files = Object.entries(contents).map(
    ([path, content]): TreeFile => ({ path, mode: '100644', oid: blobId(content) }),
  )
  return files.sort((a, b) => Buffer.compare(Buffer.from(a.path), Buffer.from(b.path)))
}

/** The id that git gives the tree of these files. */
export function treeId(files: readonly TreeFile[]): string {
  return nestTrees(files).root
}

/** The id that git gives the commit. */
export function commitId(commit: NewCommit): string {
  return objectId('commit', encodeCommit(commit))
}

export function openingBy(electorate: readonly string[], changes: Partial<Opening> = {}): Signed<Opening> {
  const opening: Opening = {
    electorate: [...electorate].sort(),
    method: { name: 'identical' },
    trigger: 'request',
    quorum: { ballots: quorumOf(electorate.length), votes: quorumOf(electorate.length) },
    parent: null,
    height: 1,
    openedMs: SLOT,
    cutoffMs: SLOT + 60_000,
    votesUntilMs: SLOT + 120_000,
    openedBy: electorate[0] as string,
    ...changes,
  }
  return signed(openingSchema, opening)
}

export function signed<T>(schema: Parameters<typeof parseValue<T>>[0], value: T): Signed<T> {
  const parsed = parseValue(schema, encodeJson(value))
  if (parsed === undefined) throw new Error('the test wrote a value that does not fit its schema')
  return parsed
}

/**
 * A stand-in for sealed envelopes where a simulation makes hundreds of thousands: whoever changes a byte, or seals in
 * the name of another without knowing its secret, is found out.
 */
export function sealAs(
  author: string,
  key: string,
  value: Uint8Array,
  secret = secretOf(author),
): Uint8Array {
  const text = JSON.stringify({ author, key, value: Buffer.from(value).toString('base64') })
  return Buffer.from(JSON.stringify({ text, mac: macOf(text, secret) }))
}

export async function openSealed(envelope: Uint8Array): Promise<OpenedRecord> {
  const { text, mac } = JSON.parse(Buffer.from(envelope).toString()) as { text: string; mac: string }
  const { author, key, value } = JSON.parse(text) as { author: string; key: string; value: string }
  if (mac !== macOf(text, secretOf(author))) throw new Error('the seal does not hold')
  return { author, key, value: Buffer.from(value, 'base64') }
}

function secretOf(author: string): string {
  return `the secret of ${author}`
}

function macOf(text: string, secret: string): string {
  return createHash('sha256').update(secret).update(text).digest('hex')
}
