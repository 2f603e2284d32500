/**
 * The runs of this node at other members: placed, followed, told truthfully. What happens at the host goes on whether or
 * not it is followed; this side remembers on its disk where it was, and begins there again.
 */
import { isDeepStrictEqual } from 'node:util'
import { isNodeError, messageOf, NodeError } from '../../base/errors.ts'
import type { Startable } from '../../base/lifecycle.ts'
import { remoteRetryFirstMs, remoteRetryMaxMs, runFollowersPerPeerMax } from '../../base/limits.ts'
import { delay } from '../../base/wait.ts'
import type { PipelineStep } from '../catalogue/pipeline.ts'
import { FollowTurns } from './follow-turns.ts'
import { type Asked, isRefusal, Placer, type PlacerParts } from './placer.ts'
import { asksForSecrets } from './plan-secrets.ts'
import type { RemoteLogs } from './remote-logs.ts'
import { contactLost, endedHere, heard, type RemoteRun, remoteId, whyLost } from './remote-run.ts'
import type { RemoteRunStore } from './remote-run-store.ts'
import { cancelAt, followAt } from './run-client.ts'
import type { RequestedTool } from './run-request.ts'

export interface RemoteRunsParts extends Omit<PlacerParts, 'save'> {
  readonly store: RemoteRunStore
  readonly logs: RemoteLogs
  readonly isMember: (peer: string) => boolean
  /** Hears of each peer that becomes connected. @returns how to stop. */
  readonly onConnect: (connected: (peer: string) => void) => () => void
  /** The steps of a pipeline. @throws NodeError PIPELINE_NOT_FOUND */
  readonly planOf: (pipeline: string) => readonly PipelineStep[]
  /** The image of a tool, and its digest as far as this node knows it. @throws NodeError TOOL_NOT_FOUND */
  readonly toolOf: (tool: string) => Promise<RequestedTool>
  readonly newId: () => string
}

export interface RemoteSubmission {
  readonly pipeline: string
  readonly where?: string
  readonly on?: readonly string[]
  readonly atData?: boolean
  /** Tool → digest, where another is meant than the one that this node knows. */
  readonly digests?: Readonly<Record<string, string>>
  /** Asking again under it gives the run that was made first, unless nobody took that one. */
  readonly key?: string
}

function askedOf({ where, on, atData }: RemoteSubmission): RemoteRun['asked'] {
  return {
    ...(where === undefined ? {} : { where }),
    ...(on === undefined ? {} : { on }),
    ...(atData === undefined ? {} : { atData }),
  }
}

function isSameRequest({ pipeline, asked, tools }: RemoteRun, submission: RemoteSubmission): boolean {
  const digests = Object.entries(submission.digests ?? {})
  return (
    pipeline === submission.pipeline &&
    isDeepStrictEqual(asked, askedOf(submission)) &&
    digests.every(([tool, digest]) => tools[tool]?.digest === digest)
  )
}

/** Refusals after which a host will tell nothing more. */
const GONE: readonly string[] = ['RUN_NOT_FOUND', 'NOT_A_MEMBER']

export class RemoteRuns implements Startable {
  readonly #parts: RemoteRunsParts
  readonly #placer: Placer
  readonly #working = new Map<string, Promise<void>>()
  /** Those that look for a place. */
  readonly #placing = new Map<string, AbortController>()
  /** Those that are being stored, by the key of the request. */
  readonly #keyed = new Map<string, Promise<RemoteRun>>()
  readonly #turns = new FollowTurns(runFollowersPerPeerMax)
  /** Wakes whoever waits to reach a member again. */
  readonly #wake = new Map<string, Set<() => void>>()
  #stopping = new AbortController()
  #unhear: (() => void) | undefined

  constructor(parts: RemoteRunsParts) {
    this.#parts = parts
    this.#placer = new Placer({ ...parts, save: (run) => parts.store.save(run) })
  }

