import { createTransport } from 'nodemailer'
import { deliveryTimeoutMs } from '../../base/limits.ts'
import type { Message } from './message.ts'

export interface MailSettings {
  readonly host: string
  readonly port: number
  /** `tls` from the first byte, `starttls` before anything is said, `none` only on this machine. */
  readonly security: 'tls' | 'starttls' | 'none'
  readonly user: string
  readonly from: string
  readonly to: readonly string[]
}

/**
 * Hands one message to the mail server. Its Message-ID follows from the message's id, so that a mail which went out
 * twice is one to the reader's program.
 *
 * @throws Error with what the server said.
 */
export async function sendMail(p: {
  settings: MailSettings
  password: string
  message: Message
}): Promise<void> {
  const { settings, password, message } = p
  const { host, port, security, user, from, to } = settings
  const transport = createTransport({
    ...{ host, port },
    secure: security === 'tls',
    requireTLS: security === 'starttls',
    ignoreTLS: security === 'none',
    ...(user === '' ? {} : { auth: { user, pass: password } }),
    connectionTimeout: deliveryTimeoutMs,
    greetingTimeout: deliveryTimeoutMs,
    socketTimeout: deliveryTimeoutMs,
    disableFileAccess: true,
    disableUrlAccess: true,
  })
  try {
    await transport.sendMail({
      ...{ from, to: [...to], subject: message.subject, text: message.text },
      messageId: `<${message.id}@${host}>`,
      date: new Date(message.timeMs),
      headers: { 'X-MAO-Event': message.event },
    })
  } finally {
    transport.close()
  }
}
