import type { Clock } from '../../base/clock.ts'
import { messageOf } from '../../base/errors.ts'
import type { Startable } from '../../base/lifecycle.ts'
import { offerLookIntervalMs, offerRenewIntervalMs } from '../../base/limits.ts'
import type { Logger } from '../../base/logger.ts'
import type { Members } from '../../federation/members.ts'
import { Collection } from '../../registry/collection.ts'
import type { Registry } from '../../registry/registry.ts'
import type { EngineState } from '../engines/engines.ts'
import type { ExecutionSettings } from '../settings.ts'
import { isSameOffer, OFFERS_PREFIX, type Offer, offerOf, offerSchema } from './offer.ts'

/** How many renewals may be missed before an offer is gone. */
const RENEWALS = 3

export interface OffersParts {
  readonly registry: Pick<Registry, 'get' | 'list' | 'put' | 'delete' | 'watch'>
  readonly members: Pick<Members, 'isMember' | 'onChange'> & Partial<Pick<Members, 'role'>>
  readonly engines: { states(): Promise<readonly EngineState[]> }
  readonly settings: ExecutionSettings
  /** This node's peer id. */
  readonly peer: string
  readonly clock: Clock
  readonly log: Logger
}

/** Tells the members what this node offers, when that has changed and now and then; knows what they offer. */
export class Offers implements Startable {
  readonly #parts: OffersParts
  readonly #collection: Collection<Offer>
  #timer: NodeJS.Timeout | undefined
  #unwatch: (() => void) | undefined
  #looking: Promise<void> | undefined

  constructor(parts: OffersParts) {
    this.#parts = parts
    const { registry, log } = parts
    this.#collection = new Collection({ registry, prefix: OFFERS_PREFIX, schema: offerSchema, log })
  }

  async start(): Promise<void> {
    if (this.#timer !== undefined) return
    this.#timer = setInterval(() => void this.look(), offerLookIntervalMs)
    this.#timer.unref()
    // This node's own admission may be on its way yet.
    this.#unwatch = this.#parts.members.onChange(() => void this.look())
    // An engine that is slow to answer does not keep the node from starting.
    void this.look()
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer)
    this.#unwatch?.()
    this.#timer = undefined
    await this.#looking
  }

  /** What a member offers now. */
  of(peer: string): Offer | undefined {
    return this.#collection.get(peer)?.value
  }

  /** Looks at what there is to offer, and tells it where that is news. */
  async look(): Promise<void> {
    if (this.#looking !== undefined) return this.#looking
    this.#looking = this.#tell().finally(() => {
      this.#looking = undefined
    })
    return this.#looking
  }

  async #tell(): Promise<void> {
    const { members, engines, settings, peer, clock, log } = this.#parts
    // Observers take nothing on, and may not say that they do.
    if (!members.isMember(peer) || members.role?.(peer) === 'observer') return
    try {
      const timeMs = clock.now()
      const said = this.of(peer)
      const isQuiet = settings.remote.accept === 'none'
      const offer = offerOf({
        engines: isQuiet ? [] : await engines.states(),
        ...{ remote: settings.remote, offer: settings.offer, step: settings, timeMs },
        architecture: architectureName(process.arch),
      })
      if (offer === undefined) {
        if (said !== undefined) await this.#collection.remove(peer)
        return
      }
      const isFresh = said !== undefined && said.timeMs + offerRenewIntervalMs > timeMs
      if (isFresh && isSameOffer(said, offer)) return
      const expiresMs = timeMs + RENEWALS * offerRenewIntervalMs
      await this.#collection.put(peer, offer, { expiresMs })
    } catch (error) {
      log.warn({ error: messageOf(error) }, 'what this node offers was not told')
    }
  }
}

/** As images name it. */
function architectureName(arch: string): string {
  return arch === 'x64' ? 'amd64' : arch
}
