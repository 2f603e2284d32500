/**
 * Ballots that people cast (protocols/hand-ballots.md): what there is to choose from, and casting once. What is chosen is
 * put together by the pure files beside this one; here is the reading, the writing and the ballot's record.
 */
import type { Clock } from '../../base/clock.ts'
import { NodeError } from '../../base/errors.ts'
import { candidateFetchTimeoutMs, roundRecordsLifeMs } from '../../base/limits.ts'
import { handBallotsWaitingMax } from '../../base/limits-consensus.ts'
import { SerialQueue } from '../../base/serial-queue.ts'
import { branchOf, handStep } from '../../datasets/branches.ts'
import type { Datasets } from '../../datasets/datasets.ts'
import type { Repository, TreeFile } from '../../datasets/git/repository.ts'
import { headSchema, isOf } from '../../datasets/heads.ts'
import type { Members } from '../../federation/members.ts'
import { decodeJson, encodeJson } from '../../registry/collection.ts'
import type { Registry } from '../../registry/registry.ts'
import type { Consensus } from '../consensus.ts'
import { Counting } from '../counting.ts'
import { looksInto, readBounded, storeFile } from '../merging.ts'
import { isEntryFile } from '../methods/entry-methods.ts'
import type { EntryMethod } from '../methods/file-merge.ts'
import type { Ballot } from '../records.ts'
import { ballotKey } from '../round-id.ts'
import type { NamedPeer, RoundView } from '../views.ts'
import { ballotCommit } from './ballot-commit.ts'
import { type Choices, type Chosen, isWhole } from './choices.ts'
import { composeEntries } from './compose-entries.ts'
import { type Composition, composeFiles, type Rewrite } from './compose-files.ts'

export interface HandBallotsParts {
  /** This node's peer id. */
  readonly self: string
  readonly consensus: Pick<Consensus, 'round'>
  readonly registry: Pick<Registry, 'get' | 'put'>
  readonly members: Pick<Members, 'list' | 'self'>
  readonly datasets: Pick<Datasets, 'find' | 'repository' | 'ensureCommit' | 'adoptCommit'>
  readonly clock: Clock
}

/** A member's present result of the step. */
export interface Candidate extends NamedPeer {
  readonly commit: string
  /** Absent until the commit is here. */
  readonly tree?: string
}

export type HandChoice =
  | { readonly kind: 'choices'; readonly choices: Choices }
  /** A commit on this node's own branch of such ballots: a person's own files. */
  | { readonly kind: 'commit'; readonly commit: string }

export interface CastOptions {
  /** Nothing is written. */
  readonly dryRun?: boolean
  readonly signal: AbortSignal
}

export interface HandBallotView {
  readonly round: string
  readonly dryRun: boolean
  /** Absent where nothing was written and something would have to be put together. */
  readonly ballot?: Ballot
  readonly files: number
  readonly chosen: readonly Chosen[]
}

export class HandBallots {
  readonly #parts: HandBallotsParts
  readonly #counting: Pick<Counting, 'examine'>
  readonly #queue = new SerialQueue(handBallotsWaitingMax)

  constructor(parts: HandBallotsParts) {
    this.#parts = parts
    this.#counting = new Counting({ datasets: parts.datasets })
  }

