/**
 * Gossip as the rest of the node sees it: a topic whose every message gets a verdict before it goes on to other peers.
 * Messages carry no signature of the publisher: what we gossip is sealed by its author, and the same sealed bytes from
 * two publishers are one message (the message id is their hash).
 */
import { createHash } from 'node:crypto'
import {
  type GossipSub,
  gossipsub,
  StrictNoSign,
  type SubscriptionChangeData,
  TopicValidatorResult,
} from '@libp2p/gossipsub'
import type { Clock } from '../base/clock.ts'
import { messageOf, NodeError } from '../base/errors.ts'
import {
  gossipFrameBytesMax,
  gossipPendingPerPeerMax,
  gossipUnsentBytesMax,
  recordBytesMax,
  topicBytesPerPeerMax,
} from '../base/limits.ts'
import type { Logger } from '../base/logger.ts'
import type { Conduct } from './conduct.ts'
import { type TopicVerdict, Unspread } from './unspread.ts'

export type { TopicVerdict } from './unspread.ts'

export type JudgeMessage = (bytes: Uint8Array, from: string) => Promise<TopicVerdict>

/** What rooms ask of gossip. */
export interface Gossip {
  /**
   * Subscribes; every message that arrives goes through `judge`, but for those of a peer that sends faster than it may:
   * `overlooked` is told of each of them. @returns how to leave the topic.
   */
  join(topic: string, judge: JudgeMessage, overlooked?: (peer: string) => void): () => void
  /** Hears of each peer that begins to listen to a topic: from then on it gets what we publish. @returns how to stop. */
  onSubscriber(topic: string, heard: (peer: string) => void): () => void
  readonly counts: Readonly<Record<TopicVerdict, number>>
  /** @throws NodeError TOO_LARGE. Resolves also when nobody listens: catch-up carries what gossip did not. */
  publish(topic: string, bytes: Uint8Array): Promise<void>
}

const RESULTS = {
  accept: TopicValidatorResult.Accept,
  ignore: TopicValidatorResult.Ignore,
  reject: TopicValidatorResult.Reject,
} as const

/** Small meshes are the normal case: three to ten nodes all know each other (field-tested values). */
const MESH = { D: 4, Dlo: 2, Dhi: 8, Dout: 1, Dlazy: 4 } as const

export interface GossipServiceParts {
  readonly conduct: Conduct
  readonly clock: Clock
  /** The topics that are joined at the moment. */
  readonly topics: ReadonlySet<string>
}

/** The gossipsub service of libp2p, set up once. */
export function gossipService({ conduct, clock, topics }: GossipServiceParts): ReturnType<typeof gossipsub> {
  // Of a topic that is none of ours nobody judges the messages: unread, so that they fill no cache and go on to nobody.
  const refuseUnknown = (topic: string, data: Uint8Array) => {
    if (!topics.has(topic)) throw new Error(`Nobody here listens to ${topic}`)
    return data
  }
  return gossipsub({
    ...MESH,
    floodPublish: true,
    // A member behind a relay gossips over it, also where the relay limits its connections.
    runOnLimitedConnection: true,
    emitSelf: false,
    allowPublishToZeroTopicPeers: true,
    ignoreDuplicatePublishError: true,
    globalSignaturePolicy: StrictNoSign,
    msgIdFn: ({ topic, data }) => messageId(topic, data),
    msgIdToStrFn: idText,
    maxInboundDataLength: gossipFrameBytesMax,
    maxOutboundBufferSize: gossipUnsentBytesMax,
    maxTopicBytesPerPeer: topicBytesPerPeerMax,
    dataTransform: { inboundTransform: refuseUnknown, outboundTransform: (_, data) => data },
    scoreParams: {
      appSpecificScore: (peer: string) => conduct.score(peer, clock.now()),
      // Members of one university share an address, so peers are not judged by it; admission is what stops sybils.
      IPColocationFactorWeight: 0,
    },
  })
}

export interface PubsubGossipParts {
  readonly pubsub: GossipSub
  readonly conduct: Conduct
  readonly clock: Clock
  /** Kept here, read by `gossipService`. */
  readonly topics: Set<string>
  /** Ends the connection to a peer. */
  readonly hangUp: (peer: string) => void
  readonly log: Logger
}

/** What is used of gossipsub beyond its published interface. */
interface Spreading {
  /** The messages that it takes for said. */
  readonly seenCache: { readonly entries: Map<string, unknown> }
  publish(topic: string, bytes: Uint8Array, options: { floodPublish: boolean }): Promise<unknown>
}

/** What was joined, for the next pubsub. */
type Validator = Parameters<GossipSub['topicValidators']['set']>[1]
type OnSubscriptions = (change: SubscriptionChangeData) => void

export class PubsubGossip implements Gossip {
  readonly #parts: PubsubGossipParts
  readonly #pending = new Map<string, number>()
  readonly #counts: Record<TopicVerdict, number> = { accept: 0, ignore: 0, reject: 0 }
  readonly #joined = new Map<string, Validator>()
  readonly #unspread = new Unspread()
  readonly #subscriptionListeners = new Set<OnSubscriptions>()
  #pubsub: GossipSub | undefined

