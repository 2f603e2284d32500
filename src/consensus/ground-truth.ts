/**
 * The truth of each dataset as the registry's certificates give it: which it is, making the branch `ground-truth` follow
 * it, and telling who agreed and who differed where.
 */
import { isNodeError, messageOf, NodeError } from '../base/errors.ts'
import { candidateFetchTimeoutMs } from '../base/limits.ts'
import type { Logger } from '../base/logger.ts'
import type { Datasets } from '../datasets/datasets.ts'
import type { Past } from '../federation/admission.ts'
import type { Registry } from '../registry/registry.ts'
import {
  type CertificateCheck,
  compareRanks,
  type OpenRecord,
  type ReadCertificate,
  rankOf,
  rankOfRead,
  readCertificate,
  verifyCertificate,
} from './certificate.ts'
import type { Counting } from './counting.ts'
import { hashOfSealed } from './open-record.ts'
import type { Truth } from './opening.ts'
import type { HeldTruth } from './plan.ts'
import type { Voter } from './quorum.ts'
import { truthKey } from './round-id.ts'
import { agrees, type Differences, type Tally } from './tally.ts'
import type { MemberAgreement, NamedPeer, TruthView, Verification } from './views.ts'

export interface GroundTruthParts {
  readonly registry: Pick<Registry, 'get' | 'claims' | 'envelope'>
  readonly datasets: Pick<
    Datasets,
    | 'repository'
    | 'ensureCommit'
    | 'truth'
    | 'truthHere'
    | 'moveTruth'
    | 'noteTruth'
    | 'follows'
    | 'holds'
    | 'find'
  >
  readonly counting: Counting
  /** Who votes on a dataset. */
  readonly members: (dataset: string) => readonly Voter[]
  /** What is known of those who vote no more; without it nobody was ever a member who is none now. */
  readonly past?: Past
  readonly nameOf: (peer: string) => string
  readonly open: OpenRecord
  readonly log: Logger
}

const NO_DIFFERENCES: Differences = { missing: [], extra: [], different: [] }

export class GroundTruth {
  readonly #parts: GroundTruthParts
  /** Read certificates by the bytes that they were read from. */
  readonly #read = new WeakMap<Uint8Array, ReadCertificate>()
  /** The certificate that each dataset's branch was last seen to follow. */
  readonly #adopted = new Map<string, Uint8Array>()
  /** The last tally of each dataset, by hash of its closing: reading a large tree twice helps nobody. */
  readonly #tallies = new Map<string, { closing: string; tally: Promise<Tally> }>()

  constructor(parts: GroundTruthParts) {
    this.#parts = parts
  }

  /**
   * The certificate that the registry holds. It was verified when it entered, and is again before the branch moves. One
   * from before the dataset was founded is about another one that had its name.
   */
  certified(dataset: string): ReadCertificate | undefined {
    const known = this.#parts.datasets.find(dataset)
    if (known?.policy !== 'shared') return undefined
    const read = this.#certified(dataset)
    return read === undefined || read.opening.value.openedMs < known.foundedMs ? undefined : read
  }

