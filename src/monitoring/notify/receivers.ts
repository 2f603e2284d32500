import { readFile, stat } from 'node:fs/promises'
import type { Clock } from '../../base/clock.ts'
import { NodeError } from '../../base/errors.ts'
import type { NotificationSettings } from '../settings.ts'
import type { Receiver } from './deliveries.ts'
import { sendMail } from './mail.ts'
import { sendWebhook, type WebhookKey, webhookKeyOf } from './webhook.ts'

/** Webhooks may have any name but this. */
const MAIL = 'mail'

export interface ReceiversParts {
  readonly settings: NotificationSettings
  /** 32 bytes that only this node knows, for a purpose; the same whenever it is asked for. */
  readonly keyFor: (purpose: string) => Uint8Array
  readonly clock: Clock
}

/** What a webhook is signed with: a key that follows from the node's own, so that none has to be kept. */
function keyOfWebhook({ settings, keyFor }: ReceiversParts, name: string): Uint8Array {
  return keyFor(`mao webhook 1 ${name} ${settings.webhooks[name]?.keyNumber ?? 1}`)
}

/** What the owner of a webhook's other end needs. @throws NodeError NOT_FOUND */
export function webhookKey(parts: ReceiversParts, name: string): WebhookKey {
  const webhook = parts.settings.webhooks[name]
  if (webhook === undefined) {
    const names = Object.keys(parts.settings.webhooks).join(', ') || 'none'
    const message = `No webhook is named ${name} (setting notifications.webhooks); there is ${names}`
    throw new NodeError('NOT_FOUND', message, { name })
  }
  return webhookKeyOf(webhook.signing, keyOfWebhook(parts, name))
}

/** Who the settings say is told. */
export function receiversOf(parts: ReceiversParts): Receiver[] {
  const { settings, clock } = parts
  const webhooks = Object.entries(settings.webhooks).map(([name, { url, signing, events }]): Receiver => {
    const key = keyOfWebhook(parts, name)
    return {
      name,
      kind: 'webhook',
      events,
      send: (message, signal) => sendWebhook({ url, message, signing, key, nowMs: clock.now(), signal }),
    }
  })
  const { mail } = settings
  if (mail.host === '') return webhooks
  const send: Receiver['send'] = async (message, signal) => {
    const password = mail.passwordFile === '' ? '' : await readPassword(mail.passwordFile)
    await sendMail({ settings: mail, password, message, signal })
  }
  return [...webhooks, { name: MAIL, kind: 'mail', events: mail.events, send }]
}

/** @throws NodeError INVALID_CONFIG whose message says what would have to be there. */
export function checkNotificationSettings({ mail, webhooks }: NotificationSettings): void {
  const problems: string[] = []
  if (mail.host !== '') {
    if (mail.from === '') problems.push('notifications.mail.from: the sender is missing')
    if (mail.to.length === 0) problems.push('notifications.mail.to: nobody is named')
    const here = ['localhost', '127.0.0.1', '::1'].includes(mail.host)
    if (mail.security === 'none' && !here) {
      problems.push('notifications.mail.security: none is for a mail server on this machine')
    }
  }
  if (MAIL in webhooks) problems.push(`notifications.webhooks.${MAIL}: this name stands for the mails`)
  if (problems.length === 0) return
  const message = `The settings are not valid: ${problems.join('; ')}`
  throw new NodeError('INVALID_CONFIG', message, { problems })
}

async function readPassword(path: string): Promise<string> {
  if (((await stat(path)).mode & 0o077) !== 0) {
    throw new Error(`${path} can be read by others; make it private with: chmod 600 ${path}`)
  }
  return (await readFile(path, 'utf8')).trim()
}
