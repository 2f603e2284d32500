import assert from 'node:assert/strict'
import { fileURLToPath } from 'node:url'
import {
  type Client,
  type ClientDuplexStream,
  type ClientReadableStream,
  credentials,
  type GrpcObject,
  loadPackageDefinition,
  type ServiceClientConstructor,
  type ServiceError,
  status,
} from '@grpc/grpc-js'
import { loadSync } from '@grpc/proto-loader'
import type * as rpc from 'etcd3'
import { eventually } from './eventually.ts'

const DEADLINE_MS = 10_000

/** The messages as the .proto files of the etcd3 package say them, so that no code of ours takes part. */
const definition = loadSync(fileURLToPath(new URL('../proto/rpc.proto', import.meta.resolve('etcd3'))), {
  keepCase: true,
  longs: String,
  enums: String,
  defaults: true,
})
const services = loadPackageDefinition(definition).etcdserverpb as GrpcObject

/** etcd's services called by their names, with nothing between the test and the wire but the codec. */
export class RawEtcd {
  readonly #address: string
  readonly #clients = new Map<string, Client>()

  constructor(address: string) {
    this.#address = address
  }

  close(): void {
    for (const client of this.#clients.values()) client.close()
  }

  range = (request: rpc.IRangeRequest) => this.call<rpc.IRangeResponse>('KV', 'Range', request)
  put = (request: rpc.IPutRequest) => this.call<rpc.IPutResponse>('KV', 'Put', request)
  txn = (request: rpc.ITxnRequest) => this.call<rpc.ITxnResponse>('KV', 'Txn', request)
  delete = (request: rpc.IDeleteRangeRequest) =>
    this.call<rpc.IDeleteRangeResponse>('KV', 'DeleteRange', request)
  compact = (request: rpc.ICompactionRequest) => this.call<rpc.ICompactionResponse>('KV', 'Compact', request)
  grant = (request: rpc.ILeaseGrantRequest) =>
    this.call<rpc.ILeaseGrantResponse>('Lease', 'LeaseGrant', request)
  revoke = (ID: string) => this.call<rpc.ILeaseRevokeResponse>('Lease', 'LeaseRevoke', { ID })
  timeToLive = (request: rpc.ILeaseTimeToLiveRequest) =>
    this.call<rpc.ILeaseTimeToLiveResponse>('Lease', 'LeaseTimeToLive', request)
  leases = () => this.call<rpc.ILeaseLeasesResponse>('Lease', 'LeaseLeases', {})

  /** The revision that the store is at. */
  async revision(): Promise<number> {
    return revisionOf(await this.range({ key: Buffer.from('/nothing') }))
  }

  call<T>(service: string, method: string, request: object): Promise<T> {
    const client = this.#client(service) as unknown as Record<string, (...args: unknown[]) => unknown>
    return new Promise((resolve, reject) => {
      client[method]?.(request, { deadline: Date.now() + DEADLINE_MS }, (error: unknown, answer: T) =>
        error ? reject(error) : resolve(answer),
      )
    })
  }

  /** What the server says to these bytes as the message of the method at this path. */
  send(path: string, message: Buffer): Promise<{ code: status; details: string; message: Buffer }> {
    const same = (bytes: Buffer) => bytes
    return new Promise((resolve) => {
      const options = { deadline: Date.now() + DEADLINE_MS }
      this.#client('KV').makeUnaryRequest(path, same, same, message, options, (error, answer) => {
        const { code, details } = error ?? { code: status.OK, details: '' }
        resolve({ code, details, message: answer ?? Buffer.alloc(0) })
      })
    })
  }

  watch(): WatchStream {
    return new WatchStream(this.stream('Watch', 'Watch'))
  }

  keepAlive(): Talk<{ ID: string }, rpc.ILeaseKeepAliveResponse> {
    return new Talk(this.stream('Lease', 'LeaseKeepAlive'))
  }

  /** All that the server sends in answer to one request. */
  async collect<Response>(service: string, method: string, request: object): Promise<Response[]> {
    const client = this.#client(service) as unknown as Record<
      string,
      (...args: unknown[]) => ClientReadableStream<Response>
    >
    const open = client[method]
    assert(open, `${service} has no ${method}`)
    return await open.call(client, request, { deadline: Date.now() + DEADLINE_MS }).toArray()
  }

  stream<Request, Response>(service: string, method: string): ClientDuplexStream<Request, Response> {
    const client = this.#client(service) as unknown as Record<
      string,
      (options: object) => ClientDuplexStream<Request, Response>
    >
    const open = client[method]
    assert(open, `${service} has no ${method}`)
    return open.call(client, { deadline: Date.now() + 3 * DEADLINE_MS })
  }

  #client(service: string): Client {
    let client = this.#clients.get(service)
    if (client === undefined) {
      // What a server may take is its own affair: the client does not stop an oversize message.
      const unlimited = { 'grpc.max_send_message_length': -1, 'grpc.max_receive_message_length': -1 }
      const Service = services[service] as ServiceClientConstructor
      client = new Service(this.#address, credentials.createInsecure(), unlimited)
      this.#clients.set(service, client)
    }
    return client
  }
}