  #certified(dataset: string): ReadCertificate | undefined {
    const value = this.#parts.registry.get(truthKey(dataset))?.value
    if (value === undefined) return undefined
    const known = this.#read.get(value)
    if (known !== undefined) return known
    const read = readCertificate(value)
    if (typeof read === 'string') return undefined
    this.#read.set(value, read)
    return read
  }

  /** True when there is nothing to adopt: no certificate, or the one whose commit the branch was seen to follow. */
  isAdopted(dataset: string): boolean {
    if (this.certified(dataset) === undefined) return true
    const value = this.#parts.registry.get(truthKey(dataset))?.value
    return value === undefined || this.#adopted.get(dataset) === value
  }

  /** The tree of a commit that is here. @throws NodeError COMMIT_NOT_FOUND */
  async treeOf(dataset: string, commit: string): Promise<string> {
    const repository = await this.#parts.datasets.repository(dataset)
    return (await repository.readCommit(commit)).tree
  }

  /** What a new round has to build on. @throws NodeError DATASET_NOT_FOUND */
  async truth(dataset: string): Promise<Truth> {
    const read = this.certified(dataset)
    if (read !== undefined) return rankOfRead(read)
    const { datasets } = this.#parts
    const commit = (await datasets.truth(dataset)) ?? null
    // What was opened before the dataset was founded is about another one that had its name.
    const openedMs = this.sinceMs(dataset)
    return { commit, height: 0, openedMs, view: openedMs }
  }

  /** When the present truth was opened, or the dataset founded, ms: what was signed before is about another height. */
  sinceMs(dataset: string): number {
    const openedMs = this.certified(dataset)?.opening.value.openedMs
    return openedMs ?? this.#parts.datasets.find(dataset)?.foundedMs ?? 0
  }

  /** Who brings the certificate of the present truth, and since when it is here. */
  held(dataset: string): HeldTruth | undefined {
    const read = this.certified(dataset)
    if (read === undefined) return undefined
    const rank = rankOfRead(read)
    const same = this.#parts.registry.claims(truthKey(dataset)).filter(({ value }) => {
      const other = rankOf(value)
      return other !== undefined && compareRanks(other, rank) === 0
    })
    return {
      bringers: same.map(({ author }) => author),
      sinceMs: Math.min(...same.map(({ timeMs }) => timeMs)),
    }
  }

  /** The next look finds out anew whether the branch follows the certificate. */
  forget(dataset: string): void {
    this.#adopted.delete(dataset)
    this.#tallies.delete(dataset)
  }

  /**
   * Makes the branch `ground-truth` follow the certificate, fetching or computing its commit; where nobody wants the
   * dataset, what was agreed on is only noted.
   *
   * @returns true when the branch moved, or the note.
   * @throws NodeError CERTIFICATE_INVALID, or why the commit cannot be had now.
   */
  async adopt(dataset: string, signal: AbortSignal): Promise<boolean> {
    const { registry, datasets } = this.#parts
    const value = registry.get(truthKey(dataset))?.value
    const commit = this.certified(dataset)?.certificate.commit
    if (value === undefined || commit === undefined) return false
    const wanted = datasets.follows(dataset) || (await datasets.holds(dataset, commit))
    const at = wanted ? await datasets.truthHere(dataset) : await datasets.truth(dataset)
    const moves = at !== commit
    if (moves) await this.#check(dataset, value)
    if (moves && wanted) await this.#move(dataset, commit, signal)
    // Also when it is the truth already: a note ends what was noted before.
    if (!wanted) await datasets.noteTruth(dataset, commit)
    this.#adopted.set(dataset, value)
    return moves
  }

  /** Who agreed on the present truth and who differed where. @throws NodeError DATASET_NOT_FOUND */
  async view(dataset: string, signal: AbortSignal): Promise<TruthView> {
    const held = await this.#parts.datasets.truth(dataset)
    const policy = this.#parts.datasets.find(dataset)?.policy ?? 'shared'
    const read = this.certified(dataset)
    if (read === undefined) {
      const nobody = { signers: [], agreement: [], contested: [] }
      return { dataset, commit: held ?? null, policy, height: 0, adopted: held !== undefined, ...nobody }
    }
    const { certificate } = read
    const { datasets } = this.#parts
    // Nothing is fetched to show what nobody here wants.
    const wanted = datasets.follows(dataset)
    const tally = wanted ? await this.#talliedIfHere(dataset, read, signal) : undefined
    return {
      dataset,
      commit: certificate.commit,
      policy,
      height: certificate.height,
      adopted: (await datasets.truthHere(dataset)) === certificate.commit,
      round: certificate.round,
      signers: this.#signers(read),
      certificate,
      agreement: tally === undefined ? [] : this.#agreement(read, tally),
      contested: tally?.contested ?? [],
    }
  }

  /** Checks the certificate and computes its commit anew from the ballots that it counts. */
  async verify(dataset: string, signal: AbortSignal): Promise<Verification> {
    const { registry, datasets, counting } = this.#parts
    const value = registry.get(truthKey(dataset))?.value
    const read = this.certified(dataset)
    if (value === undefined || read === undefined) {
      const commit = (await datasets.truth(dataset)) ?? null
      const reason = 'no certificate proves this truth yet, since no round has decided'
      return { dataset, ok: false, unchecked: true, reason, commit, signers: [] }
    }
    const found = { dataset, commit: read.certificate.commit, signers: this.#signers(read) }
    const check = await this.#verified(dataset, value)
    if (!check.ok) return { ...found, ok: false, reason: check.reason }
    const outcome = await counting.count(read.round, read.opening.value, read.closing.value, signal)
    if (outcome.commit === null) return { ...found, ok: false, reason: 'Its ballots have no majority' }
    const recomputed = outcome.commit
    if (recomputed === found.commit) return { ...found, ok: true, recomputed }
    return { ...found, ok: false, reason: 'Its ballots result in another commit', recomputed }
  }

  /** @throws NodeError CERTIFICATE_INVALID */
  async #check(dataset: string, value: Uint8Array): Promise<void> {
    const check = await this.#verified(dataset, value)
    if (!check.ok) throw new NodeError('CERTIFICATE_INVALID', check.reason, { dataset })
  }

  async #verified(dataset: string, value: Uint8Array): Promise<CertificateCheck> {
    const { members, open, past, registry } = this.#parts
    const envelope = registry.envelope(truthKey(dataset))
    const isListed = envelope !== undefined && past?.stays(await hashOfSealed(envelope)) === true
    const known = past === undefined ? {} : { past: { ...past, isListed } }
    return verifyCertificate(value, { dataset, members: members(dataset), open, ...known })
  }

  async #move(dataset: string, commit: string, signal: AbortSignal): Promise<void> {
    const { datasets } = this.#parts
    await this.#obtain(dataset, commit, signal)
    await datasets.moveTruth(dataset, commit)
  }

  /** From whoever has it; where nobody answers, from the ballots, which give the same commit. */
  async #obtain(dataset: string, commit: string, signal: AbortSignal): Promise<void> {
    const { datasets, counting } = this.#parts
    const repository = await datasets.repository(dataset)
    if (await repository.hasCommit(commit)) return
    const bounded = AbortSignal.any([signal, AbortSignal.timeout(candidateFetchTimeoutMs)])
    try {
      return await datasets.ensureCommit(dataset, commit, { signal: bounded })
    } catch (error) {
      if (!isNodeError(error, 'PEER_UNREACHABLE') && !isNodeError(error, 'TIMED_OUT')) throw error
      const read = this.certified(dataset)
      if (read === undefined) throw error
      await counting.count(read.round, read.opening.value, read.closing.value, signal)
      if (!(await repository.hasCommit(commit))) throw error
    }
  }

  async #talliedIfHere(
    dataset: string,
    read: ReadCertificate,
    signal: AbortSignal,
  ): Promise<Tally | undefined> {
    try {
      return await this.#tally(dataset, read, signal)
    } catch (error) {
      // The commits of members may be out of reach; the truth itself is known without them.
      const what = { dataset, error: messageOf(error) }
      this.#parts.log.info(what, 'the ballots behind the truth are not all here')
      return undefined
    }
  }

  async #tally(dataset: string, { opening, closing }: ReadCertificate, signal: AbortSignal): Promise<Tally> {
    const known = this.#tallies.get(dataset)
    if (known?.closing === closing.hash) return known.tally
    const counted = this.#parts.counting.counted(dataset, opening.value, closing.value, signal)
    const tally = counted.then((found) => found.tally)
    const kept = { closing: closing.hash, tally }
    this.#tallies.set(dataset, kept)
    tally.catch(() => {
      if (this.#tallies.get(dataset) === kept) this.#tallies.delete(dataset)
    })
    return tally
  }

  #signers({ certificate }: ReadCertificate): NamedPeer[] {
    return Object.keys(certificate.confirmations).map((peer) => ({ peer, name: this.#parts.nameOf(peer) }))
  }

  #agreement({ opening, closing }: ReadCertificate, tally: Tally): MemberAgreement[] {
    return opening.value.electorate.map((peer) => {
      const commit = closing.value.ballots[peer]?.commit ?? null
      const differences = tally.members.get(peer) ?? NO_DIFFERENCES
      const name = this.#parts.nameOf(peer)
      return { peer, name, commit, agrees: commit !== null && agrees(differences), differences }
    })
  }
}
