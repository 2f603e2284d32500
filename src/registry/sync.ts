/**
 * Catch-up (protocols/registry-sync.md): what gossip did not bring, peers pull from each other on every connect and at
 * an interval. The puller drives, the server only answers and keeps nothing between two questions, so a catch-up that
 * is cut simply goes on with the next. This file says when is pulled from whom; sync-pull.ts pulls.
 */
import { type Clock, systemClock } from '../base/clock.ts'
import { isNodeError, messageOf, NodeError } from '../base/errors.ts'
import type { Startable } from '../base/lifecycle.ts'
import {
  syncBesideMax,
  syncFetchingMax,
  syncIntervalMs,
  syncSettleMs,
  syncSettlesMax,
  syncTimeoutMs,
  syncTurnMs,
} from '../base/limits.ts'
import type { Logger } from '../base/logger.ts'
import { Frames } from '../network/frames.ts'
import type { Network } from '../network/network.ts'
import type { Registry } from './registry.ts'
import { type PeerDigest, SyncLedger, type SyncProgress, type SyncTotals } from './sync-ledger.ts'
import { SYNC_PROTOCOL } from './sync-messages.ts'
import { SyncPull } from './sync-pull.ts'
import { serveSync } from './sync-server.ts'
import { SyncSlices } from './sync-slices.ts'
import { SyncTurns } from './sync-turns.ts'

export { SYNC_PROTOCOL } from './sync-messages.ts'

export interface SyncParts {
  readonly registry: Pick<Registry, 'federation' | 'index' | 'receiveAll'>
  readonly network: Pick<Network, 'handle' | 'open' | 'onConnect' | 'connectedPeers'>
  /** May this peer read the registry? Strangers are refused before anything is said. */
  readonly mayRead: (peer: string) => boolean
  /** Gossips a record that came by catch-up; see [S7]. */
  readonly relay: (envelope: Uint8Array) => void
  readonly log: Logger
  readonly clock?: Clock
}

export interface SyncResult {
  readonly accepted: number
  /** Records that were offered and may not enter, as far as is known here. */
  readonly refused: number
}

export class Sync implements Startable {
  readonly #parts: SyncParts
  readonly #running = new Map<string, Promise<SyncResult>>()
  readonly #again = new Set<string>()
  readonly #soon = new Map<string, NodeJS.Timeout>()
  readonly #turns = new SyncTurns(syncFetchingMax)
  readonly #ledger: SyncLedger
  #stop: (() => Promise<void> | void)[] = []
  #stopping = new AbortController()
  #stopped = true
  #turn = 0
  #resting: NodeJS.Timeout | undefined
  #callAgain = false

  constructor(parts: SyncParts) {
    this.#parts = parts
    this.#ledger = new SyncLedger(parts.clock ?? systemClock)
  }

