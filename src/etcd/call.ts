import type { EtcdError } from './status.ts'

/** What the services use of a streaming call (wire/: `Duplex`). */
export interface Call<Request> {
  onMessage(heard: (request: Request) => void): void
  /** The client has said all; it may still listen. */
  onEnd(heard: () => void): void
  onClose(heard: () => void): void
  /** False asks to wait for `onDrain`. */
  write(response: object): boolean
  onDrain(heard: () => void): void
  end(error?: EtcdError): void
}
