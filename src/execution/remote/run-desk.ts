/** Judges and takes the requests of other members: what the policy needs to know, gathered; what it says, carried out. */
import type { z } from 'zod'
import { isNodeError, NodeError } from '../../base/errors.ts'
import type { Datasets } from '../../datasets/datasets.ts'
import type { Members } from '../../federation/members.ts'
import { parsePipeline } from '../catalogue/pipeline.ts'
import type { EngineState } from '../engines/engines.ts'
import type { Execution } from '../execution.ts'
import { parseImageRule, verdictOf } from '../images/image-rules.ts'
import { isEnded, type Run } from '../runs/run.ts'
import type { ExecutionSettings } from '../settings.ts'
import { runRefusal } from '../steps/refusals.ts'
import type { DataFacts } from './data-policy.ts'
import { type Decision, decide, type HostFacts, type LimitOverrides } from './host-policy.ts'
import type { PolicyHook } from './policy-hook.ts'
import type { requestSchema } from './run-protocol.ts'
import type { RunRequest } from './run-request.ts'
import { chainOf } from './told.ts'
import type { TrustBook } from './trust.ts'

/** What this room asks of execution. */
export type HostExecution = Pick<
  Execution,
  | 'runs'
  | 'run'
  | 'cancel'
  | 'submitPlan'
  | 'onRun'
  | 'reading'
  | 'tools'
  | 'pipelines'
  | 'position'
  | 'handIn'
>

export interface RunDeskParts {
  readonly execution: HostExecution
  readonly datasets: Pick<Datasets, 'find' | 'list' | 'repository' | 'mayRead'>
  readonly members: Pick<Members, 'get' | 'self'>
  readonly engines: { states(): Promise<readonly EngineState[]> }
  readonly trust: Pick<TrustBook, 'of'>
  readonly hook: Pick<PolicyHook, 'ask'>
  readonly settings: ExecutionSettings
  /** This node's peer id. */
  readonly peer: string
}

export interface Judged {
  readonly request: RunRequest
  readonly decision: Extract<Decision, { allow: true }>
}

export class RunDesk {
  readonly #parts: RunDeskParts
  /** Requests that are being taken, so that two at one instant make one run. */
  readonly #taking = new Map<string, Promise<Run>>()

  constructor(parts: RunDeskParts) {
    this.#parts = parts
  }

