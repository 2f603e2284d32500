import { connect } from 'node:net'
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
 * @throws Error with what the server said, or the signal's reason: a server that goes on talking is cut off.
 */
export async function sendMail(p: {
  settings: MailSettings
  password: string
  message: Message
  signal: AbortSignal
}): Promise<void> {
  const { settings, password, message, signal } = p
  const { host, port, security, user, from, to } = settings
  // Loaded here alone: most nodes never send a mail, and every start would pay for it.
  const { createTransport } = await import('nodemailer')
  signal.throwIfAborted()
  // Our own, so that it can be cut: the library bounds only how long a server is silent.
  const socket = connect(port, host)
  const cut = () => socket.destroy(signal.reason)
  signal.addEventListener('abort', cut, { once: true })
  const transport = createTransport({
    ...{ host, port },
    getSocket: (
      _options: unknown,
      done: (error: Error | null, found?: { connection: typeof socket }) => void,
    ) => {
      const failed = (error: Error) => done(error)
      socket.once('error', failed)
      socket.once('connect', () => {
        socket.off('error', failed)
        done(null, { connection: socket })
      })
    },
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
  } catch (error) {
    signal.throwIfAborted()
    throw error
  } finally {
    signal.removeEventListener('abort', cut)
    transport.close()
    socket.destroy()
  }
}
