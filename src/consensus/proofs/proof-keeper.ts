/**
 * One dataset's branch of certificates: what this node has of it, and how the registry's certificate, its records and
 * other members' branches become part of it. Called by one at a time.
 */

import { proofFileBytesMax, rollRecordsMax } from '../../base/limits-proofs.ts'
import type { Logger } from '../../base/logger.ts'
import { MIB } from '../../base/units.ts'
import type { AnnouncedCertificates, CertificateBranches } from '../../datasets/certificate-branches.ts'
import type { AdmissionBounds } from '../../datasets/git/admission.ts'
import { objectId } from '../../datasets/git/git-objects.ts'
import type { Repository } from '../../datasets/git/repository.ts'
import type { Genesis } from '../../federation/genesis.ts'
import type { Registry } from '../../registry/registry.ts'
import type { OpenRecord } from '../certificate.ts'
import { readCertificate } from '../certificate.ts'
import { openRecordsOf } from '../open-record.ts'
import { truthKey } from '../round-id.ts'
import { readForeign } from './foreign-proofs.ts'
import { type Link, readLink } from './link.ts'
import { RegistryRoll } from './registry-roll.ts'
import { type RollRecord, readRollRecord } from './roll-records.ts'
import { type Beside, type Selected, selectBeside } from './selection.ts'
import {
  type Filed,
  listProofs,
  NO_PROOFS,
  readContents,
  type StoredProofs,
  writeProofs,
} from './stored-proofs.ts'

export interface ProofKeeperParts {
  readonly dataset: string
  /** Id of the dataset. */
  readonly id: string
  readonly genesis: Genesis
  readonly registry: Pick<Registry, 'get' | 'list' | 'claims' | 'envelope'>
  readonly branches: CertificateBranches
  readonly log: Logger
}

/** What stands in the branch now, and whether it proves the truth. */
export interface Proven extends Selected {
  readonly tip: Link
  /** Of the dataset. */
  readonly id: string
  readonly commit: string
  /** Content ids of the certificates, by the hash of their bytes. */
  readonly filed: ReadonlyMap<string, string>
}

/** What is not in the branch yet; with content ids, where it is in another one. */
interface Found {
  readonly links: readonly { readonly value: Link; readonly oid: string | undefined }[]
  readonly records: readonly { readonly value: RollRecord; readonly oid: string | undefined }[]
}

/** Bytes of the trees and of the roll of a young dataset. */
const LEAST_BYTES = 16 * MIB

export class ProofKeeper {
  readonly #parts: ProofKeeperParts
  readonly #open: OpenRecord
  readonly #roll: RegistryRoll
  readonly #genesisOid: string
  #stored: (StoredProofs & { readonly commit: string }) | undefined
  #proven: Proven | undefined
  /** What the branch was last made of, when it was left as it is. */
  #state: string | undefined

  constructor(parts: ProofKeeperParts) {
    this.#parts = parts
    const { genesis, registry } = parts
    this.#open = openRecordsOf(genesis.federation)
    this.#roll = new RegistryRoll({ registry })
    this.#genesisOid = objectId('blob', Buffer.from(genesis.envelope))
  }

