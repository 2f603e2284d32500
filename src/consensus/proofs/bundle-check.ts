/**
 * Checks what a branch of certificates says, file by file, and nothing else: what examples/verify-truth does for whoever
 * has no node, by the same rules (protocols/verification.md §5). The node's own memory of the branch has no part in it.
 */
import type { CommitInfo } from '../../datasets/git/repository.ts'
import { type Genesis, openGenesis } from '../../federation/genesis.ts'
import { decodeJson } from '../../registry/collection.ts'
import { openRecordsOf } from '../open-record.ts'
import { type ChainCheck, type ChainFailure, checkChain } from './chain.ts'
import { checkHistory } from './history.ts'
import { GENESIS_PATH, placeAt } from './layout.ts'
import { type Link, readLink, refusal } from './link.ts'
import { Roll } from './roll.ts'
import { type RollRecord, readRollRecord } from './roll-records.ts'

export interface Bundle {
  /** Contents of the branch `certificates`, by path. */
  readonly files: ReadonlyMap<string, Uint8Array>
  /** The commits of the truths that are here, by id. */
  readonly commits: ReadonlyMap<string, CommitInfo>
  /** Where the branch `ground-truth` is. */
  readonly truth: string | undefined
}

export interface BundleCheck extends ChainCheck {
  /** Records that say something about who votes on the dataset. */
  readonly records: number
  readonly dataset: string
  /** Of the dataset, as its records say it. */
  readonly id?: string
}

/**
 * @param federation the id that whoever checks knows from elsewhere.
 * @param expected the id of the dataset, likewise: of one name there may be several.
 */
export async function checkBundle(
  { files, commits, truth }: Bundle,
  federation: string,
  expected?: string,
): Promise<BundleCheck> {
  const certificates = new Map<number, Uint8Array>()
  const envelopes: Uint8Array[] = []
  for (const [path, bytes] of files) {
    const place = placeAt(path)
    if (place?.kind === 'certificate') certificates.set(place.height, bytes)
    if (place?.kind === 'record') envelopes.push(bytes)
  }
  const height = Math.max(0, ...certificates.keys())
  const dataset = datasetOf(certificates.get(height))
  const none = { held: [], records: 0, dataset }
  const genesis = await genesisOf(files.get(GENESIS_PATH), federation)
  if ('clause' in genesis) return { ...none, failure: { height: 0, ...genesis } }
  const context = { federation, dataset }
  const read = await Promise.all(envelopes.map((envelope) => readRollRecord(envelope, context)))
  const records = read.filter((record): record is RollRecord => typeof record !== 'string')
  if (height === 0) {
    return {
      ...none,
      records: records.length,
      failure: { height: 1, ...refusal('L1', 'there is no certificate') },
    }
  }
  const open = openRecordsOf(federation)
  const links: (Link | ChainFailure)[] = []
  for (let at = 1; at <= height; at += 1) {
    const bytes = certificates.get(at)
    const gap = refusal('L1', 'the certificate of this height is not here')
    const link = bytes === undefined ? gap : await readLink(bytes, dataset, open)
    links.push('clause' in link ? { height: at, ...link } : link)
    if ('clause' in link) break
  }
  const roll = new Roll(genesis, dataset, records)
  const id = roll.ids()[0] ?? dataset
  if (expected !== undefined && id !== expected)
    return { ...none, id, failure: { height: 1, ...refusal('R9', `this is the dataset ${id}`) } }
  const chain = checkChain(links, roll)
  const found = { ...chain, records: records.length, dataset, id }
  if (chain.failure !== undefined) return found
  const held = chain.held.map(({ link }) => link)
  const newest = held.toReversed().map(({ commit }) => commits.get(commit))
  const failure = checkHistory(held, truth, newest)
  return failure === undefined ? found : { ...found, failure }
}

/** What the last certificate is about; all others have to be about the same [C2]. */
function datasetOf(bytes: Uint8Array | undefined): string {
  const said = bytes && (decodeJson(bytes) as { round?: unknown } | undefined)
  return typeof said?.round === 'string' ? (said.round.split('/')[0] as string) : ''
}

/** [G1], [G2] */
async function genesisOf(
  bytes: Uint8Array | undefined,
  federation: string,
): Promise<Genesis | ReturnType<typeof refusal>> {
  if (bytes === undefined) return refusal('G1', 'there is no genesis')
  try {
    return await openGenesis(bytes, federation)
  } catch (error) {
    return refusal('G1', error instanceof Error ? error.message : 'the genesis does not open')
  }
}