  async start(): Promise<void> {
    if (!this.#stopped) return
    this.#stopped = false
    this.#stopping = new AbortController()
    const { network } = this.#parts
    const onQuestion = (peer: string) => this.#ledger.asked(peer)
    const served = { ...this.#parts, slices: new SyncSlices(), onQuestion }
    const unhandle = await network.handle(SYNC_PROTOCOL, (stream) => serveSync(stream, served))
    const timer = setInterval(() => this.pullAll(), syncIntervalMs)
    timer.unref()
    const deaf = network.onConnect((peer) => {
      this.pull(peer)
      this.#settle(peer, syncSettlesMax)
    })
    this.#stop = [() => clearInterval(timer), deaf, unhandle]
    this.pullAll()
  }

  async stop(): Promise<void> {
    this.#stopped = true
    this.#stopping.abort(new NodeError('CANCELLED', 'The node stops'))
    for (const timer of this.#soon.values()) clearTimeout(timer)
    this.#soon.clear()
    clearTimeout(this.#resting)
    this.#resting = undefined
    this.#callAgain = false
    for (const stop of this.#stop.splice(0)) await stop()
    await Promise.allSettled(this.#running.values())
  }

  /** The catch-ups under way, and the last one with each other peer; what moved last comes first. */
  progress(): readonly SyncProgress[] {
    return this.#ledger.progress()
  }

  /** What the catch-ups since the start came to. */
  get totals(): SyncTotals {
    return this.#ledger.totals
  }

  /** What each peer said last of its whole registry; where `same` stays false, two nodes have come apart. */
  digests(): readonly PeerDigest[] {
    return this.#ledger.digests()
  }

  /** Pulls from every connected peer, as at the interval. */
  pullAll(): void {
    for (const peer of this.#parts.network.connectedPeers()) this.pull(peer)
  }

  /**
   * [S17] Pulls from some members, at once and once more for all calls of the next moment. When hundreds join, everybody
   * hears of each of them: pulling from all each time costs the cube of their number, and leaves no time for anything.
   */
  pullSome(): void {
    if (this.#stopped) return
    if (this.#resting !== undefined) {
      this.#callAgain = true
      return
    }
    for (const peer of this.#someBeside()) this.pull(peer)
    this.#resting = setTimeout(() => {
      this.#resting = undefined
      if (!this.#callAgain) return
      this.#callAgain = false
      this.pullSome()
    }, syncSettleMs)
    this.#resting.unref()
  }

  /**
   * Pulls in a moment, once for all calls until then, from a peer whose gossip comes faster than it is judged; and from
   * some members beside it: what it said unjudged gossip takes for known when they say it too.
   */
  pullSoon(peer: string): void {
    if (this.#stopped || this.#soon.has(peer)) return
    const timer = setTimeout(() => {
      this.#soon.delete(peer)
      this.pull(peer)
      for (const other of this.#someBeside(peer)) this.pull(other)
    }, syncSettleMs)
    this.#soon.set(peer, timer.unref())
  }

  /** Others every time, so that it does not stay with those that have nothing. */
  #someBeside(peer?: string): readonly string[] {
    const { network, mayRead } = this.#parts
    const members = network.connectedPeers().filter((other) => other !== peer && mayRead(other))
    this.#turn += syncBesideMax
    return Array.from(
      { length: Math.min(syncBesideMax, members.length) },
      (_, n) => members[(this.#turn + n) % members.length] as string,
    )
  }

  /** Pulls from one peer, once more if a pull is under way. */
  pull(peer: string): void {
    // [S8] Its lies cost us some seconds of work, which nobody may take from us again and again.
    if (this.#stopped || this.#ledger.isDistrusted(peer)) return
    if (this.#running.has(peer)) this.#again.add(peer)
    // What goes wrong is logged where the pull ends.
    else this.#begin(peer).catch(() => undefined)
  }

  /**
   * Pulls all that `peer` has by now and we lack. One that is under way is waited for first, so that nothing is brought
   * twice; the next then has little to ask.
   *
   * @throws NodeError PEER_UNREACHABLE, STREAM_CLOSED, TIMED_OUT, CANCELLED, INVALID_INPUT (the peer is dishonest),
   * STORE_FAILED
   */
  async pullNow(peer: string): Promise<SyncResult> {
    const running = this.#running.get(peer)
    if (running === undefined) return this.#begin(peer)
    const before = await running.catch(() => NOTHING)
    const after = await (this.#running.get(peer) ?? this.#begin(peer))
    return { accepted: before.accepted + after.accepted, refused: after.refused }
  }

  /**
   * [S6] What the peer wrote between the first pull and the first gossip would else wait for the interval. A peer that
   * is still pulling from us is let come to an end first: until then it holds much that is outdated, which differs.
   */
  #settle(peer: string, tries: number): void {
    setTimeout(() => {
      if (tries > 0 && this.#ledger.asks(peer)) this.#settle(peer, tries - 1)
      else this.pull(peer)
    }, syncSettleMs).unref()
  }

  #begin(peer: string): Promise<SyncResult> {
    const run = this.#pullLogged(peer).finally(() => {
      this.#running.delete(peer)
      if (this.#again.delete(peer)) this.pull(peer)
    })
    this.#running.set(peer, run)
    return run
  }

  async #pullLogged(peer: string): Promise<SyncResult> {
    const { log } = this.#parts
    try {
      const result = await this.#pull(peer)
      const { accepted, refused } = result
      if (accepted > 0 || refused > 0) log.info({ peer, accepted, refused }, 'caught up')
      return result
    } catch (error) {
      // A peer that is no member of ours, or that has just gone, is nothing to worry about: the next connect pulls.
      const expected = (['PEER_UNREACHABLE', 'STREAM_CLOSED', 'CANCELLED'] as const).some((code) =>
        isNodeError(error, code),
      )
      log[expected ? 'debug' : 'warn']({ peer, error: messageOf(error) }, 'catch-up did not end')
      throw error
    }
  }

  /** With a signal of its own, so that nothing of a pull outlives it. */
  async #pull(peer: string): Promise<SyncResult> {
    const stopping = this.#stopping.signal
    stopping.throwIfAborted()
    const ending = new AbortController()
    const stop = () => ending.abort(stopping.reason)
    stopping.addEventListener('abort', stop, { once: true })
    const late = new NodeError('TIMED_OUT', `The catch-up with ${peer} took longer than ${syncTimeoutMs} ms`)
    const timer = setTimeout(() => ending.abort(late), syncTimeoutMs)
    try {
      return await this.#pullUntil(peer, ending.signal)
    } finally {
      clearTimeout(timer)
      stopping.removeEventListener('abort', stop)
    }
  }

  async #pullUntil(peer: string, signal: AbortSignal): Promise<SyncResult> {
    const { registry, relay, network } = this.#parts
    const stream = await network.open(peer, SYNC_PROTOCOL, signal)
    const cut = () => stream.abort(new NodeError('CANCELLED', 'The catch-up was cut short'))
    signal.addEventListener('abort', cut, { once: true })
    // It may have been cut short while the stream opened, and that event does not come again.
    if (signal.aborted) cut()
    const onDigest = (digest: string, same: boolean) => this.#ledger.told(peer, digest, same)
    const pull = new SyncPull({ frames: new Frames(stream), registry, relay, onDigest })
    const entry = this.#ledger.begin(peer, pull)
    try {
      await this.#inTurns(pull, signal)
      await stream.closeWrite()
      entry.end()
      return { accepted: pull.accepted, refused: pull.refused }
    } catch (error) {
      entry.end(error)
      stream.abort(error instanceof Error ? error : new Error(String(error)))
      throw error
    } finally {
      signal.removeEventListener('abort', cut)
    }
  }

  /** A peer that has nothing new, or is silent, takes no turn: one question tells, for all peers at once. */
  async #inTurns(pull: SyncPull, signal: AbortSignal): Promise<void> {
    if (await pull.isSame()) return
    for (let complete = false; !complete; ) {
      complete = await this.#turns.take(signal, ({ lane, othersWait }) => {
        const beganMs = performance.now()
        const goOn = () => !othersWait() || performance.now() - beganMs < syncTurnMs
        return pull.run(goOn, { backwards: lane % 2 === 1 })
      })
    }
  }
}

const NOTHING: SyncResult = { accepted: 0, refused: 0 }
