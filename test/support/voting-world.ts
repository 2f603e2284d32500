/**
 * A federation in memory that votes: honest members that do what decisions.ts says over a registry like the real one,
 * and a network between them that loses, doubles, delays and parts. One seed decides everything, so a failure can be
 * seen again. Time is simulated: a minute takes milliseconds.
 */
import { assembleCertificate, rankOf, refuseTruth } from '../../src/consensus/certificate.ts'
import { factsOf, nextActions } from '../../src/consensus/decisions.ts'
import { Field } from '../../src/consensus/field.ts'
import { openingOf } from '../../src/consensus/opening.ts'
import type { Action, Outcome, Situation } from '../../src/consensus/plan.ts'
import { closingOf, parseValue, voteSchema } from '../../src/consensus/records.ts'
import { resultOf } from '../../src/consensus/result-of.ts'
import {
  type Prepared,
  projectRound,
  type RoundRecords,
  type RoundStatus,
} from '../../src/consensus/round.ts'
import {
  ballotKey,
  closingKey,
  confirmationKey,
  formatRoundId,
  openingKey,
  type RoundId,
  roundOfKey,
  truthKey,
  voteKey,
} from '../../src/consensus/round-id.ts'
import { Sightings } from '../../src/consensus/sightings.ts'
import { tallyIdentical } from '../../src/consensus/tally.ts'
import { PLAIN_TERMS } from '../../src/consensus/terms.ts'
import type { TreeFile } from '../../src/datasets/git/repository.ts'
import { encodeJson } from '../../src/registry/collection.ts'
import type { Entry } from '../../src/registry/watchers.ts'
import { commitId, filesOf, openSealed, sealAs, treeId } from './voting.ts'

export const DATASET = 'data'
const CATCH_UP_MS = 5_000

/** Numbers from 0 up to 1 that a seed decides (mulberry32). */
export function randomOf(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
  }
}

export interface Weather {
  /** Chance that a message is lost; catch-up brings it later. */
  readonly loss: number
  /** Chance that a message comes twice. */
  readonly doubling: number
  readonly delayMaxMs: number
  readonly clockErrorMs: number
}

interface Event {
  readonly atMs: number
  readonly run: () => Promise<void> | void
}

export class World {
  readonly random: () => number
  readonly weather: Weather
  readonly members: { peer: string; since: number }[]
  readonly nodes: VotingNode[] = []
  /** Every file list that was ever committed; who can reach a member can fetch what it has. */
  readonly commits = new Map<string, readonly TreeFile[]>()
  /** Every vote that was ever signed. */
  readonly signed: { round: string; peer: string; closing: string; commit: string | null }[] = []
  now: number
  #events: Event[] = []
  #groups = new Map<string, number>()

  constructor(p: { seed: number; peers: readonly string[]; startMs: number; weather: Weather }) {
    this.random = randomOf(p.seed)
    this.weather = p.weather
    this.now = p.startMs
    this.members = p.peers.map((peer) => ({ peer, since: 0 }))
    for (const peer of p.peers) this.nodes.push(new VotingNode(peer, this))
    this.#catchUpLater()
  }

  at(atMs: number, run: Event['run']): void {
    this.#events.push({ atMs, run })
  }

  /** Members in different groups do not hear each other. */
  part(groups: readonly (readonly string[])[]): void {
    this.#groups = new Map(groups.flatMap((group, i) => group.map((peer) => [peer, i] as const)))
  }

  heal(): void {
    this.#groups.clear()
  }

  connected(a: string, b: string): boolean {
    return this.#groups.get(a) === this.#groups.get(b)
  }

  /** Stores a commit of these contents and says which it is. */
  commit(contents: Readonly<Record<string, string>>, message: string): { commit: string; tree: string } {
    const files = filesOf(contents)
    const tree = treeId(files)
    const commit = commitId({ tree, parents: [], message, author: { name: 'x', email: 'x' }, timeMs: 0 })
    this.commits.set(commit, files)
    return { commit, tree }
  }