  /**
   * What would be granted, if the request came now.
   *
   * @throws NodeError with the code and the words of the refusal.
   */
  async judge(peer: string, wire: z.output<typeof requestSchema>, dry: boolean): Promise<Judged> {
    const request = requestOf(wire)
    const facts = this.#factsFor(peer)
    // The hook is asked about nothing that would be refused anyway.
    allowed(decide(request, facts))
    await this.#demandEngine()
    const { member, role } = this.#member(peer)
    const answer = await this.#parts.hook.ask({ dry, member: { peer, name: member, role }, request })
    if (!answer.allow) {
      throw new NodeError('FORBIDDEN', answer.reason ?? "this node's operator does not allow it")
    }
    const overrides = Object.fromEntries(
      Object.entries(answer.limits ?? {}).filter(([, limit]) => limit !== undefined),
    ) as LimitOverrides
    // Looked at again: while the hook was asked, others were judged.
    const decision = allowed(decide(request, this.#factsFor(peer), overrides))
    // What would be rejected in the queue is told now.
    const plan = { plan: decision.steps, timeoutMs: decision.granted.runTimeoutMs, owner: peer }
    const refusal = runRefusal(plan, this.#parts.settings)
    if (refusal !== undefined) throw refusal
    return { request, decision }
  }

  /** The run of the request; the one that is there already where it came before. @throws NodeError as `judge` does. */
  async take(peer: string, wire: z.output<typeof requestSchema>): Promise<Run> {
    const key = `${peer} ${wire.request}`
    const there = this.#taking.get(key) ?? this.chain(peer, wire.request).at(-1)
    if (there !== undefined) return there
    const taking = this.#take(peer, wire).finally(() => this.#taking.delete(key))
    this.#taking.set(key, taking)
    return taking
  }

  /** All runs of a request, the one that counts last; none where it never came. */
  chain(peer: string, request: string): Run[] {
    return chainOf(this.#parts.execution.runs(), peer, request)
  }

  /** How many more runs could begin at once on this node; below 1, so many wait. */
  free(): number {
    const open = this.#parts.execution.runs().filter((run) => !isEnded(run)).length
    return this.#parts.settings.concurrency - open
  }

  /** @param owner for whom: what is granted to it counts. */
  dataFacts(owner: string): DataFacts {
    const { datasets, trust, peer } = this.#parts
    return {
      dataset: (name) => {
        const known = datasets.find(name)
        return known === undefined
          ? undefined
          : { policy: known.policy, isHome: known.policy === 'local-only' || known.owner === peer }
      },
      trusted: (dataset) => trust.of(dataset),
      mayRead: (name) => datasets.mayRead(owner, name),
    }
  }

  async #take(peer: string, wire: z.output<typeof requestSchema>): Promise<Run> {
    const { request, decision } = await this.judge(peer, wire, false)
    const submitting = this.#parts.execution.submitPlan(
      { name: request.pipeline, steps: decision.steps },
      {
        trigger: { kind: 'remote', by: peer, request: request.request },
        owner: peer,
        timeoutMs: decision.granted.runTimeoutMs,
        imageDigests: decision.imageDigests,
      },
    )
    return submitting.catch((cause: unknown) => {
      if (!isNodeError(cause, 'NO_PLACE')) throw cause
      const message = 'no engine of this node has room for one of the steps'
      throw new NodeError('ENGINE_UNAVAILABLE', message, {}, { cause })
    })
  }

  async #demandEngine(): Promise<void> {
    const states = await this.#parts.engines.states()
    if (states.some(({ up }) => up)) return
    throw new NodeError('ENGINE_UNAVAILABLE', 'no container engine of this node answers now')
  }

  #member(peer: string): { member: string; role: string } {
    const member = this.#parts.members.get(peer)
    return { member: member?.name ?? peer, role: member?.role ?? 'none' }
  }

  #factsFor(peer: string): HostFacts {
    const { execution, members, settings } = this.#parts
    const theirs = execution.runs().filter((run) => run.owner === peer && !isEnded(run))
    const waiting = theirs.filter(({ state }) => state === 'queued').length
    return {
      role: members.get(peer)?.role,
      settings: settings.remote,
      step: settings,
      imageOf: (tool) => execution.tools.get(tool)?.value.image,
      imageRefusal: (image, digest) => this.#imageRefusal(image, digest),
      ...this.dataFacts(peer),
      ownsRun: (id) => execution.runs().some((run) => run.id === id && run.owner === peer),
      atWork: theirs.length - waiting,
      waiting,
    }
  }

  #imageRefusal(image: string, digest: string | undefined): string | undefined {
    const rules = this.#parts.settings.images.allow.map(parseImageRule)
    const verdict = verdictOf(rules, { reference: image, digests: digest === undefined ? [] : [digest] })
    return verdict === 'no' ? `this node does not run the image ${image}` : undefined
  }
}

/** [MUST] A plan passes the parser of pipelines, so that a field that is not known is told and not passed over (R11). */
function requestOf(wire: z.output<typeof requestSchema>): RunRequest {
  const { pipeline } = parsePipeline({ steps: wire.steps })
  const tools = Object.entries(wire.tools).map(([name, { image, digest }]) => {
    return [name, digest === undefined ? { image } : { image, digest }] as const
  })
  return {
    request: wire.request,
    pipeline: wire.pipeline,
    steps: pipeline.steps,
    tools: Object.fromEntries(tools),
  }
}

function allowed(decision: Decision): Extract<Decision, { allow: true }> {
  if (decision.allow) return decision
  throw new NodeError(decision.code, decision.reason)
}
