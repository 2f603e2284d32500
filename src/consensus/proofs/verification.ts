/**
 * Checks a truth and all that came before it at this node: the whole chain of its certificates, the commits on the branch
 * `ground-truth`, and, where the ballots are here, that they still result in what was confirmed.
 */
import type { Clock } from '../../base/clock.ts'
import { type ErrorCode, isNodeError } from '../../base/errors.ts'
import { chainLinksShownMax, chainRecomputeMs } from '../../base/limits-proofs.ts'
import { TRUTH_BRANCH } from '../../datasets/git/git-directory.ts'
import type { Repository } from '../../datasets/git/repository.ts'
import { readCertificate } from '../certificate.ts'
import type { Counting } from '../counting.ts'
import type { NamedPeer, Verification } from '../views.ts'
import { type Bundle, checkBundle } from './bundle-check.ts'
import type { ChainFailure } from './chain.ts'
import type { Link } from './link.ts'
import type { Proven } from './proof-keeper.ts'
import { readContents } from './stored-proofs.ts'

/** What became of computing a result anew. */
export type Recomputed = 'same' | 'other' | 'ballots not here' | 'not tried'

export interface LinkView {
  readonly height: number
  readonly commit: string
  readonly round: string
  readonly openedMs: number
  /** Whose confirmations counted. */
  readonly confirmedBy: readonly NamedPeer[]
  /** How many voted then. */
  readonly voters: number
  readonly recomputed: Recomputed
}

export interface ChainView {
  readonly ok: boolean
  /** Truths that hold, from the first on. */
  readonly checked: number
  /** Height of the present truth. */
  readonly height: number
  /** The first that does not hold: where, which clause, and why. */
  readonly failure?: { readonly height: number; readonly clause: string; readonly reason: string }
  /** How many results were computed anew from their ballots. */
  readonly recomputed: number
  /** Records that say who voted. */
  readonly records: number
  /** The last links. */
  readonly links: readonly LinkView[]
}

export interface ChainVerification extends Verification {
  /** Absent where there is no certificate. */
  readonly chain?: ChainView
}

/** What says that a commit cannot be had. */
const GONE: readonly ErrorCode[] = ['COMMIT_NOT_FOUND', 'PEER_UNREACHABLE', 'TIMED_OUT']

export interface VerifyingParts {
  readonly federation: string
  /** Checks the present certificate by what this node knows now, and computes its result anew. */
  readonly verify: (dataset: string) => Promise<Verification>
  readonly isCertified: (dataset: string) => boolean
  readonly proven: (dataset: string) => Promise<Proven | undefined>
  readonly repository: (dataset: string) => Promise<Repository>
  readonly counting: Pick<Counting, 'count'>
  readonly nameOf: (peer: string) => string
  readonly clock: Clock
}

export class Verifying {
  readonly #parts: VerifyingParts

  constructor(parts: VerifyingParts) {
    this.#parts = parts
  }

  /** @throws NodeError DATASET_NOT_FOUND */
  async verify(dataset: string, signal: AbortSignal): Promise<ChainVerification> {
    const { proven, isCertified } = this.#parts
    const last = await this.#last(dataset)
    if (!isCertified(dataset)) return last
    const held = await proven(dataset)
    if (held === undefined) {
      const reason =
        'this node has no copy in which the certificates could be, or has not adopted the truth yet'
      return { ...last, ok: false, unchecked: last.ok, reason: last.reason ?? reason }
    }
    const chain = await this.#chain(dataset, held, last, signal)
    if (chain.failure === undefined || !last.ok) return { ...last, chain }
    const { height, clause, reason } = chain.failure
    return { ...last, ok: false, reason: `Height ${height} [${clause}]: ${reason}`, chain }
  }

