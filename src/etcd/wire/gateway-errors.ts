/** How etcd's gateway says a status over HTTP. */
import type { EtcdError } from '../status.ts'
import { goString } from './json.ts'

/** By gRPC's status codes (grpc-gateway: runtime/errors.go, HTTPStatusFromCode). */
const HTTP_STATUS: readonly number[] = [
  200, 408, 500, 400, 504, 404, 409, 403, 429, 412, 409, 400, 501, 500, 503, 500, 401,
]
const INTERNAL = 500
const HTTP_NAMES: Readonly<Record<number, string>> = {
  200: 'OK',
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  408: 'Request Timeout',
  409: 'Conflict',
  412: 'Precondition Failed',
  429: 'Too Many Requests',
  500: 'Internal Server Error',
  501: 'Not Implemented',
  503: 'Service Unavailable',
  504: 'Gateway Timeout',
}

export function httpStatus({ code }: EtcdError): number {
  return HTTP_STATUS[code] ?? INTERNAL
}

/** The body of an answer that is a refusal. */
export function errorBody({ code, details }: EtcdError): string {
  const text = goString(details)
  return `{"error":${text},"message":${text},"code":${code}}`
}

/** The last line of a stream that ends with a refusal. */
export function errorLine(error: EtcdError): string {
  const status = httpStatus(error)
  const message = goString(error.details)
  const name = goString(HTTP_NAMES[status] ?? '')
  return `{"error":{"grpc_code":${error.code},"http_code":${status},"message":${message},"http_status":${name}}}\n`
}