  /**
   * Brings the branch in step with the certificate that the registry holds.
   *
   * @returns what stands there then; undefined where there is no certificate, no copy, or the truth is not adopted yet.
   * @throws NodeError what reading and writing throws.
   */
  async keep(signal?: AbortSignal): Promise<Proven | undefined> {
    const { dataset, branches } = this.#parts
    const opened = await branches.open(dataset)
    const tip = await this.#certified()
    if (opened === undefined || tip === undefined || opened.truth !== tip.link.commit) return undefined
    const { repository } = opened
    const stored = await this.#storedAt(repository, opened.tip, signal)
    const claims = await this.#claims(tip.link)
    const roll = await this.#roll.of(this.#context, this.#parts.id)
    // Nothing has changed since it was looked at last: a long chain is not gone through again.
    const state = [
      opened.tip,
      tip.link.hash,
      ...claims.map(({ link }) => link.hash),
      ...roll.map(({ record }) => record.hash),
    ].join()
    if (state === this.#state && this.#proven !== undefined) return this.#proven
    const found = {
      links: claims.map(({ link }) => ({ value: link, oid: undefined })),
      records: roll.map(({ record }) => ({ value: record, oid: undefined })),
      fresh: new Map([
        ...claims.map(({ link, bytes }) => [link.hash, bytes] as const),
        ...roll.map(({ record, envelope }) => [record.hash, envelope] as const),
      ]),
    }
    const selected = this.#select(tip.link, stored, found)
    const proven = await this.#write(repository, tip.link, stored, found, selected)
    this.#state = proven.commit === opened.tip ? state : undefined
    return proven
  }

  /** Brings another member's branch here, as far as it can be one. @throws NodeError what fetching throws. */
  async bring(announced: AnnouncedCertificates, timeoutMs: number, signal: AbortSignal): Promise<void> {
    const bounds = boundsFor(this.#proven?.tip.height ?? 0)
    await this.#parts.branches.bring(this.#parts.dataset, announced, { bounds, timeoutMs, signal })
  }

  /**
   * Takes over what another member's branch has, which is here, and this node's lacks.
   *
   * @returns what stands there then, or why nothing of it is taken.
   * @throws NodeError what reading and writing throws.
   */
  async merge(
    commit: string,
    signal: AbortSignal,
  ): Promise<Proven | { readonly refused: string } | undefined> {
    const { dataset, id, branches } = this.#parts
    const before = await this.keep(signal)
    const opened = await branches.open(dataset)
    if (before === undefined || opened === undefined) return undefined
    const { repository } = opened
    const what = { repository, commit, id, genesisOid: this.#genesisOid, open: this.#open, signal }
    const stored = this.#stored ?? NO_PROOFS
    const found = await readForeign({ ...this.#context, ...what }, stored, before.tip)
    if ('refused' in found) return found
    const selected = this.#select(before.tip, stored, found)
    const { failure } = selected.check
    // [S5] What holds is never given up for what does not.
    if (before.check.failure === undefined && (selected.isOwn === true || failure !== undefined))
      return {
        refused: `with it the chain would not hold: ${failure?.reason ?? 'its records are against it'}`,
      }
    return this.#write(repository, before.tip, stored, { ...found, fresh: new Map() }, selected)
  }

  #select(tip: Link, stored: StoredProofs, found: Found): Beside {
    const { genesis, dataset } = this.#parts
    const valuesOf = <T>(filed: Iterable<{ readonly value: T }>) => [...filed].map(({ value }) => value)
    const links = [...valuesOf(stored.links.values()), ...valuesOf(found.links)]
    const own = valuesOf(stored.records.values())
    return selectBeside({ genesis, dataset, tip, links, records: own }, valuesOf(found.records))
  }

  get #context() {
    return { federation: this.#parts.genesis.federation, dataset: this.#parts.dataset }
  }

  async #write(
    repository: Repository,
    tip: Link,
    stored: StoredProofs,
    found: Found & { fresh: ReadonlyMap<string, Uint8Array> },
    selected: Selected,
  ): Promise<Proven> {
    const { dataset, id, genesis, branches, log } = this.#parts
    const known = new Map<string, string>()
    for (const { value, oid } of [
      ...stored.links.values(),
      ...stored.records.values(),
      ...found.links,
      ...found.records,
    ])
      if (oid !== undefined) known.set(value.hash, oid)
    if (selected.records.length > rollRecordsMax) {
      log.warn(
        { dataset, records: selected.records.length },
        'the roll of a dataset is full; its certificates stay as they are',
      )
      if (this.#proven !== undefined) return this.#proven
    }
    const kept = { genesis: genesis.envelope, links: selected.links, records: selected.records }
    if (this.#stored !== undefined && isSame(this.#stored, selected)) {
      this.#proven = { ...selected, tip, id, commit: this.#stored.commit, filed: known }
      return this.#proven
    }
    const { commit, oids } = await writeProofs(repository, kept, known, found.fresh)
    const from = (await branches.open(dataset))?.tip
    if (from !== commit) await branches.move(dataset, commit, from)
    this.#stored = {
      commit,
      links: new Map(
        selected.links.map((value) => [value.height, { value, oid: oids.get(value.hash) as string }]),
      ),
      records: new Map(
        selected.records.map((value) => [value.hash, { value, oid: oids.get(value.hash) as string }]),
      ),
    }
    this.#proven = { ...selected, tip, id, commit, filed: oids }
    return this.#proven
  }

  /** The certificate that the registry shows. */
  async #certified(): Promise<{ link: Link; bytes: Uint8Array } | undefined> {
    const { registry, dataset, log } = this.#parts
    const bytes = registry.get(truthKey(dataset))?.value
    if (bytes === undefined) return undefined
    const link = await readLink(bytes, dataset, this.#open)
    if ('clause' in link) {
      log.warn({ dataset, reason: link.reason }, 'the certificate of the truth cannot be read')
      return undefined
    }
    return { link, bytes }
  }

  /** Certificates for the same commit that different members assembled: nodes keep the same one of them. */
  async #claims(tip: Link): Promise<{ link: Link; bytes: Uint8Array }[]> {
    const { registry, dataset } = this.#parts
    const found: { link: Link; bytes: Uint8Array }[] = []
    for (const { value: bytes } of registry.claims(truthKey(dataset))) {
      const read = readCertificate(bytes)
      if (typeof read === 'string' || read.certificate.commit !== tip.commit) continue
      const link = await readLink(bytes, dataset, this.#open)
      if (!('clause' in link)) found.push({ link, bytes })
    }
    return found
  }

  /** What the branch says; what in it does not hold, as when a disk has failed, is left out. */
  async #storedAt(
    repository: Repository,
    commit: string | undefined,
    signal?: AbortSignal,
  ): Promise<StoredProofs> {
    if (commit === undefined) return NO_PROOFS
    if (this.#stored?.commit === commit) return this.#stored
    const { dataset } = this.#parts
    const listed = await listProofs(repository, commit)
    const links = new Map<number, Filed<Link>>()
    const heights = [...listed.certificates.keys()].values()
    for await (const { oid, bytes } of readContents(repository, [...listed.certificates.values()], signal)) {
      const height = heights.next().value as number
      const link = await readLink(bytes, dataset, this.#open)
      if (!('clause' in link) && link.height === height) links.set(height, { value: link, oid })
    }
    const records = new Map<string, Filed<RollRecord>>()
    for await (const { oid, bytes } of readContents(repository, [...listed.records.values()], signal)) {
      const record = await readRollRecord(bytes, this.#context)
      if (typeof record !== 'string') records.set(record.hash, { value: record, oid })
    }
    this.#stored = { commit, links, records }
    return this.#stored
  }
}

/** The branch stands for its content: with the same certificates and the same roll it is the same commit. */
function isSame(stored: StoredProofs, { links, records }: Selected): boolean {
  return (
    stored.links.size === links.length &&
    stored.records.size === records.length &&
    links.every(({ height, hash }) => stored.links.get(height)?.value.hash === hash) &&
    records.every(({ hash }) => stored.records.has(hash))
  )
}

/** A chain of this height fits; what is larger is not one. */
function boundsFor(height: number): Partial<AdmissionBounds> {
  const bytesMax = LEAST_BYTES + height * proofFileBytesMax
  return {
    bytesMax,
    unpackedBytesMax: 2 * bytesMax,
    fileBytesMax: proofFileBytesMax,
    objectsMax: 4 * height + rollRecordsMax + 1_000,
  }
}