/** A stream both ways; answers are read in the order in which they came. */
export class Talk<Request, Response> {
  readonly #stream: ClientDuplexStream<Request, Response>
  readonly #unread: Response[] = []
  #over: ServiceError | 'ended' | undefined

  constructor(stream: ClientDuplexStream<Request, Response>) {
    this.#stream = stream
    stream.on('data', (answer: Response) => this.#unread.push(answer))
    stream.on('error', (error: ServiceError) => {
      this.#over = error
    })
    stream.on('end', () => {
      this.#over ??= 'ended'
    })
  }

  send(request: Request): void {
    this.#stream.write(request)
  }

  async next(): Promise<Response> {
    await eventually(() => this.#unread.length > 0 || this.#over !== undefined, 'no answer came', DEADLINE_MS)
    const answer = this.#unread.shift()
    if (answer === undefined) throw this.#over === 'ended' ? new Error('the stream ended') : this.#over
    return answer
  }

  /** Asks, and waits for the next answer. */
  ask(request: Request): Promise<Response> {
    this.send(request)
    return this.next()
  }

  /** How the server ended the stream. */
  async end(): Promise<ServiceError | 'ended'> {
    await eventually(() => this.#over !== undefined, 'the stream did not end', DEADLINE_MS)
    return this.#over as ServiceError | 'ended'
  }

  /** Our side has said all. */
  finish(): void {
    this.#stream.end()
  }

  cancel(): void {
    this.#stream.cancel()
  }
}

type WatchRequest = { create_request?: rpc.IWatchCreateRequest; cancel_request?: rpc.IWatchCancelRequest } & {
  progress_request?: object
}
export type WatchAnswer = rpc.IWatchResponse & { readonly fragment: boolean }

export class WatchStream extends Talk<WatchRequest, WatchAnswer> {
  create(request: rpc.IWatchCreateRequest & { fragment?: boolean }): Promise<WatchAnswer> {
    return this.ask({ create_request: request })
  }

  async events(count: number): Promise<rpc.IEvent[]> {
    const events: rpc.IEvent[] = []
    while (events.length < count) events.push(...(await this.next()).events)
    return events
  }
}

export const revisionOf = ({ header }: { header: rpc.IResponseHeader }) => Number(header.revision)

/** Fails unless the call is refused with this very code and these very words. */
export async function refused(call: Promise<unknown>, code: status, details: string): Promise<void> {
  const error = await call.then(
    (answer) => assert.fail(`was answered: ${JSON.stringify(answer)}`),
    (thrown: Partial<ServiceError>) => thrown,
  )
  assert.deepEqual({ code: error.code, details: error.details }, { code, details })
}
