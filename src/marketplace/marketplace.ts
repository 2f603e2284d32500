/**
 * The marketplace: an open board on one gossip topic, without an owner. Every node, in a federation or not, hears what
 * others list, keeps it for offline browsing, and announces what it lists itself. Nobody announces for others; a
 * newcomer hears each author when that author renews, which it does at an interval and soon after somebody connects.
 */
import type { Clock } from '../base/clock.ts'
import type { Database } from '../base/database.ts'
import { messageOf, NodeError } from '../base/errors.ts'
import type { Startable } from '../base/lifecycle.ts'
import {
  listingAnnounceMinMs,
  listingBytesMax,
  listingConnectDelayMs,
  listingLifeMs,
  listingRenewalIntervalMs,
  storeQueueMax,
} from '../base/limits.ts'
import type { Logger } from '../base/logger.ts'
import { SerialQueue } from '../base/serial-queue.ts'
import { seal } from '../identity/envelope.ts'
import type { Identity } from '../identity/node-key.ts'
import type { Gossip, TopicVerdict } from '../network/gossip.ts'
import { Catalogue, type Wanted } from './catalogue.ts'
import { byStanding, type Standing } from './choosing.ts'
import { provenFounder } from './founder.ts'
import { judgeListing } from './judge.ts'
import {
  encodeListing,
  type HeldListing,
  hashOf,
  type ListingBody,
  type ListingKind,
  type Offer,
  parseOffer,
  type SealedListing,
} from './listing.ts'
import { ListingStore } from './listing-store.ts'
import { newcomers, renewals } from './pace.ts'

/** [M1] The topic is public and the same for everybody (protocols/marketplace.md §2). */
export const MARKETPLACE_TOPIC = '/mao/marketplace/1'

export interface MarketplaceParts {
  readonly identity: Identity
  readonly gossip: Gossip
  readonly database: Database
  readonly clock: Clock
  readonly log: Logger
  /** How soon after a connect, and how often at most, own listings are announced; ms. */
  readonly announcing?: { readonly connectDelayMs: number; readonly minMs: number }
}

export class Marketplace implements Startable {
  readonly #parts: MarketplaceParts
  readonly #store: ListingStore
  readonly #renewals = renewals()
  readonly #newcomers = newcomers()
  /** Judging and storing change the catalogue together, so they never overlap. */
  readonly #changes = new SerialQueue(storeQueueMax)
  #catalogue: Catalogue
  #stop: (() => void)[] = []
  #announcing: { readonly timer: NodeJS.Timeout; readonly dueMs: number } | undefined
  #announceAgain = false
  #announcedMs = 0
  #isMember: (peer: string) => boolean = () => false
  readonly #changed = { own: 0, all: 0 }

  constructor(parts: MarketplaceParts) {
    this.#parts = parts
    this.#store = new ListingStore(parts.database)
    this.#catalogue = this.#newCatalogue()
  }

