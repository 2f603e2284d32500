/** Serves `/mao/run/1.0.0` to members: takes their runs as the policy says, and tells them how those go. */
import { messageOf, NodeError } from '../../base/errors.ts'
import type { Startable } from '../../base/lifecycle.ts'
import {
  MINUTE_MS,
  runFollowersPerPeerMax,
  runFollowMaxMs,
  runRequestBytesMax,
  runRequestsPerMinuteMax,
  runStreamsMax,
} from '../../base/limits.ts'
import type { Logger } from '../../base/logger.ts'
import type { Datasets } from '../../datasets/datasets.ts'
import type { Members } from '../../federation/members.ts'
import type { ByteStream } from '../../network/byte-stream.ts'
import type { Streams } from '../../network/network.ts'
import { isEnded, type Run } from '../runs/run.ts'
import { serveFollower } from './follow-server.ts'
import type { HostExecution, RunDesk } from './run-desk.ts'
import { type Question, questionSchema, RUN_PROTOCOL, RunTalk } from './run-protocol.ts'
import { mayStillRead, opennessOf } from './told.ts'

export interface RunHostParts {
  readonly streams: Pick<Streams, 'handle'>
  readonly desk: RunDesk
  readonly execution: HostExecution
  readonly datasets: Pick<Datasets, 'repository' | 'onAccess'>
  readonly members: Pick<Members, 'isMember' | 'onChange'>
  readonly log: Logger
}

interface Follower {
  readonly peer: string
  readonly cut: AbortController
}

export class RunHost implements Startable {
  readonly #parts: RunHostParts
  readonly #followers = new Set<Follower>()
  /** Per member, when its requests of the last minute came, ms since the process began. */
  readonly #asked = new Map<string, number[]>()
  #streams = 0
  #stopping = new AbortController()
  #unhandle: (() => Promise<void>) | undefined
  #unwatch: (() => void)[] = []

  constructor(parts: RunHostParts) {
    this.#parts = parts
  }

  async start(): Promise<void> {
    if (this.#unhandle !== undefined) return
    this.#stopping = new AbortController()
    this.#unhandle = await this.#parts.streams.handle(RUN_PROTOCOL, (stream) => this.#serve(stream))
    const again = () => this.judgeAgain()
    this.#unwatch = [this.#parts.members.onChange(again), this.#parts.datasets.onAccess(again)]
    this.judgeAgain()
  }

  async stop(): Promise<void> {
    const unhandle = this.#unhandle
    this.#unhandle = undefined
    for (const unwatch of this.#unwatch.splice(0)) unwatch()
    await unhandle?.()
    this.#stopping.abort(new NodeError('CANCELLED', 'The node stops'))
  }

  /** [MUST] Who is no member any more, or whose tool is trusted no more, gets nothing further (run.md R3, R34). */
  judgeAgain(): void {
    const { members, execution, desk, log } = this.#parts
    for (const { peer, cut } of this.#followers) {
      if (!members.isMember(peer)) cut.abort(stranger())
    }
    for (const run of execution.runs()) {
      if (isEnded(run) || run.owner === undefined || run.owner === 'node') continue
      if (members.isMember(run.owner) && mayStillRead(run, desk.dataFacts(run.owner))) continue
      log.info({ run: run.id, owner: run.owner }, 'a run is ended: it would not be taken any more')
      execution.cancel(run.id).catch((error: unknown) => {
        log.warn({ run: run.id, error: messageOf(error) }, 'a run of a former member was not ended')
      })
    }
  }

  async #serve(stream: ByteStream): Promise<void> {
    const talk = new RunTalk(stream, runRequestBytesMax)
    this.#streams += 1
    try {
      // [MUST] Membership comes before a word is heard (run.md R2).
      if (!this.#parts.members.isMember(stream.peer)) throw stranger()
      if (this.#streams > runStreamsMax) throw new NodeError('QUEUE_FULL', 'too many streams at once')
      await this.#answer(talk, await talk.hear(questionSchema))
    } catch (error) {
      this.#parts.log.debug(
        { peer: stream.peer, error: messageOf(error) },
        'a question about a run was refused',
      )
      await talk.refuse(error)
    } finally {
      this.#streams -= 1
    }
  }

  async #answer(talk: RunTalk, question: Question): Promise<void> {
    const { desk, execution } = this.#parts
    const { peer } = talk
    if (question.kind === 'follow') return this.#follow(talk, question)
    if (question.kind === 'cancel') {
      const run = this.#chain(peer, question.request).at(-1) as Run
      const { state } = await execution.cancel(run.id)
      await talk.say({ kind: 'cancelled', state })
    } else if (question.kind === 'submit') {
      this.#count(peer)
      const { id, state } = await desk.take(peer, question.request)
      await talk.say({ kind: 'accepted', run: id, state })
    } else {
      this.#count(peer)
      const { request, decision } = await desk.judge(peer, question.request, true)
      const { granted, logs, steps, imageDigests } = decision
      const open = opennessOf({ plan: steps, imageDigests: { ...imageDigests } }, desk.dataFacts(peer))
      this.#parts.log.debug({ peer, request: request.request }, 'a run would be taken')
      await talk.say({ kind: 'offer', granted, free: desk.free(), logs: logs && open.logs })
    }
    await talk.end()
  }

  async #follow(talk: RunTalk, question: Extract<Question, { kind: 'follow' }>): Promise<void> {
    const { desk, execution, datasets } = this.#parts
    const { peer } = talk
    this.#chain(peer, question.request)
    const many = [...this.#followers].filter((other) => other.peer === peer).length
    if (many >= runFollowersPerPeerMax) {
      throw new NodeError(
        'QUEUE_FULL',
        `you follow ${many} runs here already; end one of these streams first`,
      )
    }
    const follower: Follower = { peer, cut: new AbortController() }
    this.#followers.add(follower)
    const deadline = AbortSignal.timeout(runFollowMaxMs)
    const signal = AbortSignal.any([this.#stopping.signal, follower.cut.signal, deadline])
    // A writer that waits for a follower that reads nothing is let go as well.
    const cut = () => talk.cut(new Error(messageOf(signal.reason)))
    signal.addEventListener('abort', cut, { once: true })
    const left = () => follower.cut.abort(new NodeError('STREAM_CLOSED', 'The follower has gone'))
    talk.untilGone().then(left, left)
    try {
      await serveFollower(
        {
          ...{ talk, question, execution, datasets },
          chain: () => desk.chain(peer, question.request),
          openness: (run) => opennessOf(run, desk.dataFacts(peer)),
        },
        signal,
      )
    } finally {
      signal.removeEventListener('abort', cut)
      this.#followers.delete(follower)
    }
  }

  /** [MUST] A member learns of its own runs alone; those of others are as if they were not there (run.md R4). */
  #chain(peer: string, request: string): Run[] {
    const chain = this.#parts.desk.chain(peer, request)
    if (chain.length > 0) return chain
    throw new NodeError('RUN_NOT_FOUND', `this node has no run of your request ${request}`)
  }

  #count(peer: string): void {
    const now = performance.now()
    const recent = (this.#asked.get(peer) ?? []).filter((at) => at > now - MINUTE_MS)
    if (recent.length >= runRequestsPerMinuteMax) {
      throw new NodeError(
        'QUEUE_FULL',
        `more than ${runRequestsPerMinuteMax} requests in a minute; slow down`,
      )
    }
    // Only members are counted, so the map has no more of them than the federation ever had.
    this.#asked.set(peer, [...recent, now])
  }
}

function stranger(): NodeError {
  return new NodeError('NOT_A_MEMBER', 'only members of the federation run anything here')
}
