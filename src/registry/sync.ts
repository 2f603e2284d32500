/**
 * Catch-up (protocols/registry-sync.md): what gossip did not bring, peers pull from each other on every connect and at
 * an interval. The puller drives, the server only answers and keeps nothing between two questions, so a catch-up that
 * is cut simply goes on with the next.
 */
import { decode, encode } from '@ipld/dag-cbor'
import { z } from 'zod'
import { isNodeError, messageOf, NodeError } from '../base/errors.ts'
import type { Startable } from '../base/lifecycle.ts'
import {
  frameBytesMax,
  recordBytesMax,
  syncIntervalMs,
  syncRecordsPerFrameMax,
  syncRelayedMax,
  syncSettleMs,
  syncTimeoutMs,
} from '../base/limits.ts'
import type { Logger } from '../base/logger.ts'
import { bytesSchema } from '../base/schemas.ts'
import { withDeadline } from '../base/wait.ts'
import type { ByteStream } from '../network/byte-stream.ts'
import { Frames } from '../network/frames.ts'
import type { Network } from '../network/network.ts'
import {
  answer,
  digestRange,
  EVERYTHING,
  lacking,
  lowerBound,
  type Range,
  type RangeAnswer,
} from './ranges.ts'
import type { Registry } from './registry.ts'
import { placeOf } from './state.ts'

export const SYNC_PROTOCOL = '/mao/sync/1.0.0'

const place = z.string().max(2 * 1024)
const hash = z.string().length(64)
const digestSchema = z.object({ from: place, to: place.nullable(), digest: hash })

/** [S2] What a puller may ask (protocols/registry-sync.md §3). */
const questionSchema = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('compare'), federation: z.string(), range: digestSchema }),
  z.object({
    kind: z.literal('get'),
    federation: z.string(),
    places: z.array(place).max(syncRecordsPerFrameMax),
  }),
])
type Question = z.infer<typeof questionSchema>

const answerSchema: z.ZodType<RangeAnswer> = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('same') }),
  z.object({ kind: z.literal('list'), held: z.array(z.tuple([place, hash])).max(1_024) }),
  z.object({ kind: z.literal('split'), parts: z.array(digestSchema).max(64) }),
])
const recordsSchema = z.object({ envelopes: z.array(bytesSchema).max(syncRecordsPerFrameMax) })

/** Admissions come first: without them the records of new members would be ignored as unknown. */
const PULL_ORDER: readonly Range[] = [{ from: '/members/', to: '/members0' }, EVERYTHING]

/** An admission may hang on another that sorts after it; each pass resolves at least one more link. */
const PASSES_MAX = 4

export interface SyncParts {
  readonly registry: Pick<Registry, 'federation' | 'records' | 'receive'>
  readonly network: Pick<Network, 'handle' | 'open' | 'onConnect' | 'connectedPeers'>
  /** May this peer read the registry? Strangers are refused before anything is said. */
  readonly mayRead: (peer: string) => boolean
  /** Gossips a record that came by catch-up; see [S7]. */
  readonly relay: (envelope: Uint8Array) => void
  readonly log: Logger
}

export interface SyncResult {
  readonly accepted: number
  readonly refused: number
}

export class Sync implements Startable {
  readonly #parts: SyncParts
  readonly #running = new Map<string, Promise<void>>()
  readonly #again = new Set<string>()
  #stop: (() => Promise<void> | void)[] = []
  #stopping = new AbortController()
  #stopped = true

  constructor(parts: SyncParts) {
    this.#parts = parts
  }