  /** Members' present results of the round's step, by name. @throws NodeError ROUND_NOT_FOUND */
  async candidates(round: string): Promise<Candidate[]> {
    const { consensus, datasets } = this.#parts
    const { dataset, step } = consensus.round(round)
    const repository = await datasets.repository(dataset)
    return Promise.all(
      this.#heads(dataset, step).map(async (head) => {
        if (!(await repository.hasCommit(head.commit))) return head
        return { ...head, tree: (await repository.readCommit(head.commit)).tree }
      }),
    )
  }

  /**
   * Casts this node's ballot as a person chose it; durable when it returns.
   *
   * @throws NodeError ROUND_NOT_FOUND, CONFLICT (not by hand, too late, refused), FORBIDDEN (no vote here), ALREADY_EXISTS
   * (cast before), INVALID_INPUT (the choices), COMMIT_NOT_FOUND, PEER_UNREACHABLE, TIMED_OUT.
   */
  cast(round: string, choice: HandChoice, options: CastOptions): Promise<HandBallotView> {
    return this.#queue.run(() => this.#cast(round, choice, options))
  }

  async #cast(
    id: string,
    choice: HandChoice,
    { dryRun = false, signal }: CastOptions,
  ): Promise<HandBallotView> {
    const { consensus, registry, self, clock } = this.#parts
    const round = consensus.round(id)
    this.#checkOpen(round)
    const bounded = AbortSignal.any([signal, AbortSignal.timeout(candidateFetchTimeoutMs)])
    const { ballot, files, chosen } = await this.#ballotOf(round, choice, dryRun, bounded)
    if (ballot !== undefined) {
      const defect = await this.#counting.examine(round.dataset, ballot, round.method, bounded)
      if (defect !== undefined) {
        throw new NodeError(
          'INVALID_INPUT',
          `This ballot could not be counted: ${defect}; choose another version of it`,
        )
      }
    }
    const shown = { round: id, dryRun, files, chosen, ...(ballot && { ballot }) }
    if (dryRun || ballot === undefined) return shown
    // Bringing commits takes time, in which the round may have been closed.
    this.#checkOpen(consensus.round(id))
    const expiresMs = clock.now() + roundRecordsLifeMs
    await registry.put(ballotKey(id, self), encodeJson(ballot), { expiresMs })
    return shown
  }

  #checkOpen(round: RoundView): void {
    const { self, registry, clock } = this.#parts
    const { id, dataset, step, state, trigger, electorate, cutoffMs, explanation } = round
    const data = { round: id }
    if (trigger !== 'hand') {
      const message = `Ballots of ${id} are the members' own results, cast by themselves; "maoctl dataset rule ${dataset} --step ${step} --by-hand" lets people choose, from the next round on`
      throw new NodeError('CONFLICT', message, data)
    }
    if (registry.get(ballotKey(id, self)) !== undefined) {
      const message = `This node has cast its ballot in ${id}, and who casts two is not counted at all; "maoctl vote show ${id}" shows it`
      throw new NodeError('ALREADY_EXISTS', message, data)
    }
    const ask = `"maoctl round open ${dataset} --step ${step}" asks anew`
    if (round.reason === 'refused' || state === 'decided' || state === 'undecided') {
      const why = explanation === undefined ? '' : `: ${explanation}`
      throw new NodeError('CONFLICT', `${id} takes no ballots any more, it is ${state}${why}; ${ask}`, data)
    }
    if (!electorate.some(({ peer }) => peer === self)) {
      const message = `This node has no vote in ${id}: it was not in the electorate when the round was opened; "maoctl dataset access show ${dataset}" shows who votes`
      throw new NodeError('FORBIDDEN', message, data)
    }
    if (state !== 'open' || clock.now() >= cutoffMs) {
      const message = `The ballots of ${id} were taken until ${new Date(cutoffMs).toISOString()}, or until it was closed; ${ask}`
      throw new NodeError('CONFLICT', message, data)
    }
  }

  async #ballotOf(
    round: RoundView,
    choice: HandChoice,
    dryRun: boolean,
    signal: AbortSignal,
  ): Promise<{ ballot: Ballot | undefined; files: number; chosen: readonly Chosen[] }> {
    const { dataset } = round
    const repository = await this.#parts.datasets.repository(dataset)
    if (choice.kind === 'commit') {
      await this.#checkOwn(repository, round, choice.commit)
      return { ...(await this.#whole(repository, choice.commit)), chosen: [] }
    }
    const heads = this.#heads(dataset, round.step)
    const { choices, base } = this.#named(round, choice.choices, heads)
    const filesOf = new Map<string, readonly TreeFile[]>()
    for (const name of membersOf(choices, base)) {
      const head = heads.find((each) => each.name === name)
      // Who has none is told with the names of those who have one.
      if (head === undefined) continue
      await this.#bring(dataset, repository, head, signal)
      filesOf.set(name, await repository.listFiles(head.commit))
    }
    for (const { name } of heads) if (!filesOf.has(name)) filesOf.set(name, [])
    const composition = composeFiles(filesOf, base, choices)
    const head = heads.find(({ name }) => name === base)
    if (isWhole(choices) && head !== undefined) {
      return { ...(await this.#whole(repository, head.commit)), chosen: composition.chosen }
    }
    const { files, chosen } = await this.#rewritten(repository, round, composition, dryRun)
    if (dryRun) return { ballot: undefined, files: files.length, chosen }
    return { ballot: await this.#commit(repository, round, files, chosen), files: files.length, chosen }
  }

  /** Members are called by their names or peer ids. */
  #named(
    { electorate }: RoundView,
    choices: Choices,
    heads: readonly Candidate[],
  ): { choices: Choices; base: string } {
    const nameOf = (called: string) =>
      [...heads, ...electorate].find(({ peer }) => peer === called)?.name ?? called
    const own = this.#parts.members.self().name
    const base = nameOf(choices.candidate ?? own)
    if (choices.candidate === undefined && !heads.some(({ name }) => name === own)) {
      const names = heads.map(({ name }) => name).join(', ') || 'nobody yet'
      throw new NodeError(
        'INVALID_INPUT',
        `This node has no result of its own here; choose one: --candidate MEMBER, of ${names}`,
      )
    }
    const renamed = <C extends { member: string }>(list: readonly C[]) =>
      list.map((each) => ({ ...each, member: nameOf(each.member) }))
    return { choices: { ...choices, files: renamed(choices.files), entries: renamed(choices.entries) }, base }
  }

  async #rewritten(
    repository: Repository,
    { method, dataset }: RoundView,
    composition: Composition,
    dryRun: boolean,
  ): Promise<{ files: readonly TreeFile[]; chosen: readonly Chosen[] }> {
    const files = new Map(composition.files.map((file) => [file.path, file]))
    const chosen = [...composition.chosen]
    for (const [path, rewrite] of composition.rewrites) {
      if (!looksInto(method) || !isEntryFile(method, path)) {
        const message = `The rule names no entries of ${path}; choose it as a whole (--file ${path}=MEMBER), or let it name them: "maoctl dataset rule ${dataset} --method rows --key COLUMN", from the next round on`
        throw new NodeError('INVALID_INPUT', message, { path })
      }
      const composed = await composeEntries(
        method as EntryMethod,
        await versionsOf(repository, path, rewrite),
      )
      chosen.push(...composed.chosen)
      if (dryRun) continue
      files.set(path, { path, mode: rewrite.base.mode, oid: await storeFile(repository, composed.bytes) })
    }
    return { files: [...files.values()], chosen }
  }

  /** On a branch of its own, which others fetch as they fetch any other of this node. */
  async #commit(
    repository: Repository,
    { id, dataset, step }: RoundView,
    files: readonly TreeFile[],
    chosen: readonly Chosen[],
  ): Promise<Ballot> {
    const { members, self, datasets, clock } = this.#parts
    const { name } = members.self()
    const branch = branchOf(handStep(step), name)
    const tree = await repository.writeTree([...files])
    const from = await repository.resolve(branch)
    const author = { name, email: `${self}@mao.invalid` }
    const parts = { round: id, step, tree, parent: from, author, chosen, timeMs: clock.now() }
    const commit = await repository.writeCommit(ballotCommit(parts))
    await datasets.adoptCommit({ dataset, branch, commit, from })
    return { commit, tree }
  }

  async #whole(repository: Repository, commit: string): Promise<{ ballot: Ballot; files: number }> {
    const { tree } = await repository.readCommit(commit)
    return { ballot: { commit, tree }, files: (await repository.listFiles(commit)).length }
  }

  /** @throws NodeError COMMIT_NOT_FOUND unless the commit is on this node's branch of such ballots. */
  async #checkOwn(repository: Repository, { step }: RoundView, commit: string): Promise<void> {
    const branch = branchOf(handStep(step), this.#parts.members.self().name)
    const tip = await repository.resolve(branch)
    if (
      tip !== undefined &&
      (await repository.hasCommit(commit)) &&
      (await repository.isAncestor(commit, tip))
    )
      return
    const message = `${commit} is no commit of ${branch}; "maoctl vote cast ROUND --from DIRECTORY" puts your files there`
    throw new NodeError('COMMIT_NOT_FOUND', message, { branch, commit })
  }

  async #bring(
    dataset: string,
    repository: Repository,
    { commit, name }: Candidate,
    signal: AbortSignal,
  ): Promise<void> {
    if (await repository.hasCommit(commit)) return
    try {
      await this.#parts.datasets.ensureCommit(dataset, commit, { signal })
    } catch (error) {
      if (!signal.aborted) throw error
      throw new NodeError(
        'TIMED_OUT',
        `The result of ${name} could not be brought here in time; choose another, or try again`,
        {},
        { cause: error },
      )
    }
  }

  /** By name. Heads of another dataset that had this name are none. */
  #heads(dataset: string, step: string): Candidate[] {
    const { registry, members, datasets } = this.#parts
    const record = datasets.find(dataset)?.record
    const found = members.list().flatMap(({ peer, name }) => {
      const entry = registry.get(`/heads/${dataset}/${peer}`)
      const head = headSchema.safeParse(entry && decodeJson(entry.value)).data
      const commit = head?.branches[branchOf(step, name)]
      if (head === undefined || commit === undefined || record === undefined) return []
      return isOf(head, dataset, record) ? [{ peer, name, commit }] : []
    })
    return found.sort((a, b) => (a.name < b.name ? -1 : 1))
  }
}

/** Names of the members whose files are looked at. */
function membersOf({ files, entries }: Choices, base: string): Set<string> {
  return new Set([base, ...files.map(({ member }) => member), ...entries.map(({ member }) => member)])
}

async function versionsOf(repository: Repository, path: string, { base, baseMember, from }: Rewrite) {
  const read = async (member: string, file: TreeFile) => {
    if (file.mode === '120000') {
      throw new NodeError(
        'INVALID_INPUT',
        `${path} of ${member} is a link, which has no entries; choose it as a whole`,
      )
    }
    return { member, bytes: await readBounded(repository, path, file.oid) }
  }
  const others = []
  for (const [member, { file, keys }] of from) others.push({ ...(await read(member, file)), keys })
  return { path, base: await read(baseMember, base), from: others }
}
