/** Who outside the federation is told of spikes and runs, what became of each message, and what it is signed with. */
import type { Clock } from '../base/clock.ts'
import type { Database } from '../base/database.ts'
import { type Startable, StopStack } from '../base/lifecycle.ts'
import type { Logger } from '../base/logger.ts'
import { Deliveries, type Delivery } from './notify/deliveries.ts'
import { type Message, messageId, type Teller, type ToldRun } from './notify/message.ts'
import { Notifier } from './notify/notifier.ts'
import { checkNotificationSettings, receiversOf, webhookKey } from './notify/receivers.ts'
import type { WebhookKey } from './notify/webhook.ts'
import type { NotificationSettings } from './settings.ts'

export interface NotificationsParts {
  readonly settings: NotificationSettings
  readonly keyFor: (purpose: string) => Uint8Array
  readonly onRun: (heard: (run: ToldRun) => void) => () => void
  /** All runs that are remembered. */
  readonly runs: () => readonly ToldRun[]
  readonly self: () => Teller
  readonly database: Database
  readonly clock: Clock
  readonly log: Logger
}

export interface ReceiverView {
  readonly name: string
  readonly kind: 'webhook' | 'mail'
  readonly events: readonly string[]
  /** A URL, or the addresses that are mailed to. */
  readonly to: string
}

export class Notifications implements Startable {
  readonly deliveries: Deliveries
  readonly #parts: NotificationsParts
  readonly #notifier: Notifier
  readonly #running = new StopStack()

  constructor(parts: NotificationsParts) {
    this.#parts = parts
    const { database, onRun, runs, self, clock, log } = parts
    this.deliveries = new Deliveries({ database, receivers: receiversOf(parts), clock, log })
    this.#notifier = new Notifier({ deliveries: this.deliveries, onRun, runs, self, clock, log })
  }

  /** @throws NodeError INVALID_CONFIG */
  async start(): Promise<void> {
    checkNotificationSettings(this.#parts.settings)
    await this.#running.start('deliveries', this.deliveries)
    await this.#running.start('notifier', this.#notifier)
  }

  async stop(): Promise<void> {
    await this.#running.unwind()
  }

  receivers(): ReceiverView[] {
    const { settings } = this.#parts
    return receiversOf(this.#parts).map(({ name, kind, events }) => {
      const to = kind === 'mail' ? settings.mail.to.join(', ') : (settings.webhooks[name]?.url ?? '')
      return { name, kind, events, to }
    })
  }

  /** What the owner of a webhook's other end checks signatures with. @throws NodeError NOT_FOUND */
  key(webhook: string): WebhookKey {
    return webhookKey(this.#parts, webhook)
  }

  /** Sends a message of no meaning to everybody who is told anything. @returns its deliveries. */
  async test(): Promise<Delivery[]> {
    const { self, clock } = this.#parts
    const { name: node, peer } = self()
    const timeMs = clock.now()
    const subject = `A test of the notifications of ${node}`
    const message = { timeMs, subject, text: subject, data: { node, peer, test: true } }
    const deliveries: Delivery[] = []
    for (const { name, events } of receiversOf(this.#parts)) {
      const event = events[0]
      if (event === undefined) continue
      const test: Message = { ...message, id: messageId(event, peer, 'test', name, String(timeMs)), event }
      deliveries.push(...(await this.deliveries.tell(test, name)))
    }
    return deliveries
  }
}
