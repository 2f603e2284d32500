/**
 * Consensus of one federation on one node (protocols/voting.md). All that is agreed on lies in the registry as signed
 * records; this class watches them, gives each dataset's rounds their turn, and answers what people ask. It keeps
 * nothing of its own, so a node that was away takes up where the records are.
 */
import type { Clock } from '../base/clock.ts'
import type { Database } from '../base/database.ts'
import { messageOf, NodeError } from '../base/errors.ts'
import type { Startable } from '../base/lifecycle.ts'
import { roundWindowMaxMs, roundWindowMinMs } from '../base/limits.ts'
import type { Logger } from '../base/logger.ts'
import { branchOf } from '../datasets/branches.ts'
import type { DatasetEvent } from '../datasets/dataset-events.ts'
import type { Datasets } from '../datasets/datasets.ts'
import { headSchema } from '../datasets/heads.ts'
import type { Past } from '../federation/admission.ts'
import type { Members } from '../federation/members.ts'
import { decodeJson } from '../registry/collection.ts'
import type { SealedRecord } from '../registry/record.ts'
import type { Registry } from '../registry/registry.ts'
import type { Change } from '../registry/watchers.ts'
import { Counting } from './counting.ts'
import { DatasetRounds } from './dataset-rounds.ts'
import { Duties } from './duties.ts'
import { Evidence } from './evidence.ts'
import { GroundTruth, type GroundTruthParts } from './ground-truth.ts'
import { openRecordsOf } from './open-record.ts'
import { Pledges } from './pledges.ts'
import { PreparedProofs } from './prepared-proofs.ts'
import type { Voter } from './quorum.ts'
import { openingSchema } from './records.ts'
import type { RoundReport } from './report.ts'
import { Reports } from './reports.ts'
import {
  ballotsPrefix,
  confirmationsPrefix,
  formatRoundId,
  openingKey,
  parseRoundId,
  preparedPrefix,
  type RoundId,
  roundOfKey,
  roundsPrefix,
  truthPrefix,
  votesPrefix,
} from './round-id.ts'
import { type OpenOptions, RoundRequests } from './round-requests.ts'
import { RoundTerms } from './round-terms.ts'
import { type RunSource, type ScheduledRun, scheduledOutputs } from './scheduled-outputs.ts'
import { Sightings } from './sightings.ts'
import type { ConsensusEvent, RoundView, TruthView, Verification } from './views.ts'
import { Witness } from './witness.ts'

export interface ConsensusParts {
  /** This node's peer id. */
  readonly self: string
  readonly registry: Pick<
    Registry,
    'federation' | 'get' | 'list' | 'claims' | 'put' | 'envelope' | 'watch' | 'onEvidence'
  >
  readonly members: Pick<Members, 'list' | 'get' | 'onChange'>
  /** Who votes on a dataset; without it, every member that is no observer. */
  readonly voters?: (dataset: string) => readonly Voter[]
  readonly past?: Past
  readonly datasets: GroundTruthParts['datasets'] & Pick<Datasets, 'onEvent'>
  readonly runs: RunSource
  readonly database: Database
  readonly clock: Clock
  readonly log: Logger
}

const headsPrefix = '/heads/'
const datasetsPrefix = '/dataset/'

export class Consensus implements Startable {
  /** What rounds have to be like, and the past results that this follows from. */
  readonly terms: RoundTerms
  readonly #parts: ConsensusParts
  readonly #sightings: Sightings
  readonly #counting: Counting
  readonly #evidence: Evidence
  readonly #witness: Witness
  readonly #pledges: Pledges
  readonly #prepared: PreparedProofs
  readonly #duties: Duties
  readonly #truth: GroundTruth
  readonly #reports: Reports
  readonly #datasets = new Map<string, DatasetRounds>()
  /** Id of the dataset that each of these is about. */
  readonly #ids = new Map<string, string>()
  readonly #listeners = new Set<(event: ConsensusEvent) => void>()
  readonly #requests: RoundRequests<DatasetRounds>
  #stopped = new AbortController()
  #unwatch: (() => void)[] = []