  /** Takes some authors for members of this node's federation, whose listings come first. @returns how to end that. */
  prefer(isMember: (peer: string) => boolean): () => void {
    this.#isMember = isMember
    return () => {
      if (this.#isMember === isMember) this.#isMember = () => false
    }
  }

  /** Counts what came, was said anew or was withdrawn: by this node, and by anybody. */
  get changes(): { readonly own: number; readonly all: number } {
    return this.#changed
  }

  /** Who an author is to this node. */
  readonly standingOf = (author: string): Standing => {
    if (author === this.#author) return 'own'
    return this.#isMember(author) ? 'member' : 'stranger'
  }

  /** @throws NodeError STORE_FAILED */
  async start(): Promise<void> {
    if (this.#stop.length > 0) return
    const { gossip } = this.#parts
    this.#catalogue = this.#newCatalogue()
    for (const listing of await this.#store.load()) this.#catalogue.apply(listing)
    const leave = gossip.join(MARKETPLACE_TOPIC, (envelope, from) => this.#hear(envelope, from))
    const timer = setInterval(() => this.#announceSoon(0), listingRenewalIntervalMs)
    timer.unref()
    const quiet = gossip.onSubscriber(MARKETPLACE_TOPIC, () => this.#announceSoon(this.#connectDelayMs))
    this.#stop = [leave, () => clearInterval(timer), quiet]
    try {
      // What this node listed is still meant, however long the node was away; only then is the rest looked at.
      await this.announce()
    } catch (error) {
      await this.stop()
      throw error
    }
  }

  async stop(): Promise<void> {
    for (const stop of this.#stop.splice(0)) stop()
    clearTimeout(this.#announcing?.timer)
    this.#announcing = undefined
    this.#announceAgain = false
    await this.#changes.idle()
  }

  /**
   * Lists something, or lists it anew with other words.
   *
   * @throws NodeError INVALID_INPUT, TOO_LARGE, SIGNATURE_INVALID for a genesis that is another federation's, CONFLICT (this
   * node lists as many things as an author may).
   */
  async publish(offer: Offer): Promise<HeldListing> {
    const { kind, name, description, body } = parseOffer(offer)
    return this.#changes.run(() => this.#write(kind, name, description, body))
  }

  /** Takes back a listing of this node, everywhere. @throws NodeError LISTING_NOT_FOUND */
  async withdraw(kind: ListingKind, name: string): Promise<void> {
    await this.#changes.run(async () => {
      const own = this.#catalogue.at({ kind, name, author: this.#author })
      if (own === undefined || own.body === null) {
        throw new NodeError('LISTING_NOT_FOUND', `This node lists no ${kind} named ${name}`, { kind, name })
      }
      await this.#write(kind, name, '', null)
    })
  }

  /** What is listed, sorted by kind, name and author; also what was heard before the network went away. */
  list(wanted: Wanted = {}): HeldListing[] {
    return this.#catalogue.find(wanted, this.#parts.clock.now())
  }

  /** The listings in which every word of `text` occurs. */
  search(text: string, kind?: ListingKind): HeldListing[] {
    return this.list({ text, kind })
  }

  /**
   * One listing.
   *
   * @throws NodeError LISTING_NOT_FOUND, or CONFLICT when several authors use the name and none is chosen: anybody may
   * call anything anything, so the marketplace does not guess who is meant.
   */
  show(kind: ListingKind, name: string, author?: string): HeldListing {
    const [first, ...others] = this.list({ kind, name, author })
    if (first === undefined) {
      const message = `Nobody lists a ${kind} named ${name}${author === undefined ? '' : ` as ${author}`}`
      throw new NodeError('LISTING_NOT_FOUND', message, { kind, name })
    }
    if (others.length === 0) return first
    const listings = [first, ...others].sort(byStanding(this.standingOf))
    const authors = listings.map((listing) => listing.author)
    const told = listings.map((listing) => {
      return `${listing.author} (${this.standingOf(listing.author)}, known since ${new Date(listing.heardMs).toISOString()})`
    })
    const message = `${authors.length} authors list a ${kind} named ${name}; say which: ${told.join(', ')}`
    throw new NodeError('CONFLICT', message, { kind, name, authors })
  }

  /** Renews and announces all that this node lists, and forgets what has expired. */
  async announce(): Promise<void> {
    this.#announcedMs = this.#parts.clock.now()
    await this.#changes.run(async () => {
      for (const { kind, name, description, body } of this.#own()) {
        await this.#write(kind, name, description, body)
      }
      const expired = this.#catalogue.expired(this.#parts.clock.now())
      if (expired.length === 0) return
      await this.#store.commit([], expired, false)
      for (const listing of expired) this.#catalogue.forget(listing)
    })
  }

  /** Tombstones need no renewal: they live as long as what they withdraw would have. */
  #own(): SealedListing[] {
    // As of the beginning of time nothing has expired yet.
    return this.#catalogue.find({ author: this.#author }, 0)
  }

  #hear(envelope: Uint8Array, from: string): Promise<TopicVerdict> {
    return this.#changes.run(async () => {
      const { clock, log } = this.#parts
      const bench = { catalogue: this.#catalogue, renewals: this.#renewals, newcomers: this.#newcomers }
      const verdict = await judgeListing(envelope, from, bench, clock.now())
      if (verdict.action === 'reject') {
        log.warn({ from, code: verdict.code, reason: verdict.reason }, 'a listing was rejected')
      } else if (verdict.action === 'ignore') {
        log.debug({ from, code: verdict.code }, 'a listing was ignored')
      } else {
        await this.#keep(verdict.listing, verdict.dropped, false)
      }
      return verdict.action
    })
  }

  /** Seals, keeps and gossips a listing of this node. Runs in the queue of changes. */
  async #write(
    kind: ListingKind,
    name: string,
    description: string,
    body: ListingBody | null,
  ): Promise<SealedListing> {
    const { identity, clock, gossip, log } = this.#parts
    const author = identity.peerId
    const time = clock.now()
    const known = this.#catalogue.at({ kind, name, author })
    const version = Math.max(time, (known?.version ?? 0) + 1)
    // A tombstone ends with what it withdraws: a replay of that is expired from then on by itself.
    const expires = body === null && known !== undefined ? known.expires : time + listingLifeMs
    const payload = encodeListing({ kind, name, description, author, version, time, expires, body })
    const envelope = await seal('listing', payload, identity)
    if (envelope.length > listingBytesMax) {
      const message = `The listing takes ${envelope.length} bytes, at most ${listingBytesMax} are allowed; say less in it`
      throw new NodeError('TOO_LARGE', message, { kind, name })
    }
    const listing = { kind, name, description, author, version, time, expires, body }
    const founder = await provenFounder(listing)
    const proven = founder === undefined ? {} : { founder }
    const sealed: SealedListing = { ...listing, ...proven, heardMs: time, hash: hashOf(payload), envelope }
    const merge = this.#catalogue.judge(sealed)
    if (merge.outcome !== 'newer') {
      throw new NodeError('CONFLICT', 'There is no room for another listing; withdraw one first')
    }
    await this.#keep(sealed, merge.dropped, true)
    gossip.publish(MARKETPLACE_TOPIC, envelope).catch((error: unknown) => {
      log.debug({ error: messageOf(error) }, 'a listing was not gossiped; it is announced again later')
    })
    return sealed
  }

  async #keep(listing: SealedListing, dropped: SealedListing | undefined, durable: boolean): Promise<void> {
    const known = this.#catalogue.at(listing)
    const kept = known === undefined ? listing : { ...listing, heardMs: known.heardMs }
    await this.#store.commit([kept], dropped === undefined ? [] : [dropped], durable)
    this.#catalogue.apply(kept, dropped)
    this.#changed.all += 1
    if (listing.author === this.#author) this.#changed.own += 1
  }

  #newCatalogue(): Catalogue {
    // Asked anew each time, since members come and go.
    return new Catalogue({ self: this.#author, isTrusted: (peer) => this.#isMember(peer) })
  }

  /** Announces after `waitMs`, or later when the last time is too recent; one is enough for all who ask meanwhile. */
  #announceSoon(waitMs: number): void {
    const now = this.#parts.clock.now()
    if (this.#announcing !== undefined) {
      // That one may be too soon for a newcomer whose gossip is only being set up.
      if (this.#announcing.dueMs < now + waitMs) this.#announceAgain = true
      return
    }
    const minMs = this.#parts.announcing?.minMs ?? listingAnnounceMinMs
    const restMs = Math.min(this.#announcedMs + minMs - now, minMs)
    const delayMs = Math.max(waitMs, restMs)
    const timer = setTimeout(() => this.#announceNow(), delayMs)
    timer.unref()
    this.#announcing = { timer, dueMs: now + delayMs }
  }

  #announceNow(): void {
    this.#announcing = undefined
    this.announce().catch((error: unknown) => {
      this.#parts.log.warn({ error: messageOf(error) }, 'listings were not announced; they are next time')
    })
    if (!this.#announceAgain) return
    this.#announceAgain = false
    this.#announceSoon(this.#connectDelayMs)
  }

  get #connectDelayMs(): number {
    return this.#parts.announcing?.connectDelayMs ?? listingConnectDelayMs
  }

  get #author(): string {
    return this.#parts.identity.peerId
  }
}
