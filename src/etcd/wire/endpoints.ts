/** Finds what answers a path: a handler of ours, or a refusal that says why there is none. */
import { EtcdError, refuse, STATUS } from '../status.ts'
import { type MessageType, type Method, methods, serviceNames } from './schema.ts'
import type { Duplex, Service, ServiceName, Services, Unary } from './service.ts'

interface Typed {
  readonly path: string
  readonly request: MessageType
  readonly response: MessageType
  /** Whether the client may send more than one message. */
  readonly requestStream: boolean
}
export interface UnaryEndpoint extends Typed {
  readonly unary: Unary
}
export interface DuplexEndpoint extends Typed {
  readonly duplex: (call: Duplex) => void
}
export type Endpoint = UnaryEndpoint | DuplexEndpoint

export class Endpoints {
  readonly #byPath = new Map<string, Endpoint | EtcdError>()
  readonly #byGatewayPath = new Map<string, Endpoint | EtcdError>()

  constructor(services: Services) {
    for (const method of methods.values()) {
      const endpoint = endpointOf(method, services[method.service as ServiceName])
      this.#byPath.set(method.path, endpoint)
      for (const path of method.gatewayPaths) this.#byGatewayPath.set(path, endpoint)
    }
  }

  /** What serves the gRPC method at `path`, or the refusal to answer with: gRPC's own words, as etcd's server has them. */
  find(path: string): Endpoint | EtcdError {
    const found = this.#byPath.get(path)
    if (found !== undefined) return found
    const read = /^\/?(.*)\/([^/]*)$/.exec(path)
    const [, service = '', method = ''] = read ?? []
    if (read === null || service === '') {
      return new EtcdError(STATUS.RESOURCE_EXHAUSTED, `malformed method name: "${path}"`)
    }
    const text = serviceNames.has(service)
      ? `unknown method ${method} for service ${service}`
      : `unknown service ${service}`
    return new EtcdError(STATUS.UNIMPLEMENTED, text)
  }

  /** The same for a path of the JSON gateway, which may have nothing there. */
  findGateway(path: string): Endpoint | EtcdError | undefined {
    return this.#byGatewayPath.get(path)
  }
}

function endpointOf(method: Method, service: Service | undefined): Endpoint | EtcdError {
  const { name, path, messages, requestStream } = method
  const unary = service?.unary?.[name]
  const duplex = service?.duplex?.[name]
  if (messages !== undefined && unary !== undefined) return { path, ...messages, requestStream, unary }
  if (messages !== undefined && duplex !== undefined) return { path, ...messages, requestStream, duplex }
  return refuse(STATUS.UNIMPLEMENTED, `this node does not serve ${name} of etcd's service ${method.service}`)
}