  /** Sends a record to everybody else, or to some only. */
  broadcast(from: string, entry: Entry, to?: readonly string[]): void {
    for (const node of this.nodes) {
      if (node.peer === from || (to !== undefined && !to.includes(node.peer))) continue
      const copies = this.random() < this.weather.doubling ? 2 : 1
      for (let i = 0; i < copies; i += 1) {
        if (this.random() < this.weather.loss) continue
        const atMs = this.now + 1 + this.random() * this.weather.delayMaxMs
        this.at(atMs, () => (this.connected(from, node.peer) ? node.receive(entry) : undefined))
      }
    }
  }

  async runUntil(endMs: number): Promise<void> {
    for (;;) {
      let next: Event | undefined
      for (const event of this.#events) if (next === undefined || event.atMs < next.atMs) next = event
      if (next === undefined || next.atMs > endMs) break
      this.#events.splice(this.#events.indexOf(next), 1)
      this.now = Math.max(this.now, next.atMs)
      await next.run()
    }
    this.now = endMs
  }

  /** The registry's catch-up: two members that hear each other exchange all that they have. */
  #catchUpLater(): void {
    this.at(this.now + CATCH_UP_MS, async () => {
      for (const a of this.nodes) {
        for (const b of this.nodes) {
          if (a === b || !this.connected(a.peer, b.peer)) continue
          for (const entry of a.entries()) if (!b.knows(entry)) await b.receive(entry)
        }
      }
      this.#catchUpLater()
    })
  }
}

export class VotingNode {
  readonly peer: string
  readonly world: World
  /** Dishonest members put something else in here. */
  act: (action: Action, situation: Situation) => void
  /** The ranks of the truths that this node has held, in order. */
  readonly truths: { height: number; slot: number; commit: string }[] = []
  readonly rounds = new Map<string, RoundId>()
  readonly wishes = new Map<string, { commit: string; tree: string; sinceMs: number; windowMs: number }>()
  readonly #records = new Map<string, Entry[]>()
  readonly #sightings: Sightings
  readonly #outcomes = new Map<string, Outcome>()
  readonly #clockErrorMs: number
  readonly #refuse: ReturnType<typeof refuseTruth>
  #wakeMs: number | undefined
  #truth: { value: Uint8Array; rank: ReturnType<typeof rankOf> } | undefined
  #revision = 0

  constructor(peer: string, world: World) {
    this.peer = peer
    this.world = world
    this.#clockErrorMs = Math.round((world.random() * 2 - 1) * world.weather.clockErrorMs)
    this.#sightings = new Sightings({ registry: this, clock: this })
    this.#refuse = refuseTruth(() => world.members)
    this.act = (action, situation) => this.perform(action, situation)
  }

  now(): number {
    return Math.floor(this.world.now) + this.#clockErrorMs
  }

  get(key: string): Entry | undefined {
    return this.claims(key)[0]
  }