  async start(): Promise<void> {
    if (!this.#stopped) return
    this.#stopped = false
    this.#stopping = new AbortController()
    const { network } = this.#parts
    const unhandle = await network.handle(SYNC_PROTOCOL, (stream) => this.#serve(stream))
    const timer = setInterval(() => this.pullAll(), syncIntervalMs)
    timer.unref()
    const deaf = network.onConnect((peer) => {
      this.pull(peer)
      // [S6] What the peer wrote between the first pull and the first gossip would else wait for the interval.
      setTimeout(() => this.pull(peer), syncSettleMs).unref()
    })
    this.#stop = [() => clearInterval(timer), deaf, unhandle]
    this.pullAll()
  }

  async stop(): Promise<void> {
    this.#stopped = true
    this.#stopping.abort(new NodeError('CANCELLED', 'The node stops'))
    for (const stop of this.#stop.splice(0)) await stop()
    await Promise.all(this.#running.values())
  }

  /** Pulls from every connected peer; as at the interval, and after a change among the members. */
  pullAll(): void {
    for (const peer of this.#parts.network.connectedPeers()) this.pull(peer)
  }

  /** Pulls from one peer, once more if a pull is under way. */
  pull(peer: string): void {
    if (this.#stopped) return
    if (this.#running.has(peer)) {
      this.#again.add(peer)
      return
    }
    const run = this.#pullLogged(peer).finally(() => {
      this.#running.delete(peer)
      if (this.#again.delete(peer)) this.pull(peer)
    })
    this.#running.set(peer, run)
  }

  /** Pulls all that `peer` has and we lack. @throws NodeError PEER_UNREACHABLE, STREAM_CLOSED, TIMED_OUT */
  async pullNow(peer: string): Promise<SyncResult> {
    const signal = AbortSignal.any([this.#stopping.signal, AbortSignal.timeout(syncTimeoutMs)])
    const stream = await this.#parts.network.open(peer, SYNC_PROTOCOL, signal)
    const cut = () => stream.abort(new NodeError('CANCELLED', 'The catch-up was cut short'))
    signal.addEventListener('abort', cut, { once: true })
    // It may have been cut short while the stream opened, and that event does not come again.
    if (signal.aborted) cut()
    try {
      const result = await withDeadline(this.#reconcile(new Frames(stream)), syncTimeoutMs, 'The catch-up')
      await stream.closeWrite()
      return result
    } catch (error) {
      stream.abort(error instanceof Error ? error : new Error(String(error)))
      throw error
    } finally {
      signal.removeEventListener('abort', cut)
    }
  }

  async #pullLogged(peer: string): Promise<void> {
    const { log } = this.#parts
    try {
      const { accepted, refused } = await this.pullNow(peer)
      if (accepted > 0 || refused > 0) log.info({ peer, accepted, refused }, 'caught up')
    } catch (error) {
      // A peer that is no member of ours, or that has just gone, is nothing to worry about: the next connect pulls.
      const expected = isNodeError(error, 'PEER_UNREACHABLE') || isNodeError(error, 'STREAM_CLOSED')
      log[expected ? 'debug' : 'warn']({ peer, error: messageOf(error) }, 'catch-up did not end')
    }
  }

  async #reconcile(frames: Frames): Promise<SyncResult> {
    const total = { accepted: 0, refused: 0 }
    for (let pass = 0; pass < PASSES_MAX; pass += 1) {
      const result = await this.#pass(frames)
      total.accepted += result.accepted
      total.refused = result.refused
      // Whatever was refused may be good now that more is known; when nothing new came, it stays refused.
      if (result.refused === 0 || result.accepted === 0) break
    }
    return total
  }

  async #pass(frames: Frames): Promise<SyncResult> {
    const { registry } = this.#parts
    const { federation } = registry
    const open: Range[] = [...PULL_ORDER].reverse()
    const result = { accepted: 0, refused: 0 }
    for (let range = open.pop(); range !== undefined; range = open.pop()) {
      const asked = digestRange(registry.records(), range)
      const answered = answerSchema.parse(await ask(frames, { kind: 'compare', federation, range: asked }))
      if (answered.kind === 'split') {
        const differing = answered.parts.filter((p) => digestRange(registry.records(), p).digest !== p.digest)
        open.push(...differing.reverse())
      } else if (answered.kind === 'list') {
        await this.#fetch(frames, lacking(registry.records(), answered.held), result)
      }
    }
    return result
  }

  async #fetch(
    frames: Frames,
    wanted: string[],
    result: { accepted: number; refused: number },
  ): Promise<void> {
    const { registry, relay } = this.#parts
    let places = wanted
    while (places.length > 0) {
      const asked = places.slice(0, syncRecordsPerFrameMax)
      const question: Question = { kind: 'get', federation: registry.federation, places: asked }
      const { envelopes } = recordsSchema.parse(await ask(frames, question))
      // An empty envelope stands for a record that has gone since it was listed.
      const sent = envelopes.filter((envelope) => envelope.length > 0)
      const verdicts = await Promise.all(sent.map((envelope) => registry.receive(envelope)))
      for (const verdict of verdicts) {
        if (verdict.action === 'accept') {
          result.accepted += 1
          // [S7] Others may be connected to us alone, and would else wait for their next catch-up.
          if (result.accepted <= syncRelayedMax) relay(verdict.record.envelope)
        } else if (verdict.code !== 'DUPLICATE' && verdict.code !== 'STALE') result.refused += 1
      }
      // The server answers with as many as fit one frame, in the order asked; at least one unless it has none left.
      places = envelopes.length === 0 ? [] : places.slice(envelopes.length)
    }
  }

  async #serve(stream: ByteStream): Promise<void> {
    const { registry, mayRead } = this.#parts
    // [S1] Only members may read the registry.
    if (!mayRead(stream.peer)) throw new NodeError('NOT_A_MEMBER', `${stream.peer} is no member`)
    const frames = new Frames(stream)
    for (let frame = await frames.read(); frame !== undefined; frame = await frames.read()) {
      const question = questionSchema.parse(decode(frame))
      if (question.federation !== registry.federation) {
        throw new NodeError('FORBIDDEN', `${stream.peer} asks for another federation`)
      }
      const records = registry.records()
      if (question.kind === 'compare') await frames.write(encode(answer(records, question.range)))
      else await frames.write(encode({ envelopes: this.#envelopes(question.places) }))
    }
    await stream.closeWrite()
  }

  /** The records at `places` as far as they fit one frame; a place that holds nothing any more gives an empty one. */
  #envelopes(places: readonly string[]): Uint8Array[] {
    const records = this.#parts.registry.records()
    const envelopes: Uint8Array[] = []
    let bytes = 0
    for (const wanted of places) {
      const record = records[lowerBound(records, wanted)]
      const envelope =
        record !== undefined && placeOf(record) === wanted ? record.envelope : new Uint8Array(0)
      bytes += envelope.length + 16
      if (bytes > frameBytesMax - recordBytesMax) break
      envelopes.push(envelope)
    }
    return envelopes
  }
}

async function ask(frames: Frames, question: Question): Promise<unknown> {
  await frames.write(encode(question))
  const frame = await frames.read()
  if (frame === undefined) throw new NodeError('STREAM_CLOSED', 'The peer ended the catch-up')
  return decode(frame)
}
