/**
 * A federation in memory that votes: honest members that do what decisions.ts says, with the node's own duties, over a
 * registry like the real one, and a network between them that loses, doubles, delays and parts. One seed decides
 * everything, so a failure can be seen again. Time is simulated: a minute takes milliseconds.
 */
import type { TreeFile } from '../../src/datasets/git/repository.ts'
import type { Entry } from '../../src/registry/watchers.ts'
import { EventHeap } from './event-heap.ts'
import { commitId, filesOf, treeId } from './voting.ts'
import { VotingNode } from './voting-node.ts'

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
  /** Chance that the writing of a record is the moment at which the network is cut in two. */
  readonly cuts?: number
  /** Chance that it is the last thing that its writer does before it crashes, or that it comes to nothing. */
  readonly crashes?: number
}

export interface WorldParts {
  readonly seed: number
  readonly peers: readonly string[]
  /** How many of them lie; the first ones. */
  readonly liars?: number
  readonly startMs: number
  readonly weather: Weather
  /** Honest members forget what they are bound by: what the locks are for can be seen. */
  readonly unlocked?: boolean
}

/** What somebody signed of a result, in public or not. */
export interface SignedWord {
  readonly kind: 'vote' | 'confirmation'
  readonly round: string
  readonly peer: string
  readonly closing: string
  readonly commit: string
  readonly view: number
}

export class World {
  readonly random: () => number
  readonly members: { peer: string; since: number }[]
  readonly nodes: VotingNode[] = []
  readonly liars: ReadonlySet<string>
  readonly unlocked: boolean
  /** Every file list that was ever committed; who can reach a member can fetch what it has. */
  readonly commits = new Map<string, readonly TreeFile[]>()
  /** Every result that was ever voted for or confirmed. */
  readonly signed: SignedWord[] = []
  /** Every record that was ever written: liars know them all. */
  readonly written: Entry[] = []
  weather: Weather
  now: number
  /** Liars say nothing any more. */
  silenced = false
  cuts = 0
  crashes = 0
  readonly #events = new EventHeap()
  /** How far each member has read what each other one has: by both names. */
  readonly #read = new Map<string, number>()
  #groups = new Map<string, number>()

  constructor(p: WorldParts) {
    this.random = randomOf(p.seed)
    this.weather = p.weather
    this.now = p.startMs
    this.unlocked = p.unlocked === true
    this.members = p.peers.map((peer) => ({ peer, since: 0 }))
    this.liars = new Set(p.peers.slice(0, p.liars ?? 0))
    for (const peer of p.peers) this.nodes.push(new VotingNode(peer, this))
    this.#catchUpLater()
  }

  get honest(): VotingNode[] {
    return this.nodes.filter(({ peer }) => !this.liars.has(peer))
  }

  at(atMs: number, run: () => Promise<void> | void): void {
    this.#events.push(atMs, run)
  }

  /** Members in different groups do not hear each other. */
  part = (groups: readonly (readonly string[])[]): void => {
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
    const { doubling, loss, delayMaxMs, cuts = 0 } = this.weather
    for (const node of this.nodes) {
      if (node.peer === from || (to !== undefined && !to.includes(node.peer))) continue
      const copies = this.random() < doubling ? 2 : 1
      for (let i = 0; i < copies; i += 1) {
        if (this.random() < loss) continue
        const atMs = this.now + 1 + this.random() * delayMaxMs
        this.at(atMs, () => (this.connected(from, node.peer) ? node.receive(entry) : undefined))
      }
    }
    if (this.random() < cuts) this.#cut()
  }

  async runUntil(endMs: number): Promise<void> {
    for (;;) {
      const next = this.#events.popUntil(endMs)
      if (next === undefined) break
      this.now = Math.max(this.now, next.atMs)
      await next.run()
    }
    this.now = endMs
  }

  #cut(): void {
    this.cuts += 1
    // Now in two halves, now one honest member alone.
    const { random } = this
    const lonely = this.honest[Math.floor(random() * this.honest.length)]
    const isHalf = random() < 0.5
    const side = this.nodes
      .filter((node) => (isHalf ? random() < 0.5 : node === lonely))
      .map(({ peer }) => peer)
    const other = this.nodes.map(({ peer }) => peer).filter((peer) => !side.includes(peer))
    this.part([side, other])
    this.at(this.now + 2_000 + random() * random() * 300_000, () => this.heal())
  }

  /** The registry's catch-up: who hears another one reads what that one has taken in since. */
  #catchUpLater(): void {
    this.at(this.now + CATCH_UP_MS, async () => {
      for (const a of this.nodes) {
        for (const b of this.nodes) {
          if (a === b || a.isDown || b.isDown || !this.connected(a.peer, b.peer)) continue
          const name = `${a.peer} ${b.peer}`
          const { log } = a.registry
          for (let i = this.#read.get(name) ?? 0; i < log.length; i += 1) {
            const entry = log[i] as Entry
            if (a.registry.holds(entry)) b.take(entry)
          }
          this.#read.set(name, log.length)
        }
      }
      for (const node of this.nodes) await node.evaluateIfChanged()
      this.#catchUpLater()
    })
  }
}
