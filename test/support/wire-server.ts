import { Client, credentials, type ServiceError } from '@grpc/grpc-js'
import { silentLogger } from '../../src/base/logger.ts'
import { EtcdError } from '../../src/etcd/status.ts'
import { encode } from '../../src/etcd/wire/codec.ts'
import { GrpcServer, type GrpcServerParts } from '../../src/etcd/wire/grpc-server.ts'
import { methods } from '../../src/etcd/wire/schema.ts'
import type {
  CallContext,
  Duplex,
  Service,
  ServiceName,
  Services,
  Unary,
} from '../../src/etcd/wire/service.ts'
import type { Ending } from './etcd-cluster.ts'

/** A server on loopback, for one story. */
export async function wireServer(
  test: Ending,
  services: Services,
  parts: Partial<GrpcServerParts> = {},
): Promise<GrpcServer> {
  const server = new GrpcServer({
    services,
    host: '127.0.0.1',
    port: 0,
    authorize: () => undefined,
    hosts: () => true,
    log: silentLogger,
    ...parts,
  })
  await server.start()
  test.after(() => server.stop())
  return server
}

interface Handlers {
  readonly unary: Record<string, Unary>
  readonly duplex: Record<string, (call: Duplex) => void>
}

const same = (bytes: Buffer) => bytes

/** Handlers for all methods that hand the bytes on to a real etcd, and its answers back. */
export function servicesOf(etcd: string, test: Ending): Services {
  const client = new Client(etcd, credentials.createInsecure())
  test.after(() => client.close())
  const services: Partial<
    Record<ServiceName, { unary: Record<string, Unary>; duplex: Record<string, (call: Duplex) => void> }>
  > = {}
  for (const { service, name, path, messages, requestStream, responseStream } of methods.values()) {
    if (messages === undefined) continue
    const { request: type } = messages
    services[service as ServiceName] ??= { unary: {}, duplex: {} }
    const handlers = services[service as ServiceName] as Handlers
    if (!requestStream && !responseStream) {
      handlers.unary[name] = (request: object, _: CallContext) => {
        return new Promise((resolve, reject) => {
          client.makeUnaryRequest(path, same, same, encode(type, request), (error, answer) => {
            if (error === null) resolve({ encoded: answer as Buffer })
            else reject(new EtcdError(error.code, error.details))
          })
        })
      }
      continue
    }
    handlers.duplex[name] = (call) => {
      const there = client.makeBidiStreamRequest(path, same, same)
      let closed = false
      there.on('data', (encoded: Buffer) => call.write({ encoded }))
      there.on('error', ({ code, details }: ServiceError) => {
        if (!closed) call.end(new EtcdError(code, details))
      })
      there.on('end', () => call.end())
      call.onMessage((request: object) => {
        there.write(encode(type, request))
        if (!requestStream) there.end()
      })
      call.onEnd(() => {
        if (requestStream) there.end()
      })
      call.onClose(() => {
        closed = true
        there.cancel()
      })
    }
  }
  return services as Partial<Record<ServiceName, Service>>
}