  /** Ballots of long ago may be nowhere any more; what was confirmed holds without them. */
  async #last(dataset: string): Promise<Verification> {
    try {
      return await this.#parts.verify(dataset)
    } catch (error) {
      if (!GONE.some((code) => isNodeError(error, code)) || !this.#parts.isCertified(dataset)) throw error
      const tip = (await this.#parts.proven(dataset))?.tip
      if (tip === undefined) throw error
      const signers = tip.signers.map((peer) => ({ peer, name: this.#parts.nameOf(peer) }))
      return { dataset, ok: true, commit: tip.commit, signers }
    }
  }

  async #chain(dataset: string, held: Proven, last: Verification, signal: AbortSignal): Promise<ChainView> {
    const repository = await this.#parts.repository(dataset)
    // Read from the disk anew: what this node remembers of it proves nothing.
    const bundle = await bundleOf(repository, held, signal)
    const check = await checkBundle(bundle, this.#parts.federation, held.id)
    const found = await recompute(this.#parts, { held, last, repository, signal })
    const failure = check.failure ?? found.failure
    const shown = check.held.slice(-chainLinksShownMax).map(({ link, counted, voters }): LinkView => {
      const { height, commit, roundName: round, openedMs } = link
      const confirmedBy = counted.map((peer) => ({ peer, name: this.#parts.nameOf(peer) }))
      const recomputed = found.results.get(height) ?? 'not tried'
      return { height, commit, round, openedMs, confirmedBy, voters, recomputed }
    })
    return {
      ok: failure === undefined,
      checked: check.held.filter(({ link }) => link.height < (failure?.height ?? Infinity)).length,
      height: held.tip.height,
      ...(failure && { failure: { height: failure.height, clause: failure.clause, reason: failure.reason } }),
      recomputed: [...found.results.values()].filter((result) => result === 'same').length,
      records: check.records,
      links: shown,
    }
  }
}

/** What the branch says, and the commits of the truths. */
async function bundleOf(repository: Repository, held: Proven, signal: AbortSignal): Promise<Bundle> {
  const files = new Map<string, Uint8Array>()
  const listed = (await repository.listFiles(held.commit)).filter(({ mode }) => mode === '100644')
  const paths = listed.map(({ path }) => path).values()
  for await (const { bytes } of readContents(
    repository,
    listed.map(({ oid }) => oid),
    signal,
  ))
    files.set(paths.next().value as string, bytes)
  const truth = await repository.resolve(TRUTH_BRANCH)
  const commits = truth === undefined ? [] : await repository.log(truth, held.tip.height)
  return { files, commits: new Map(commits.map((commit) => [commit.oid, commit])), truth }
}

interface Recomputing {
  readonly held: Proven
  readonly last: Verification
  readonly repository: Repository
  readonly signal: AbortSignal
}

/** Old results anew, the latest first, as far as their ballots are here and time allows; nothing is fetched for it. */
async function recompute(
  { counting, clock }: Pick<VerifyingParts, 'counting' | 'clock'>,
  { held, last, repository, signal }: Recomputing,
): Promise<{ results: ReadonlyMap<number, Recomputed>; failure?: ChainFailure }> {
  const results = new Map<number, Recomputed>()
  if (last.recomputed !== undefined)
    results.set(held.tip.height, last.recomputed === held.tip.commit ? 'same' : 'other')
  const untilMs = clock.now() + chainRecomputeMs
  for (const link of [...held.links].reverse().slice(0, chainLinksShownMax)) {
    if (clock.now() > untilMs || signal.aborted) break
    if (results.has(link.height)) continue
    const result = await recomputed(counting, { held, repository, link, signal })
    results.set(link.height, result)
    if (result !== 'other') continue
    const reason = 'its ballots result in another commit'
    return { results, failure: { height: link.height, clause: 'X1', reason } }
  }
  return { results }
}

async function recomputed(
  counting: Pick<Counting, 'count'>,
  { held, repository, link, signal }: Omit<Recomputing, 'last'> & { readonly link: Link },
): Promise<Recomputed> {
  const oid = held.filed.get(link.hash)
  if (oid === undefined) return 'not tried'
  for await (const { bytes } of readContents(repository, [oid], signal)) {
    const read = readCertificate(bytes)
    // A method of another version: what was confirmed holds, how it was computed is not known here.
    if (typeof read === 'string') return 'not tried'
    const ballots = Object.values(read.closing.value.ballots).map(({ commit }) => commit)
    for (const commit of ballots) if (!(await repository.isWhole(commit))) return 'ballots not here'
    try {
      const { commit } = await counting.count(read.round, read.opening.value, read.closing.value, signal)
      return commit === link.commit ? 'same' : 'other'
    } catch (error) {
      if (GONE.some((code) => isNodeError(error, code))) return 'ballots not here'
      throw error
    }
  }
  return 'not tried'
}
