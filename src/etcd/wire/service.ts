/** What the handlers of etcd's services see of a call; whether it came as gRPC or as JSON is none of their business. */
import type { EtcdError } from '../status.ts'

export interface CallContext {
  /** What the caller shows for itself: the metadata `token`, or the header `Authorization`. */
  readonly token: string | undefined
  /** Address and port of the caller. */
  readonly peer: string
  /** Aborted when the caller takes the call back, goes away, or its deadline has passed. */
  readonly signal: AbortSignal
}

/** One request, one answer. Requests are messages of the table; each handler names the type of its own. */
export type Unary = (request: never, context: CallContext) => object | Promise<object>

/** A call of many messages either way. Listeners are to be set before the handler returns; each kind has one. */
export interface Duplex {
  readonly context: CallContext
  /** What it throws ends the call. */
  onMessage(heard: (request: never) => void): void
  /** The client has said all that it has to say; it still listens. */
  onEnd(heard: () => void): void
  /** Called once, when the call is over, whoever ended it. */
  onClose(heard: () => void): void
  /**
   * @returns false when the client has not taken what came before: wait for `onDrain`. No further messages of the
   * client come until then. What is written to a call that is over is dropped.
   */
  write(response: object): boolean
  onDrain(heard: () => void): void
  /** Ends the call, well or with that status. The second time does nothing. */
  end(error?: EtcdError): void
}

/** Methods by their names, of those of etcd's service that this node serves. */
export interface Service {
  readonly unary?: Readonly<Record<string, Unary>>
  /** A method with a stream of answers and one request is a duplex too. */
  readonly duplex?: Readonly<Record<string, (call: Duplex) => void>>
}

export type ServiceName = 'KV' | 'Watch' | 'Lease' | 'Cluster' | 'Maintenance' | 'Auth'
export type Services = Readonly<Partial<Record<ServiceName, Service>>>
