/** A catch-up between two simulated nodes, as sync-pull.ts does it over a stream: the same plan, the same answers. */
import { isNodeError } from '../../src/base/errors.ts'
import { syncDistrustMs, syncRecordBytesPerFrameMax } from '../../src/base/limits.ts'
import { EVERYTHING, type Fetched, type Range, type RangeAnswer } from '../../src/registry/ranges.ts'
import type { Question } from '../../src/registry/sync-messages.ts'
import { Effort, SyncPlan } from '../../src/registry/sync-plan.ts'
import type { RegistryWorld } from './registry-world.ts'
import type { WorldNode } from './registry-world-node.ts'

/** What one side says to the questions of the other. */
export interface Server {
  compare(question: Question & { kind: 'compare' }): readonly RangeAnswer[]
  fetch(question: Question & { kind: 'fetch' }): Fetched
}

const MEMBERS: Range = { from: '/members/', to: '/members0' }
const PASSES_MAX = 4
const FORGERY_EFFORT = 100
const RELAYED_MAX = 4
const SETTLED = ['DUPLICATE', 'STALE', 'EQUIVOCATION']

/** Begins to bring `puller` what `server` has. */
export function pull(world: RegistryWorld, puller: WorldNode, server: WorldNode): void {
  const until = puller.distrusted.get(server.name)
  if (!world.reaches(puller, server) || (until !== undefined && world.now < until)) return
  const life = new Life(world, puller, server)
  new Pull(world, puller, server, life).run().catch((error: unknown) => {
    if (error === CUT) return
    if (!isNodeError(error, 'INVALID_INPUT') || server.lies === undefined) world.fail(error)
    puller.distrusted.set(server.name, world.now + syncDistrustMs)
  })
}

export function serverOf(world: RegistryWorld, node: WorldNode): Server {
  const { answer, collect } = world.rules
  return {
    compare: ({ ranges }) => ranges.map((range) => answer(node.state.index, range)),
    fetch: (question) => collect(node.state.index, question, syncRecordBytesPerFrameMax),
  }
}

const CUT = new Error('the stream was cut')

/** A stream ends with either side's memory. */
class Life {
  readonly #world: RegistryWorld
  readonly #ends: readonly (readonly [WorldNode, unknown])[]

  constructor(world: RegistryWorld, ...nodes: readonly WorldNode[]) {
    this.#world = world
    this.#ends = nodes.map((node) => [node, node.state])
  }

  check(): void {
    const [a, b] = this.#ends.map(([node]) => node)
    const same = this.#ends.every(([node, state]) => node.state === state)
    if (!same || a === undefined || b === undefined || !this.#world.reaches(a, b)) throw CUT
  }
}

class Pull {
  readonly #world: RegistryWorld
  readonly #puller: WorldNode
  readonly #server: WorldNode
  readonly #life: Life
  readonly #effort: Effort
  #accepted = 0
  #refused = 0

  constructor(world: RegistryWorld, puller: WorldNode, server: WorldNode, life: Life) {
    this.#world = world
    this.#puller = puller
    this.#server = server
    this.#life = life
    this.#effort = new Effort(puller.state.index.size)
  }

  async run(): Promise<void> {
    const backwards = this.#world.chance(0.5)
    for (let pass = 0; pass < PASSES_MAX; pass += 1) {
      const before = this.#accepted
      this.#refused = 0
      this.#effort.forgive()
      const { index } = this.#puller.state
      const ranges = [MEMBERS, EVERYTHING].map((range) => ({ ...range, digest: index.digest(range) }))
      const answers = await this.#ask({ kind: 'compare', ranges })
      if (answers[1]?.kind === 'same') return
      for (const [at, range] of [MEMBERS, EVERYTHING].entries()) {
        const plan = new SyncPlan(index, this.#effort, { backwards })
        plan.compared(range, answers[at] as RangeAnswer)
        await this.#bring(plan)
      }
      if (this.#refused === 0 || this.#accepted === before) return
    }
  }

  async #bring(plan: SyncPlan): Promise<void> {
    const judging: Promise<void>[] = []
    for (let asked = plan.next(); asked !== undefined; asked = plan.next()) {
      if (asked.question.kind === 'compare') {
        const answers = await this.#ask(asked.question)
        for (const [at, range] of asked.ranges.entries()) plan.compared(range, answers[at] as RangeAnswer)
        continue
      }
      const fetched = await this.#fetch(asked.question)
      plan.fetched(asked.ranges, fetched)
      judging.push(this.#judge(fetched.envelopes))
    }
    await Promise.all(judging)
  }

  async #judge(envelopes: readonly Uint8Array[]): Promise<void> {
    const verdicts = await this.#puller.receive(envelopes)
    for (const [at, verdict] of verdicts.entries()) {
      const envelope = envelopes[at] as Uint8Array
      if (verdict.action === 'accept') {
        this.#accepted += 1
        this.#effort.earn(1)
        if (this.#accepted <= RELAYED_MAX) this.#puller.relay(envelope, this.#server)
        continue
      }
      const settled = SETTLED.includes(verdict.code)
      if (!settled) this.#refused += 1
      if (verdict.action === 'reject') this.#effort.spend(FORGERY_EFFORT)
      else if (settled) this.#effort.spend(1)
      else this.#effort.refused(this.#world.sealed.get(envelope)?.signer ?? '')
    }
  }

  async #ask(question: Question & { kind: 'compare' }): Promise<readonly RangeAnswer[]> {
    await this.#way()
    const answers = this.#answers().compare(question)
    await this.#way()
    return answers
  }

  async #fetch(question: Question & { kind: 'fetch' }): Promise<Fetched> {
    await this.#way()
    const fetched = this.#answers().fetch(question)
    await this.#way()
    return fetched
  }

  #answers(): Server {
    const honest = serverOf(this.#world, this.#server)
    return this.#server.lies?.serve(honest) ?? honest
  }

  async #way(): Promise<void> {
    await this.#world.sleep(1 + this.#world.random() * this.#world.weather.delayMaxMs)
    if (this.#world.chance(this.#world.weather.cut)) throw CUT
    this.#life.check()
  }
}
