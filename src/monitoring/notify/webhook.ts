/**
 * Messages to a URL, signed as Standard Webhooks has it (standardwebhooks.com, specification 1.0): the headers
 * webhook-id, webhook-timestamp and webhook-signature over `id.timestamp.body`, by HMAC-SHA-256 (`v1,…`) with a secret
 * that both sides know, or by Ed25519 (`v1a,…`) with a key of which the receiver has the public half.
 */
import { createHmac, createPrivateKey, createPublicKey, type KeyObject, sign } from 'node:crypto'
import { deliveryReasonCharactersMax } from '../../base/limits.ts'
import type { Message } from './message.ts'

export type Signing = 'hmac' | 'ed25519'

/** What the owner of a receiver needs to check signatures: `whsec_…` (keep it secret) or `whpk_…` (public). */
export interface WebhookKey {
  readonly signing: Signing
  readonly text: string
}

const ED25519_PKCS8 = Buffer.from('302e020100300506032b657004220420', 'hex')

/** Ed25519 by its 32 bytes of seed (RFC 8410). */
function privateKeyOf(seed: Uint8Array): KeyObject {
  return createPrivateKey({ key: Buffer.concat([ED25519_PKCS8, seed]), format: 'der', type: 'pkcs8' })
}

/** @param key 32 bytes that only this node knows. Pure. */
export function webhookKeyOf(signing: Signing, key: Uint8Array): WebhookKey {
  if (signing === 'hmac') return { signing, text: `whsec_${Buffer.from(key).toString('base64')}` }
  const { x = '' } = createPublicKey(privateKeyOf(key)).export({ format: 'jwk' })
  return { signing, text: `whpk_${Buffer.from(x, 'base64url').toString('base64')}` }
}

/** The value of webhook-signature. Pure. */
export function signatureOf(
  p: { id: string; seconds: number; body: string },
  signing: Signing,
  key: Uint8Array,
): string {
  const signed = Buffer.from(`${p.id}.${p.seconds}.${p.body}`)
  if (signing === 'hmac') return `v1,${createHmac('sha256', key).update(signed).digest('base64')}`
  return `v1a,${sign(null, signed, privateKeyOf(key)).toString('base64')}`
}

export function webhookBody({ event, timeMs, data }: Message): string {
  return JSON.stringify({ type: event, timestamp: new Date(timeMs).toISOString(), data })
}

/**
 * Delivers once. A redirect is an answer like any other: what was signed for one place is not carried to another.
 *
 * @throws Error saying what the receiver answered, or why it did not.
 */
export async function sendWebhook(p: {
  url: string
  message: Message
  signing: Signing
  key: Uint8Array
  nowMs: number
  signal: AbortSignal
}): Promise<void> {
  const { url, message, signing, key, nowMs, signal } = p
  const body = webhookBody(message)
  const seconds = Math.floor(nowMs / 1_000)
  const { id } = message
  const headers = {
    'content-type': 'application/json',
    'user-agent': 'mao-node',
    'webhook-id': id,
    'webhook-timestamp': String(seconds),
    'webhook-signature': signatureOf({ id, seconds, body }, signing, key),
  }
  const answer = await fetch(url, { method: 'POST', headers, body, redirect: 'manual', signal })
  if (answer.ok) {
    await answer.body?.cancel()
    return
  }
  throw new Error(`it answered ${answer.status}: ${await firstWordsOf(answer)}`)
}

/** Enough of an answer to see what was wrong, however long it is. */
async function firstWordsOf(answer: Response): Promise<string> {
  const decoder = new TextDecoder()
  let text = ''
  for await (const chunk of answer.body ?? []) {
    text += decoder.decode(chunk, { stream: true })
    // Leaving the loop cancels the rest.
    if (text.length >= deliveryReasonCharactersMax) break
  }
  return text.slice(0, deliveryReasonCharactersMax).trim()
}