  list(prefix: string): Entry[] {
    return [...this.#records.keys()]
      .filter((key) => key.startsWith(prefix))
      .flatMap((key) => this.get(key) ?? [])
  }

  claims(key: string): Entry[] {
    return this.#records.get(key) ?? []
  }

  envelope(key: string, author: string): Uint8Array | undefined {
    const entry = this.#records.get(key)?.find((claim) => claim.author === author)
    return entry && sealAs(author, key, entry.value)
  }

  entries(): Entry[] {
    return [...this.#records.values()].flat()
  }

  status(id: RoundId): RoundStatus | undefined {
    return projectRound(
      this.records(id),
      factsOf({ certified: this.certified(), members: this.world.members }),
      this.now(),
    )
  }

  records(id: RoundId): RoundRecords {
    return this.#sightings.records(
      id,
      this.world.members.map(({ peer }) => peer),
    )
  }

  certified() {
    const value = this.get(truthKey(DATASET))?.value
    if (value !== this.#truth?.value) this.#truth = value && { value, rank: rankOf(value) }
    return this.#truth?.rank
  }

  /** This node's scheduled run of `slot` came to this result. */
  wish(step: string, slot: number, windowMs: number, ballot: { commit: string; tree: string }): void {
    const id = { dataset: DATASET, step, slot }
    this.rounds.set(formatRoundId(id), id)
    this.wishes.set(formatRoundId(id), { ...ballot, sinceMs: this.now(), windowMs })
    this.evaluate()
  }

  /** Writes a record in this node's name, here and to everybody (or to some only). */
  put(key: string, value: Uint8Array, options: { timeMs?: number; to?: readonly string[] } = {}): Entry {
    const claims = this.#records.get(key) ?? []
    const own = claims.find(({ author }) => author === this.peer)
    const version = Math.max(0, ...claims.map((claim) => claim.version)) + 1
    const timeMs = options.timeMs ?? this.now()
    const shape = { key, value, author: this.peer, version, timeMs, contested: false, revision: 0 }
    const entry: Entry = { ...shape, sinceMs: own?.sinceMs ?? timeMs }
    this.#keep(entry)
    const vote = key.startsWith('/votes/') ? parseValue(voteSchema, value)?.value : undefined
    const round = roundOfKey(key)
    if (vote !== undefined && round !== undefined) this.world.signed.push({ round, peer: this.peer, ...vote })
    this.world.broadcast(this.peer, entry, options.to)
    return entry
  }

  knows({ key, author, version }: Entry): boolean {
    const known = this.#records.get(key)?.find((claim) => claim.author === author)
    return known !== undefined && known.version >= version
  }

  async receive(entry: Entry): Promise<void> {
    const { key, author } = entry
    const own = /^\/(?:ballots|votes|confirmations|prepared)\//.test(key)
    if (own && !key.endsWith(`/${author}`)) return
    if (this.knows(entry)) return
    if (key.startsWith('/truth/')) {
      const context = { federationId: 'f', current: this.get(key)?.value, open: openSealed }
      if ((await this.#refuse(key, entry.value, context)) !== undefined) return
    }
    this.#keep(entry)
    this.evaluate()
  }

  /** What an honest member does. */
  perform(action: Action, situation: Situation): void {
    const { records, members, truth, latestMs } = situation
    const round = formatRoundId(records.id)
    if (action.do === 'open') {
      const shape = {
        self: this.peer,
        id: records.id,
        terms: PLAIN_TERMS,
        members,
        truth,
        latestMs,
        trigger: 'schedule' as const,
        now: this.now(),
      }
      this.put(openingKey(round), encodeJson(openingOf({ ...shape, windowMs: action.windowMs })))
    } else if (action.do === 'cast') this.put(ballotKey(round, this.peer), encodeJson(action.ballot))
    else if (action.do === 'close') {
      this.put(closingKey(round), encodeJson(closingOf(action.opening.hash, action.ballots)))
    } else if (action.do === 'count') this.#outcomes.set(action.closing.hash, this.#count(records.id, action))
    else if (action.do === 'vote') {
      const { closing, commit, view } = action
      this.put(voteKey(round, this.peer), encodeJson({ closing, commit, view }))
    } else if (action.do === 'confirm') {
      const { closing, commit, view } = action.prepared
      this.put(confirmationKey(round, this.peer), encodeJson({ closing: closing.hash, commit, view }))
    } else if (action.do === 'certify') this.#certify(records.id, action.decision)
  }

  evaluate(): void {
    let wakeMs: number | undefined
    for (const id of this.rounds.values()) {
      for (let look = 0; look < 8; look += 1) {
        this.#examine(id)
        const situation = this.#situation(id)
        const decision = nextActions(situation, this.peer, this.now())
        if (decision.wakeMs !== undefined) wakeMs = Math.min(wakeMs ?? decision.wakeMs, decision.wakeMs)
        const actions = decision.actions.filter((action) => action.do !== 'refuse')
        for (const action of actions) this.act(action, situation)
        if (actions.length === 0) break
      }
    }
    this.#noteTruth()
    if (
      wakeMs === undefined ||
      (this.#wakeMs !== undefined && this.#wakeMs > this.now() && this.#wakeMs <= wakeMs)
    )
      return
    this.#wakeMs = wakeMs
    this.world.at(wakeMs - this.#clockErrorMs, () => this.evaluate())
  }

  #situation(id: RoundId): Situation {
    const certified = this.certified()
    const wish = this.wishes.get(formatRoundId(id))
    const field = this.#field()
    return {
      records: this.records(id),
      members: this.world.members,
      truth: certified ?? { commit: null, height: 0, openedMs: 0, view: 0 },
      certified,
      candidate: wish && { commit: wish.commit, tree: wish.tree },
      wish,
      rivals: field.rivalsOf(id),
      standing: field.standing,
      shownMs: this.#sightings.own(formatRoundId(id), this.peer).shownMs ?? -1,
      latestMs: field.latestMs,
      outcomes: this.#outcomes,
    }
  }

  #field(): Field {
    const facts = factsOf({ certified: this.certified(), members: this.world.members })
    const rounds = { known: () => [...this.rounds], live: () => [...this.rounds.values()] }
    const records = (id: RoundId) => this.records(id)
    return new Field({
      ...{ self: this.peer, rounds, sightings: this.#sightings, records, facts, now: this.now() },
      sinceMs: this.certified()?.openedMs ?? 0,
    })
  }

  /** A commit can be had from its member, or from any other that hears both. */
  #examine(id: RoundId): void {
    for (const ballot of this.records(id).ballots) {
      const here = this.world.commits.has(ballot.commit) && this.world.connected(this.peer, ballot.peer)
      if (here) this.#sightings.examined(formatRoundId(id), ballot.peer, ballot, undefined)
    }
  }

  #count(round: RoundId, { opening, closing }: Extract<Action, { do: 'count' }>): Outcome {
    const ballots = Object.entries(closing.value.ballots)
    const files = (commit: string) => this.world.commits.get(commit) ?? []
    const { parent } = opening.value
    const cast = new Map(ballots.map(([peer, { commit }]) => [peer, files(commit)] as const))
    const tally = tallyIdentical(cast, parent === null ? [] : files(parent))
    if (!tally.decided) return { commit: null }
    const commit = commitId(resultOf(round, opening.value, closing.value, tally, treeId(tally.files)))
    this.world.commits.set(commit, tally.files)
    return { commit }
  }

  #certify(round: RoundId, { opening, closing, commit, view, signers }: Prepared): void {
    const said = this.records(round).confirmations.filter((one) => {
      return (
        one.closing === closing.hash &&
        one.commit === commit &&
        one.view === view &&
        signers.includes(one.peer)
      )
    })
    const confirmations = new Map(said.map((one) => [one.peer, one.sealed] as const))
    const value = assembleCertificate({ round, opening, closing, commit, view, confirmations })
    this.world.at(this.world.now, async () => {
      const key = truthKey(DATASET)
      const context = { federationId: 'f', current: this.get(key)?.value, open: openSealed }
      const held = this.certified()
      const same = held !== undefined && held.commit === commit && held.height === opening.value.height
      if (same || (await this.#refuse(key, value, context)) !== undefined) return
      this.put(key, value)
      this.evaluate()
    })
  }

  #noteTruth(): void {
    const held = this.certified()
    if (held === undefined || this.truths.at(-1)?.commit === held.commit) return
    this.truths.push({ height: held.height, slot: held.round.slot, commit: held.commit })
  }

  #keep(entry: Entry): void {
    const others = (this.#records.get(entry.key) ?? []).filter(({ author }) => author !== entry.author)
    this.#revision += 1
    this.#records.set(entry.key, [...others, { ...entry, revision: this.#revision }].sort(arrange))
    const round = roundOfKey(entry.key)
    if (round === undefined) return
    this.#sightings.note(round, entry)
    const [dataset = '', step = '', slot] = round.split('/')
    if (!this.rounds.has(round)) this.rounds.set(round, { dataset, step, slot: Number(slot) })
  }
}

/** As the registry arranges claims: of a round's records the earliest first, else the latest version. */
function arrange(a: Entry, b: Entry): number {
  if (a.key.startsWith('/rounds/')) return a.sinceMs - b.sinceMs || (a.author < b.author ? -1 : 1)
  return b.version - a.version || (a.author > b.author ? -1 : 1)
}