  async start(): Promise<void> {
    if (this.#unhear !== undefined) return
    this.#stopping = new AbortController()
    await this.#parts.store.load()
    this.#unhear = this.#parts.onConnect((peer) => {
      for (const wake of [...(this.#wake.get(peer) ?? [])]) wake()
      void this.#tellGivenUp(peer)
    })
    for (const { id } of this.#parts.store.open()) this.#work(id)
  }

  /** Where things stand is on the disk; the runs go on at their hosts. */
  async stop(): Promise<void> {
    this.#unhear?.()
    this.#unhear = undefined
    this.#stopping.abort(new NodeError('CANCELLED', 'The node stops'))
    await Promise.all(this.#working.values())
  }

  /** Oldest first. */
  list(): RemoteRun[] {
    return this.#parts.store.list()
  }

  /** @throws NodeError RUN_NOT_FOUND */
  get(id: string): RemoteRun {
    return this.#parts.store.get(id)
  }

  /** Who would take the run, and who not and why; nothing is stored. @throws as `submit`. */
  async ask(submission: RemoteSubmission): Promise<Asked> {
    const run = await this.#newRun(submission)
    return this.#placer.ask(run, this.#stopping.signal)
  }

  /**
   * Gives a run of a pipeline to another member. Resolves once one has taken it.
   *
   * @throws NodeError NO_PLACE listing why nobody takes it, INVALID_INPUT, PIPELINE_NOT_FOUND, TOOL_NOT_FOUND, QUEUE_FULL,
   * CONFLICT when the key stands for another request.
   */
  async submit(submission: RemoteSubmission): Promise<RemoteRun> {
    const { store } = this.#parts
    const { id } = await this.#once(submission)
    const placed = await store.until(id, ({ state }) => state !== 'requested', this.#stopping.signal)
    if (placed.end?.code === 'NO_PLACE') {
      const { reason = 'No member takes the run' } = placed.end
      throw new NodeError('NO_PLACE', reason, { id, refusals: placed.refusals })
    }
    return placed
  }

  /** The run of an earlier request under the same key, or a new one. */
  async #once(submission: RemoteSubmission): Promise<RemoteRun> {
    const { key } = submission
    if (key === undefined) return this.#add(submission)
    const isEarlier = ({ requestKey, end }: RemoteRun) => requestKey === key && end?.code !== 'NO_PLACE'
    const earlier = this.#keyed.get(key) ?? this.list().findLast(isEarlier)
    if (earlier === undefined) {
      const adding = this.#add(submission).finally(() => this.#keyed.delete(key))
      this.#keyed.set(key, adding)
      return adding
    }
    const run = await earlier
    if (isSameRequest(run, submission)) return run
    const message = `The key ${key} was used for another request, which made run ${run.id}; use a new key for a new request`
    throw new NodeError('CONFLICT', message, { key, id: run.id })
  }

  async #add(submission: RemoteSubmission): Promise<RemoteRun> {
    const { store, logs } = this.#parts
    const run = await this.#newRun(submission)
    for (const gone of await store.add(run)) await logs.remove(gone)
    this.#work(run.id)
    return run
  }

  /** Tells the host, now or as soon as it is reached; what becomes of it, the run shows. @throws NodeError RUN_NOT_FOUND */
  async cancel(id: string): Promise<RemoteRun> {
    const { store, clock } = this.#parts
    const run = store.get(id)
    if (run.state === 'ended') return run
    const wished = (now: RemoteRun) => ({ ...now, cancelRequestedMs: now.cancelRequestedMs ?? clock.now() })
    const placing = this.#placing.get(id)
    if (placing !== undefined && run.state === 'requested') {
      placing.abort(new NodeError('CANCELLED', 'The run was cancelled before it had a place'))
      const placed = await store.until(id, ({ state }) => state !== 'requested', this.#stopping.signal)
      // A member may have taken it at that very moment: then it is told as it would be later.
      if (placed.state === 'ended') return placed
    }
    await store.update(id, wished)
    await this.#tellCancel(id)
    return store.get(id)
  }

  /** What the tools printed, from a byte on; with `follow`, until the run has ended. @throws NodeError RUN_NOT_FOUND */
  async *logs(
    id: string,
    options: { from?: number; follow?: boolean; signal?: AbortSignal } = {},
  ): AsyncGenerator<Uint8Array> {
    const { store, logs } = this.#parts
    store.get(id)
    const { follow = false, ...rest } = options
    const isOver = () => !follow || store.get(id).state === 'ended'
    yield* logs.read(id, { ...rest, isOver })
  }

  /** How many bytes of its log are here, and whether more may come. @throws NodeError RUN_NOT_FOUND */
  async logState(id: string): Promise<{ bytes: number; complete: boolean }> {
    const complete = this.#parts.store.get(id).state === 'ended'
    return { bytes: await this.#parts.logs.size(id), complete }
  }

  async #newRun(submission: RemoteSubmission): Promise<RemoteRun> {
    const { pipeline, digests = {}, key } = submission
    const { planOf, toolOf, newId, clock } = this.#parts
    const steps = planOf(pipeline)
    const secret = steps.find(asksForSecrets)
    if (secret !== undefined) {
      const message = `The step ${secret.name} wants a secret, and secrets do not leave the node of their owner; run the pipeline here`
      throw new NodeError('INVALID_INPUT', message, { step: secret.name })
    }
    const names = new Set(steps.flatMap(({ tool, filter }) => [tool, ...(filter ? [filter.tool] : [])]))
    const tools: Record<string, RequestedTool> = {}
    for (const name of names) {
      const digest = digests[name]
      tools[name] = { ...(await toolOf(name)), ...(digest === undefined ? {} : { digest }) }
    }
    const run: RemoteRun = {
      id: remoteId(newId()),
      ...{ pipeline, steps, tools, state: 'requested' as const, createdMs: clock.now() },
      asked: askedOf(submission),
      ...(key === undefined ? {} : { requestKey: key }),
      ...{ refusals: [], transitions: [], stepsDone: [] },
    }
    // A predicate that cannot be read is told before anything is stored.
    this.#placer.placement(run)
    return run
  }

  #work(id: string): void {
    const working = this.#carry(id)
      .catch((error: unknown) => {
        if (this.#stopping.signal.aborted) return
        this.#parts.log.error({ run: id, error: messageOf(error) }, 'a remote run is not followed any more')
      })
      .finally(() => this.#working.delete(id))
    this.#working.set(id, working)
  }

  async #carry(id: string): Promise<void> {
    const { store } = this.#parts
    const { signal } = this.#stopping
    if (store.get(id).state === 'requested' && !(await this.#place(id, signal))) return
    for (let waitMs = remoteRetryFirstMs; store.get(id).state !== 'ended'; ) {
      const before = store.get(id).transitions.length
      if (await this.#giveUp(id)) break
      await this.#followOnce(id, signal)
      if (store.get(id).state === 'ended') break
      waitMs =
        store.get(id).transitions.length > before
          ? remoteRetryFirstMs
          : Math.min(2 * waitMs, remoteRetryMaxMs)
      await this.#rest(store.get(id).host?.peer ?? '', waitMs, signal)
    }
    this.#parts.logs.wake(id)
  }

  /** False when the run has ended without a place. */
  async #place(id: string, stopping: AbortSignal): Promise<boolean> {
    const { store, clock } = this.#parts
    const placing = new AbortController()
    this.#placing.set(id, placing)
    try {
      await this.#placer.place(store.get(id), AbortSignal.any([stopping, placing.signal]))
      return true
    } catch (error) {
      stopping.throwIfAborted()
      const code = isNodeError(error) ? error.code : 'INTERNAL'
      const state = code === 'CANCELLED' ? 'cancelled' : 'rejected'
      const { asking } = store.get(id)
      await store.update(id, (run) =>
        endedHere(run, { state, code, reason: messageOf(error), timeMs: clock.now() }),
      )
      // Whoever was being asked may have taken it just then.
      if (asking !== undefined) await this.#tellCancel(id, asking)
      return false
    } finally {
      this.#placing.delete(id)
    }
  }

  /** [MUST] No host keeps a run open for ever by saying nothing of its end (run.md R26). */
  async #giveUp(id: string): Promise<boolean> {
    const { store, clock, isMember } = this.#parts
    const why = whyLost(store.get(id), { isMember, nowMs: clock.now() })
    if (why === undefined) return false
    await store.update(id, (run) => endedHere(run, { state: 'lost', ...why, timeMs: clock.now() }))
    return true
  }

  /** A host that is there again after its runs were given up is told once more that nobody waits for them. */
  async #tellGivenUp(peer: string): Promise<void> {
    const isGivenUp = ({ host, cancelRequestedMs, end }: RemoteRun) =>
      host?.peer === peer && cancelRequestedMs !== undefined && end?.code === 'TIMED_OUT'
    for (const { id } of this.#parts.store.list().filter(isGivenUp)) await this.#tellCancel(id)
  }

  /** Follows the run until its end, or until the host is lost; both are on the disk when this resolves. */
  async #followOnce(id: string, signal: AbortSignal): Promise<void> {
    const { store, clock } = this.#parts
    const { host } = store.get(id)
    if (host === undefined) throw new NodeError('INTERNAL', `The remote run ${id} has no host`)
    try {
      await this.#turns.take(host.peer, signal, (turn) => this.#hear(id, host.peer, turn))
    } catch (error) {
      if (signal.aborted) throw signal.reason
      const timeMs = clock.now()
      const gone = isRefusal(error) && GONE.includes(error.code)
      if (gone) {
        const reason = `${host.name} tells nothing of the run any more: ${error.message}`
        await store.update(id, (run) => endedHere(run, { state: 'lost', code: error.code, reason, timeMs }))
        return
      }
      await store.update(id, (run) => contactLost(run, { timeMs, reason: messageOf(error) }))
    }
  }

  async #hear(id: string, peer: string, signal: AbortSignal): Promise<void> {
    const { store, logs, streams } = this.#parts
    if (store.get(id).cancelRequestedMs !== undefined) await this.#tellCancel(id)
    const log = await logs.place(id)
    const question = { request: id, transitions: store.get(id).transitions.length, log }
    for await (const word of followAt(streams, peer, question, signal)) {
      if (await this.#giveUp(id)) return
      if (word.kind === 'alive') continue
      if (word.kind === 'log') await logs.append(id, word.run, word.offset, word.bytes)
      else await store.update(id, (run) => heard(run, word))
    }
  }

  async #tellCancel(id: string, at?: { peer: string; name: string }): Promise<void> {
    const { store, streams, log } = this.#parts
    const host = at ?? store.get(id).host
    if (host === undefined) return
    try {
      await cancelAt(streams, host.peer, id, this.#stopping.signal)
    } catch (error) {
      // The wish is on the disk; it is told as soon as the host is reached.
      log.info({ run: id, host: host.name, error: messageOf(error) }, 'a cancel has not reached the host yet')
    }
  }

  /** Waits, or until the member is connected again. */
  async #rest(peer: string, ms: number, signal: AbortSignal): Promise<void> {
    const woken = new AbortController()
    const wake = () => woken.abort()
    const waiting = this.#wake.get(peer) ?? new Set()
    this.#wake.set(peer, waiting.add(wake))
    try {
      await delay(ms, AbortSignal.any([signal, woken.signal]))
    } catch {
      signal.throwIfAborted()
    } finally {
      waiting.delete(wake)
      if (waiting.size === 0) this.#wake.delete(peer)
    }
  }
}
