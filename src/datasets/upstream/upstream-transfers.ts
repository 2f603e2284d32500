import { isNodeError, NodeError } from '../../base/errors.ts'
import type { Members } from '../../federation/members.ts'
import { branchOf, ownerOfBranch } from '../branches.ts'
import type { PushWish } from '../git/remote.ts'
import type { GroundTruths } from '../ground-truths.ts'
import type { KnownDatasets } from '../known-datasets.ts'
import type { Adoption } from '../own-branch-requests.ts'
import type { Shelf } from '../shelf.ts'
import type { NamedUpstreams } from './named-upstreams.ts'
import type { Upstream } from './upstream-address.ts'
import type { UpstreamCalls } from './upstream-calls.ts'
import type { PullResult, PushView } from './upstream-view.ts'

export interface UpstreamTransfersParts {
  /** Peer id of this node. */
  readonly self: string
  readonly members: Pick<Members, 'self' | 'list'>
  readonly named: NamedUpstreams
  readonly known: Pick<KnownDatasets, 'need'>
  readonly shelf: Shelf
  readonly truths: Pick<GroundTruths, 'get' | 'settle'>
  readonly adopt: (adoption: Adoption) => Promise<void>
  readonly calls: UpstreamCalls
}

export interface Transfer {
  readonly dataset: string
  /** The owner has agreed to it. */
  readonly upstream: Upstream
  readonly signal: AbortSignal
}

const UPSTREAM_STEP = 'upstream'

/** What goes from an upstream onto which branch here, and from here onto which branch there. */
export class UpstreamTransfers {
  readonly #parts: UpstreamTransfersParts

  constructor(parts: UpstreamTransfersParts) {
    this.#parts = parts
  }

  /** The branch of this node that pulls go to. */
  get branch(): string {
    return branchOf(UPSTREAM_STEP, this.#parts.members.self().name)
  }

  /** Where that branch is, if it is. */
  async held(dataset: string): Promise<string | undefined> {
    const { shelf } = this.#parts
    await shelf.openIfHere(dataset)
    return shelf.branches(dataset).get(this.branch)
  }

  /**
   * Onto the one branch, only forward (upstreams.md X11).
   *
   * @throws NodeError NOT_FAST_FORWARD when the upstream was rewritten, and what `UpstreamCalls.fetch` throws.
   */
  async pull({ dataset, upstream, signal }: Transfer): Promise<PullResult> {
    const { shelf, calls } = this.#parts
    // A pull that cannot be lays out no repository.
    calls.check(upstream)
    const repository = await shelf.open(dataset)
    return calls.fetch(repository, { dataset, upstream, signal }, async (commit) => {
      const from = shelf.branches(dataset).get(this.branch)
      await this.#adopt(dataset, upstream, { commit, from })
      const initial = await this.#begin(dataset, commit)
      return { url: upstream.url, branch: this.branch, commit, changed: from !== commit, initial }
    })
  }

  /** @throws NodeError NOT_FOUND, COMMIT_NOT_FOUND, DATASET_WITHHELD, and what `UpstreamCalls.push` throws. */
  async push({ dataset, upstream, signal }: Transfer, ownBranches: boolean): Promise<PushView> {
    const { known, shelf, calls } = this.#parts
    // What this node has promised may be stricter than what the record says by now (upstreams.md X20).
    const { policy } = known.need(dataset)
    if (policy !== 'shared') {
      const message = `The dataset ${dataset} is ${policy}: its data do not leave, to an upstream neither`
      throw new NodeError('DATASET_WITHHELD', message, { dataset, policy })
    }
    const truth = await this.#truth(dataset)
    const repository = await shelf.open(dataset)
    const own = ownBranches ? this.#ownBranches(dataset, upstream) : []
    const wishes = [{ commit: truth, branch: upstream.branch }, ...own]
    const pushed = await calls.push(repository, wishes, { dataset, upstream, signal })
    const rank = ({ branch }: PushWish) => wishes.findIndex((wish) => wish.branch === branch)
    return { url: upstream.url, branches: [...pushed].sort((a, b) => rank(a) - rank(b)) }
  }

  async #adopt(
    dataset: string,
    upstream: Upstream,
    { commit, from }: { commit: string; from: string | undefined },
  ): Promise<void> {
    const { branch } = this
    try {
      await this.#parts.adopt({ dataset, branch, commit, from })
    } catch (cause) {
      if (!isNodeError(cause, 'NOT_FAST_FORWARD')) throw cause
      const wayOut = `maoctl dataset reset ${dataset} --step ${UPSTREAM_STEP} --to ${commit} --reason TEXT`
      const message = `The history of ${upstream.url} was rewritten: its branch ${upstream.branch} is at ${commit}, which does not follow ${from} on ${branch}. Nothing has moved; to take the new history: "${wayOut}", then pull again`
      const data = { url: upstream.url, branch, commit, held: from }
      throw new NodeError('NOT_FAST_FORWARD', message, data, { cause })
    }
  }

  /** A dataset of this node that holds nothing agreed begins with what came first (upstreams.md X12). */
  async #begin(dataset: string, commit: string): Promise<boolean> {
    const { named, truths, self } = this.#parts
    if (named.author(dataset) !== self || (await truths.get(dataset)) !== undefined) return false
    await named.write(dataset, { ...named.record(dataset), initial: commit })
    await truths.settle(dataset)
    return true
  }

  async #truth(dataset: string): Promise<string> {
    const { truths, shelf } = this.#parts
    const truth = await truths.get(dataset)
    if (truth === undefined) {
      const message = `Nothing was agreed on in ${dataset} yet, so there is nothing to push; pull first, or let a round decide`
      throw new NodeError('NOT_FOUND', message, { dataset })
    }
    if (await (await shelf.openIfHere(dataset))?.hasCommit(truth)) return truth
    const message = `The ground truth ${truth} of ${dataset} is not on this node yet; "maoctl dataset fetch ${dataset}" brings it`
    throw new NodeError('COMMIT_NOT_FOUND', message, { dataset, commit: truth })
  }

  /** Those that this node writes, but for what came from the upstream itself. */
  #ownBranches(dataset: string, upstream: Upstream): PushWish[] {
    const { members, shelf } = this.#parts
    const { name } = members.self()
    const names = members.list().map((member) => member.name)
    return [...shelf.branches(dataset)]
      .filter(([branch]) => ownerOfBranch(branch, names) === name)
      .filter(([branch]) => branch !== this.branch && branch !== upstream.branch)
      .map(([branch, commit]) => ({ commit, branch }))
  }
}
