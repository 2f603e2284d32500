import type { Clock } from '../base/clock.ts'
import { isNodeError, NodeError } from '../base/errors.ts'
import { ownHeadTimeoutMs, storeQueueMax } from '../base/limits.ts'
import type { Logger } from '../base/logger.ts'
import { parseName } from '../base/names.ts'
import { SerialQueue } from '../base/serial-queue.ts'
import type { Members } from '../federation/members.ts'
import type { Collection, Item } from '../registry/collection.ts'
import { branchOf, ownerOfBranch } from './branches.ts'
import type { DatasetEvent } from './dataset-events.ts'
import { CERTIFICATES_BRANCH, TRUTH_BRANCH } from './git/git-directory.ts'
import type { Repository } from './git/repository.ts'
import type { HeadWatch } from './head-watch.ts'
import { type HeadChange, type HeadRecord, isOf, nextHead, type Reset } from './heads.ts'
import type { Known, KnownDatasets } from './known-datasets.ts'
import { LateAnnouncements } from './late-announcements.ts'
import type {
  Adoption,
  CommittedDirectory,
  DirectoryCommit,
  OwnMove,
  OwnReset,
} from './own-branch-requests.ts'
import { checkFits, checkUnmoved, diverged, lost } from './own-branch-rules.ts'
import type { Replicator } from './replicator.ts'
import type { Shelf } from './shelf.ts'

export interface OwnBranchesParts {
  /** Peer id of this node. */
  readonly self: string
  /** Who stands in the commits; what is empty is the node's own. */
  readonly author?: { readonly name: string; readonly email: string }
  readonly members: Pick<Members, 'self' | 'list'>
  readonly heads: Collection<HeadRecord>
  readonly known: KnownDatasets
  readonly watch: HeadWatch
  readonly shelf: Shelf
  readonly replicator: Pick<Replicator, 'fetch'>
  /** Hears of each commit that has come onto a branch of ours, before it is announced. */
  readonly onCommit: (dataset: string, commit: string, from: string | undefined) => Promise<void>
  readonly emit: (event: DatasetEvent) => void
  readonly clock: Clock
  readonly log: Logger
}

/** The branches that this node alone writes: commits go there, and their heads are announced. */
export class OwnBranches {
  readonly #parts: OwnBranchesParts
  readonly #queues = new Map<string, SerialQueue>()
  readonly #late: LateAnnouncements

  constructor(parts: OwnBranchesParts) {
    this.#parts = parts
    const announce = (dataset: string) => this.#inTurn(dataset, () => this.#reconcile(dataset))
    this.#late = new LateAnnouncements({ announce, log: parts.log })
  }

  /**
   * Commits what a directory holds onto `<step>-<node>`; when it returns, the announcement is durable.
   *
   * @throws NodeError PATH_UNSAFE, INVALID_NAME, CONFLICT (the branch was announced from elsewhere and is not here).
   */
  commit(request: DirectoryCommit): Promise<CommittedDirectory> {
    return this.#inTurn(request.dataset, () => this.#commit(request))
  }

  /**
   * Puts a commit that came from elsewhere (a push, an import, an upstream) on a branch of this node; when it returns,
   * the announcement is durable.
   *
   * @throws NodeError FORBIDDEN when the branch is not ours, CONFLICT when it is not at `from`, NOT_FAST_FORWARD,
   * COMMIT_NOT_FOUND.
   */
  adopt(request: Adoption): Promise<void> {
    return this.#inTurn(request.dataset, () => this.#adopt(request))
  }