  constructor(parts: PubsubGossipParts) {
    this.#parts = parts
    this.attach(parts.pubsub)
  }

  /** Speaks through this pubsub from now on; what was joined stays joined. */
  attach(pubsub: GossipSub): void {
    this.#pubsub = pubsub
    pubsub.addEventListener('subscription-change', ({ detail }) => {
      if (this.#pubsub !== pubsub) return
      this.#subscribed(detail)
      for (const heard of this.#subscriptionListeners) heard(detail)
    })
    for (const [topic, validator] of this.#joined) subscribe(pubsub, topic, validator)
  }

  /** Until the next `attach` nobody hears what is published. */
  detach(): void {
    this.#pubsub = undefined
  }

  join(topic: string, judge: JudgeMessage, overlooked: (peer: string) => void = () => undefined): () => void {
    const { topics } = this.#parts
    const validator: Validator = async (peer, message) => {
      const from = peer.toString()
      const id = idText(messageId(topic, message.data))
      this.#unspread.came(id)
      const verdict = await this.#verdict(message.data, from, judge)
      if (verdict === 'overlooked') overlooked(from)
      const result = this.#unspread.judged(id, verdict === 'overlooked' ? 'ignore' : verdict)
      this.#counts[result] += 1
      return RESULTS[result]
    }
    topics.add(topic)
    this.#joined.set(topic, validator)
    if (this.#pubsub !== undefined) subscribe(this.#pubsub, topic, validator)
    return () => {
      topics.delete(topic)
      this.#joined.delete(topic)
      this.#pubsub?.unsubscribe(topic)
      this.#pubsub?.topicValidators.delete(topic)
    }
  }

  /** Messages by what became of them, since the start. */
  get counts(): Readonly<Record<TopicVerdict, number>> {
    return this.#counts
  }

  onSubscriber(topic: string, heard: (peer: string) => void): () => void {
    const onChange = ({ peerId, subscriptions }: SubscriptionChangeData) => {
      if (subscriptions.some((s) => s.subscribe && s.topic === topic)) heard(peerId.toString())
    }
    this.#subscriptionListeners.add(onChange)
    return () => this.#subscriptionListeners.delete(onChange)
  }

  async publish(topic: string, bytes: Uint8Array): Promise<void> {
    // An oversize message would silently end a receiver's gossip with us.
    if (bytes.length > recordBytesMax) {
      throw new NodeError(
        'TOO_LARGE',
        `A message has at most ${recordBytesMax} bytes, this one ${bytes.length}`,
      )
    }
    const id = idText(messageId(topic, bytes))
    const before = this.#unspread.said(id)
    if (before === 'judging') return
    const pubsub = this.#pubsub as unknown as Spreading | undefined
    if (before === 'ignored') pubsub?.seenCache.entries.delete(id)
    // Of what was ignored at first, others have told many already.
    await pubsub?.publish(topic, bytes, { floodPublish: before === 'new' })
  }

  /** Hangs up on a peer that names topics without end; what it may make us remember until then is bounded too. */
  #subscribed({ peerId, subscriptions }: SubscriptionChangeData): void {
    const { conduct, clock, hangUp, log } = this.#parts
    const peer = peerId.toString()
    if (conduct.allowsTopics(peer, subscriptions.length, clock.now())) return
    log.warn({ peer, topics: subscriptions.length }, 'a peer that names too many topics is hung up on')
    conduct.bar(peer, clock.now())
    hangUp(peer)
  }

  async #verdict(bytes: Uint8Array, from: string, judge: JudgeMessage): Promise<TopicVerdict | 'overlooked'> {
    const { conduct, clock, log } = this.#parts
    const pending = this.#pending.get(from) ?? 0
    if (pending >= gossipPendingPerPeerMax || !conduct.allows(from, clock.now())) return 'overlooked'
    this.#pending.set(from, pending + 1)
    try {
      const verdict = await judge(bytes, from)
      if (verdict === 'reject') conduct.penalise(from, clock.now())
      return verdict
    } catch (error) {
      log.error({ from, error: messageOf(error) }, 'a gossip message could not be judged')
      return 'ignore'
    } finally {
      const left = (this.#pending.get(from) ?? 1) - 1
      if (left === 0) this.#pending.delete(from)
      else this.#pending.set(from, left)
    }
  }
}

/** [G3] The same bytes from two publishers are one message. */
function messageId(topic: string, data: Uint8Array): Uint8Array {
  return createHash('sha256').update(topic).update(data).digest()
}

const idText = (id: Uint8Array) => Buffer.from(id).toString('base64')

function subscribe(pubsub: GossipSub, topic: string, validator: Validator): void {
  pubsub.topicValidators.set(topic, validator)
  pubsub.subscribe(topic)
}