  constructor(parts: ConsensusParts) {
    this.#parts = parts
    const { self, registry, datasets, clock, log } = parts
    const members = (dataset: string) => this.#voters(dataset)
    const nameOf = (peer: string) => this.#nameOf(peer)
    const open = openRecordsOf(registry.federation)
    this.#evidence = new Evidence(parts.database)
    const evidence = this.#evidence
    this.#sightings = new Sightings({ registry, clock, evidence })
    const emit = (event: ConsensusEvent) => this.#emit(event)
    this.#witness = new Witness({ sightings: this.#sightings, evidence, emit, log })
    const counting = new Counting({ datasets })
    this.#counting = counting
    this.#reports = new Reports({ counting, follows: (dataset) => datasets.follows(dataset) })
    this.#truth = new GroundTruth({
      ...{ registry, datasets, counting, members, nameOf, open, log },
      ...(parts.past && { past: parts.past }),
    })
    this.terms = new RoundTerms({
      ...{ self, datasets, members, clock, log },
      truth: (dataset) => this.#truth.truth(dataset),
      isSlot: (round) => parts.runs.isSlot?.(round) ?? true,
      onRead: (dataset) => this.#datasets.get(dataset)?.revisit(),
    })
    this.#requests = new RoundRequests({
      ...{ self, registry, datasets, clock, members, nameOf },
      ...{ terms: this.terms, truth: this.#truth, roundsOf: (name) => this.#datasets.get(name) },
    })
    const onRefused = (id: RoundId, reason: string) =>
      this.#emit({ type: 'refused', dataset: id.dataset, round: formatRoundId(id), reason })
    this.#pledges = new Pledges(parts.database)
    const pledges = this.#pledges
    this.#prepared = new PreparedProofs({
      ...{ self, registry, pledges, open, clock, sightings: this.#sightings },
    })
    this.#duties = new Duties({ self, registry, counting, pledges, clock, log, onRefused })
  }

  async start(): Promise<void> {
    if (this.#unwatch.length > 0) return
    this.#stopped = new AbortController()
    this.#datasets.clear()
    const { registry, members, datasets, runs } = this.#parts
    await Promise.all([this.#pledges.load(), this.#evidence.load()])
    for (const { key } of registry.list(datasetsPrefix)) this.#take(key.slice(datasetsPrefix.length), true)
    const prefixes = [roundsPrefix, ballotsPrefix, votesPrefix, confirmationsPrefix, preparedPrefix]
    this.#unwatch = [
      ...prefixes.map((prefix) => registry.watch(prefix, (change) => this.#heard(change))),
      registry.watch(datasetsPrefix, ({ key }) => this.#datasetChanged(key.slice(datasetsPrefix.length))),
      registry.watch(truthPrefix, ({ key }) => this.#datasets.get(key.slice(truthPrefix.length))?.revisit()),
      // Who votes hangs on grants.
      registry.watch('/grants/', ({ key }) => this.#datasets.get(key.split('/')[2] ?? '')?.revisit()),
      registry.watch(headsPrefix, ({ key }) => this.#datasets.get(key.split('/')[2] ?? '')?.touch()),
      registry.onEvidence((record) => this.#contradicted(record)),
      datasets.onEvent((event) => this.#happened(event)),
      // What is in order depends on who the members are.
      members.onChange(() => this.#revisitAll()),
      runs.onRun((run) => this.#wish(run)),
    ]
  }

  async stop(): Promise<void> {
    this.#stopped.abort(new NodeError('CANCELLED', 'The node stops'))
    for (const unwatch of this.#unwatch.splice(0)) unwatch()
    await Promise.all([...this.#datasets.values()].map((rounds) => rounds.stop()))
  }

  /**
   * Asks the federation to vote on the present heads of `step`.
   *
   * @throws NodeError DATASET_NOT_FOUND, INVALID_NAME, INVALID_INPUT (window, slot), CONFLICT while another round of the
   * dataset is under way, ALREADY_EXISTS.
   */
  async open(dataset: string, step: string, options: OpenOptions = {}): Promise<RoundView> {
    const { round, rounds } = await this.#requests.open(dataset, step, options, this.#stopped.signal)
    rounds.add(round, this.#parts.self)
    return this.round(round)
  }

  /** All rounds that are still known, by slot; of one dataset when it is named. */
  rounds(dataset?: string): RoundView[] {
    const rooms = dataset === undefined ? [...this.#datasets.values()] : [this.#datasets.get(dataset)]
    return rooms
      .flatMap((rounds) => rounds?.views() ?? [])
      .sort((a, b) => a.slot - b.slot || (a.id < b.id ? -1 : 1))
  }

  /** @throws NodeError ROUND_NOT_FOUND */
  round(id: string): RoundView {
    const parsed = parseRoundId(id)
    const view = parsed && this.#datasets.get(parsed.dataset)?.view(parsed)
    if (view === undefined) throw new NodeError('ROUND_NOT_FOUND', `No round is named ${id}`, { round: id })
    return view
  }

  /** What its ballots are, how far they agree, and where they differ. @throws NodeError ROUND_NOT_FOUND */
  async report(id: string): Promise<RoundReport> {
    const round = this.round(id)
    const counted = this.#datasets.get(round.dataset)?.counted(round)
    if (counted === undefined)
      throw new NodeError('ROUND_NOT_FOUND', `No round is named ${id}`, { round: id })
    return this.#reports.of(round, counted, this.#stopped.signal)
  }

  /** The present truth, who signed it, who agreed and who differed where. @throws NodeError DATASET_NOT_FOUND */
  truth(dataset: string): Promise<TruthView> {
    return this.#truth.view(dataset, this.#stopped.signal)
  }

  /**
   * Checks the present truth from its certificate and its ballots alone.
   *
   * @throws NodeError DATASET_NOT_FOUND, or why a counted commit cannot be had.
   */
  verify(dataset: string): Promise<Verification> {
    return this.#truth.verify(dataset, this.#stopped.signal)
  }

  /** @returns how to stop hearing. */
  onEvent(listener: (event: ConsensusEvent) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  #happened(event: DatasetEvent): void {
    if (!('dataset' in event)) return
    const { type, dataset } = event
    if (event.type === 'replicated') this.#datasets.get(dataset)?.arrived(event.commit)
    if (type === 'founded' || type === 'removed') this.#datasetChanged(dataset)
    if (type === 'followed' && event.followed) {
      // What was only noted is wanted here now.
      this.#truth.forget(dataset)
      this.#datasets.get(dataset)?.touch()
    }
  }

  /** A record of a round came, changed or went. */
  #heard({ key, entry }: Change): void {
    const round = roundOfKey(key)
    if (round === undefined) return
    const dataset = datasetOf(round)
    const rounds = this.#datasets.get(dataset)
    // Rounds of what is no dataset (yet) are left in the registry, where they are found when it is one.
    if (rounds === undefined) return
    if (entry === undefined) {
      if (key === openingKey(round)) rounds.vanished(round)
      return
    }
    this.#sightings.note(round, entry)
    // A ballot may come before its opening; what there is to do with it, the opening says.
    if (key === openingKey(round)) this.#follow(rounds, round)
    // Its opening may be gone everywhere but there.
    if (key.startsWith(preparedPrefix)) rounds.add(round, entry.author)
    this.#witness.look(round)
    rounds.stir(round)
    if (key.startsWith(ballotsPrefix)) this.#emit({ type: 'ballot', dataset, round })
    if (key.startsWith(votesPrefix)) this.#emit({ type: 'vote', dataset, round })
  }

  /** A member gave one version two values: whichever of them is shown, it said both. */
  #contradicted(record: SealedRecord): void {
    const round = roundOfKey(record.key)
    const rounds = round === undefined ? undefined : this.#datasets.get(datasetOf(round))
    if (round === undefined || rounds === undefined) return
    this.#sightings.contradicted(round, record)
    this.#witness.look(round)
    rounds.stir(round)
  }

  /** Whoever claims to have opened the round: one of them is enough for it to be followed. */
  #follow(rounds: DatasetRounds, round: string, quiet = false): void {
    const { registry, datasets } = this.#parts
    const foundedMs = datasets.find(datasetOf(round))?.foundedMs ?? 0
    for (const { author, value } of registry.claims(openingKey(round))) {
      // What was opened before the dataset was founded is about another one that had its name.
      const openedMs = openingSchema.safeParse(decodeJson(value)).data?.openedMs ?? foundedMs
      if (openedMs >= foundedMs) rounds.add(round, author, quiet)
    }
  }

  #datasetChanged(dataset: string): void {
    const rounds = this.#datasets.get(dataset)
    const now = this.#parts.datasets.find(dataset)
    if (rounds !== undefined && now?.policy === 'shared' && this.#ids.get(dataset) === now.id) return
    this.#datasets.delete(dataset)
    this.#truth.forget(dataset)
    if (rounds === undefined) {
      this.#take(dataset)
      return
    }
    // What has the name now may be another dataset, whose rounds begin anew.
    void rounds.discard().then(() => {
      if (this.#unwatch.length > 0 && !this.#datasets.has(dataset)) this.#take(dataset)
    })
  }

  /** Takes up the rounds of a dataset. */
  #take(dataset: string, quiet = false): void {
    const { registry, runs, datasets } = this.#parts
    const known = datasets.find(dataset)
    if (known?.policy !== 'shared') return
    this.#ids.set(dataset, known.id)
    const rounds = this.#newRounds(dataset)
    this.#datasets.set(dataset, rounds)
    for (const { key } of registry.list(`${roundsPrefix}${dataset}/`)) {
      const round = roundOfKey(key)
      if (round !== undefined && key === openingKey(round)) this.#follow(rounds, round, quiet)
    }
    for (const run of runs.runs()) this.#wish(run, dataset)
    rounds.touch()
  }

  /** A run may ask for rounds, of one dataset when it is named. */
  #wish(run: ScheduledRun, only?: string): void {
    const asked = this.#parts.runs.roundOf(run.pipeline)
    if (asked === undefined) return
    const windowMs = Math.min(Math.max(asked.windowMs, roundWindowMinMs), roundWindowMaxMs)
    for (const output of scheduledOutputs(run)) {
      if (only === undefined || only === output.dataset)
        this.#datasets.get(output.dataset)?.wish(output, windowMs)
    }
  }

  #newRounds(dataset: string): DatasetRounds {
    const { self, clock, log } = this.#parts
    return new DatasetRounds({
      dataset,
      self,
      members: () => this.#voters(dataset),
      nameOf: (peer) => this.#nameOf(peer),
      sightings: this.#sightings,
      prepared: this.#prepared,
      evidence: this.#evidence,
      duties: this.#duties,
      counting: this.#counting,
      truth: this.#truth,
      terms: () => this.terms.of(dataset),
      rule: (step) => this.terms.rule(dataset, step),
      prepare: (fetch) => this.terms.prepare(dataset, fetch),
      follows: () => this.#parts.datasets.follows(dataset),
      head: (step) => this.#head(dataset, step),
      emit: (event) => this.#emit(event),
      clock,
      log,
      signal: this.#stopped.signal,
    })
  }

  /** The head of this node's own branch of a step, as it has announced it. */
  #head(dataset: string, step: string): string | undefined {
    const { registry, self } = this.#parts
    const entry = registry.get(`${headsPrefix}${dataset}/${self}`)
    const parsed = headSchema.safeParse(entry && decodeJson(entry.value))
    return parsed.success ? parsed.data.branches[branchOf(step, this.#nameOf(self))] : undefined
  }

  #revisitAll(): void {
    for (const rounds of this.#datasets.values()) rounds.revisit()
  }

  #voters(dataset: string): readonly Voter[] {
    const { members, voters } = this.#parts
    return voters?.(dataset) ?? members.list().filter(({ role }) => role !== 'observer')
  }

  #nameOf(peer: string): string {
    return this.#parts.members.get(peer)?.name ?? peer
  }

  #emit(event: ConsensusEvent): void {
    for (const listener of this.#listeners) {
      try {
        listener(event)
      } catch (error) {
        // What listeners do with the news is no reason for a round to stop.
        this.#parts.log.error({ event: event.type, error: messageOf(error) }, 'a listener failed')
      }
    }
  }
}

function datasetOf(round: string): string {
  return round.slice(0, round.indexOf('/'))
}