  /**
   * The same for several branches of a dataset: none moves unless all may.
   *
   * @throws NodeError as `adopt` does, with the branch that may not.
   */
  adoptAll(dataset: string, moves: readonly OwnMove[]): Promise<void> {
    return this.#inTurn(dataset, async () => {
      for (const move of moves) await this.#judgeAdoption({ dataset, ...move })
      this.#checkFits(
        dataset,
        moves.map(({ branch }) => branch),
      )
      for (const move of moves) await this.#adopt({ dataset, ...move })
    })
  }

  /**
   * Rewrites a branch of this node and says so, which is durable when it returns: the others follow, and show it.
   *
   * @throws NodeError FORBIDDEN when the branch is not ours, NOT_FOUND, COMMIT_NOT_FOUND, INVALID_INPUT (no reason).
   */
  reset(request: OwnReset): Promise<Reset> {
    return this.#inTurn(request.dataset, () => this.#reset(request))
  }

  /** Tells the others what the truth of a dataset is on which nobody votes. */
  announceTruth(dataset: string): Promise<void> {
    return this.#inTurn(dataset, () => this.#announce(dataset, {}))
  }

  /** Tells those who hear of this node's branches where its certificates are. */
  announceCertificates(dataset: string): Promise<void> {
    return this.#inTurn(dataset, async () => {
      if (this.#current(dataset) !== undefined) await this.#announce(dataset, {})
    })
  }

  /** Takes back what this node has announced of another dataset of this name. */
  retract(dataset: string): Promise<void> {
    return this.#inTurn(dataset, async () => {
      const { heads, self, known } = this.#parts
      const [item, now] = [heads.get(`${dataset}/${self}`), known.get(dataset)]
      if (item !== undefined && now !== undefined && !isOf(item.value, dataset, now.record)) {
        await heads.remove(`${dataset}/${self}`)
      }
    })
  }

  /** [MUST] Announces what a crash has kept from being announced (dataset-heads.md H11). */
  reconcile(dataset: string): Promise<void> {
    return this.#inTurn(dataset, () => this.#orLater(dataset, () => this.#reconcile(dataset)))
  }

  /** Ends once nothing is at work any more. */
  async stop(): Promise<void> {
    this.#late.stop()
    await Promise.all([...this.#queues.values()].map((queue) => queue.idle()))
  }

  async #commit(request: DirectoryCommit): Promise<CommittedDirectory> {
    const { dataset, step, directory, message, timeMs } = request
    const { members, shelf, clock, self, author } = this.#parts
    const { name } = members.self()
    const branch = branchOf(parseName('step', step), name)
    if (!this.#isOurs(branch)) {
      throw new NodeError('INVALID_NAME', `The step ${step} would write ${branch}, which is not ours`, {
        branch,
      })
    }
    const repository = await shelf.open(dataset)
    this.#checkFits(dataset, [branch])
    const tree = await repository.writeTreeFromDirectory(directory)
    const parent = await this.#tip(dataset, repository, branch)
    checkUnmoved({ dataset, branch, from: request.from, tip: parent })
    if (parent !== undefined && (await repository.readCommit(parent)).tree === tree) {
      // Also when nothing is new: a crash may have come between the last commit and its announcement.
      await this.#announce(dataset, { [branch]: parent })
      return { branch, commit: parent, tree, parent, changed: false }
    }
    const commit = await repository.writeCommit({
      tree,
      parents: parent === undefined ? [] : [parent],
      message,
      author: { name: author?.name || name, email: author?.email || `${self}@mao.invalid` },
      timeMs: timeMs ?? clock.now(),
    })
    await shelf.move(dataset, branch, commit, parent)
    await this.#moved(dataset, branch, commit, parent)
    return { branch, commit, tree, changed: true, ...(parent === undefined ? {} : { parent }) }
  }

  async #adopt(adoption: Adoption): Promise<void> {
    const { dataset, branch, commit } = adoption
    const held = await this.#judgeAdoption(adoption)
    if (held === commit) return this.#announce(dataset, { [branch]: commit })
    await this.#parts.shelf.move(dataset, branch, commit, held)
    await this.#moved(dataset, branch, commit, held)
  }

  #moved(dataset: string, branch: string, commit: string, from: string | undefined): Promise<void> {
    return this.#orLater(dataset, async () => {
      await this.#parts.onCommit(dataset, commit, from)
      await this.#announce(dataset, { [branch]: commit })
    })
  }

  /** What has moved is announced in the end, also when whoever moved it is told that it failed. */
  async #orLater(dataset: string, announce: () => Promise<void>): Promise<void> {
    try {
      await announce()
    } catch (error) {
      this.#late.add(dataset)
      throw error
    }
  }

  /** @throws NodeError INVALID_INPUT when a head has no room for branches that are new. */
  #checkFits(dataset: string, moved: readonly string[]): void {
    const { shelf, known } = this.#parts
    if (known.get(dataset)?.policy === 'local-only') return
    const announced = Object.keys(this.#current(dataset)?.value.branches ?? {})
    const held = [...shelf.branches(dataset).keys()].filter((branch) => this.#isOurs(branch))
    checkFits(dataset, [...announced, ...held], moved)
  }

  /** Where the branch is, if it may move to the commit. */
  async #judgeAdoption({ dataset, branch, commit, from }: Adoption): Promise<string | undefined> {
    const { shelf } = this.#parts
    this.#checkOurs(dataset, branch)
    const repository = await shelf.open(dataset)
    this.#checkFits(dataset, [branch])
    const held = await this.#tip(dataset, repository, branch)
    if (held !== from) {
      const message = `The branch ${branch} is at ${held ?? 'nothing'}, not at ${from ?? 'nothing'}; fetch, and try again`
      throw new NodeError('CONFLICT', message, { dataset, branch, held, from })
    }
    if (held !== undefined && !(await repository.isAncestor(held, commit))) {
      const message = `${commit} does not follow ${held} on ${branch}; a branch only moves forward, unless it is reset`
      throw new NodeError('NOT_FAST_FORWARD', message, { dataset, branch, held, commit })
    }
    return held
  }

  async #reset({ dataset, branch, to, reason }: OwnReset): Promise<Reset> {
    const { shelf, heads, self, known, watch, emit, members } = this.#parts
    this.#checkOurs(dataset, branch)
    if (reason.trim() === '') {
      throw new NodeError('INVALID_INPUT', 'A reset needs a reason, which the other members are shown')
    }
    const repository = await shelf.open(dataset)
    const held = shelf.branches(dataset).get(branch)
    const current = this.#current(dataset)?.value
    const announced = current?.branches[branch]
    // What was announced and is gone needs no way back: this is the way on without it.
    const from = announced ?? held
    if (from === undefined) {
      throw new NodeError('NOT_FOUND', `There is no branch ${branch} to reset`, { dataset, branch })
    }
    if (!(await repository.hasCommit(to))) {
      throw new NodeError('COMMIT_NOT_FOUND', `The commit ${to} is not here; fetch it first`, { dataset, to })
    }
    const followed = watch.markOf(known.need(dataset).id, self)?.resets[branch] ?? 0
    const count = Math.max(current?.resets?.[branch]?.count ?? 0, followed) + 1
    const reset: Reset = { count, from, to, reason: reason.trim() }
    if (from === to && held === to) {
      await this.#announce(dataset, { [branch]: to })
      return reset
    }
    // Said before it is done: a crash in between is mended by what was said.
    await this.#announce(dataset, { [branch]: to }, { [branch]: reset })
    if (held !== to) await shelf.move(dataset, branch, to, held)
    const item = heads.get(`${dataset}/${self}`)
    if (item !== undefined) await watch.moved(known.need(dataset), item, branch)
    await this.#parts.onCommit(dataset, to, held)
    emit({ type: 'reset', dataset, member: members.self().name, branch, ...reset })
    return reset
  }

  #isOurs(branch: string): boolean {
    const { members } = this.#parts
    const names = members.list().map((member) => member.name)
    return ownerOfBranch(branch, names) === members.self().name
  }

  /** @throws NodeError FORBIDDEN */
  #checkOurs(dataset: string, branch: string): void {
    if (this.#isOurs(branch)) return
    const { name } = this.#parts.members.self()
    const message = `The branch ${branch} is not ours to move; this node writes branches that end in -${name}`
    throw new NodeError('FORBIDDEN', message, { dataset, branch })
  }

  /** What this node has announced of the dataset that has this name now. */
  #current(dataset: string): Item<HeadRecord> | undefined {
    const { heads, known, self } = this.#parts
    const [item, now] = [heads.get(`${dataset}/${self}`), known.get(dataset)]
    if (item === undefined || now === undefined || now.policy === 'local-only') return undefined
    return isOf(item.value, dataset, now.record) ? item : undefined
  }

  /** Where our branch is. A node that lost its disk has announced more than it holds, and gets it back from others. */
  async #tip(dataset: string, repository: Repository, branch: string): Promise<string | undefined> {
    const { shelf } = this.#parts
    const item = this.#current(dataset)
    const announced = item?.value.branches[branch]
    const held = shelf.branches(dataset).get(branch)
    if (announced === undefined || announced === held) return held
    if (!(await repository.isWhole(announced))) await this.#bringBack(dataset, branch, announced, held)
    const reset = item?.value.resets?.[branch]
    const cut = (from: string) => (reset?.from === from && reset.to === announced ? 'reset' : undefined)
    if ((await shelf.follow(dataset, branch, announced, async (from) => cut(from))) === 'refuse-divergence') {
      throw diverged({ dataset, branch, member: this.#parts.members.self().name, announced, held })
    }
    return shelf.branches(dataset).get(branch)
  }

  /** Asks the others for what this node has announced and lost. @throws NodeError that says how to go on without it. */
  async #bringBack(dataset: string, branch: string, announced: string, held?: string): Promise<void> {
    const signal = AbortSignal.timeout(ownHeadTimeoutMs)
    try {
      await this.#parts.replicator.fetch(dataset, [announced], { signal, urgent: true })
    } catch (error) {
      const cause = signal.aborted ? new NodeError('TIMED_OUT', 'no member gave it in time') : error
      if (!isNodeError(cause) || cause.code === 'CANCELLED') throw cause
      const member = this.#parts.members.self().name
      throw lost({ dataset, branch, member, announced, held }, cause)
    }
  }

  async #reconcile(dataset: string): Promise<void> {
    const { shelf, known } = this.#parts
    const now = known.get(dataset)
    if (now === undefined || now.policy === 'local-only') return
    const repository = await shelf.openIfHere(dataset)
    if (repository === undefined) return
    const late: Record<string, string> = {}
    for (const [branch, held] of shelf.branches(dataset)) {
      if (!this.#isOurs(branch)) continue
      const announced = this.#current(dataset)?.value.branches[branch]
      if (announced === held) continue
      const isHere = announced !== undefined && (await repository.hasCommit(announced))
      const ahead = isHere && (await repository.isAncestor(announced, held))
      const reset = this.#current(dataset)?.value.resets?.[branch]
      // A reset that was announced and not done is done by whoever moves the branch next.
      const cut = reset !== undefined && reset.to === announced && reset.from === held
      if (announced === undefined || (ahead && !cut)) late[branch] = held
    }
    if (Object.keys(late).length > 0) await this.#announce(dataset, late)
  }

  async #announce(
    dataset: string,
    moved: Record<string, string>,
    resets?: HeadRecord['resets'],
  ): Promise<void> {
    const { heads, self, known, watch, shelf } = this.#parts
    const now = known.get(dataset)
    // [MUST] What never leaves this node is announced to nobody (H14); what is being founded, once it is there.
    if (now === undefined || now.policy === 'local-only') return
    const current = this.#current(dataset)
    const truth = this.#truth(now)
    const news = Object.entries(moved).some(([branch, commit]) => current?.value.branches[branch] !== commit)
    const certificates = shelf.branches(dataset).get(CERTIFICATES_BRANCH)
    const isSame = truth === current?.value.truth && certificates === current?.value.certificates
    if (!news && resets === undefined && isSame) return
    const size =
      now.policy === 'compute-only'
        ? await this.#size(dataset, { ...current?.value.branches, ...moved })
        : undefined
    const change: HeadChange = { branches: moved, resets, truth, certificates, size }
    const before = current === undefined ? undefined : { head: current.value, value: current.entry.value }
    const sequence = watch.sequenceOf(now.id, self)
    await heads.put(`${dataset}/${self}`, nextHead(before, now.id, sequence, change))
  }

  /** Where nobody votes, the owner's word is the truth. */
  #truth({ name, policy, owner }: Known): string | undefined {
    const { self, shelf } = this.#parts
    return policy === 'compute-only' && owner === self ? shelf.branches(name).get(TRUTH_BRANCH) : undefined
  }

  /** What the others are told in place of the objects. */
  async #size(dataset: string, branches: Readonly<Record<string, string>>): Promise<HeadRecord['size']> {
    const repository = await this.#parts.shelf.open(dataset)
    const files = new Set<string>()
    for (const commit of Object.values(branches)) {
      if (!(await repository.hasCommit(commit))) continue
      for (const { oid, path } of await repository.listFiles(commit)) files.add(`${oid} ${path}`)
    }
    return { bytes: (await repository.size()).bytes, files: files.size }
  }

  #inTurn<T>(dataset: string, task: () => Promise<T>): Promise<T> {
    const queue = this.#queues.get(dataset) ?? new SerialQueue(storeQueueMax)
    this.#queues.set(dataset, queue)
    return queue.run(task)
  }
}
