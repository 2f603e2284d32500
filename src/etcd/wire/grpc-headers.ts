/** The words of gRPC over HTTP/2 (grpc: doc/PROTOCOL-HTTP2.md). */
import type { IncomingHttpHeaders } from 'node:http2'
import { timerMaxMs } from '../../base/limits.ts'
import { EtcdError, STATUS } from '../status.ts'

export const GRPC_TYPE = 'application/grpc'

/** Headers that are sent over and over. gRPC asks for no date, which is the dearest of them to make. */
export const ANSWER = { ':status': 200, 'content-type': GRPC_TYPE }
export const WITH_TRAILERS = { waitForTrailers: true, sendDate: false }
export const WITHOUT_BODY = { endStream: true, sendDate: false }
export const WELL_DONE: Readonly<Record<string, string>> = { 'grpc-status': '0' }

const NANOSECONDS: Readonly<Record<string, number>> = { H: 3_600e9, M: 60e9, S: 1e9, m: 1e6, u: 1e3, n: 1 }
const NS_PER_MS = 1e6

export function isGrpc(contentType: string | undefined): boolean {
  if (contentType === undefined || !contentType.startsWith(GRPC_TYPE)) return false
  const after = contentType[GRPC_TYPE.length]
  return after === undefined || after === '+' || after === ';'
}

/** The header of that name, when it was sent once. */
export function single(headers: IncomingHttpHeaders, name: string): string | undefined {
  const value = headers[name]
  return typeof value === 'string' ? value : undefined
}

/** etcd's clients show a token as metadata of that name; what comes through its gateway, as a header of HTTP. */
export function tokenOf(headers: IncomingHttpHeaders): string | undefined {
  const token = single(headers, 'token') ?? single(headers, 'grpc-metadata-token')
  return token ?? single(headers, 'authorization')?.replace(/^bearer /i, '')
}

/** @returns milliseconds, undefined for none, NaN for what is no time */
export function timeoutMs(header: string | undefined): number | undefined {
  if (header === undefined) return undefined
  const [, digits, unit = ''] = /^(\d{1,8})([HMSmun])$/.exec(header) ?? []
  const ms = (Number(digits) * (NANOSECONDS[unit] ?? Number.NaN)) / NS_PER_MS
  // No timer is longer; neither does any call last that long.
  return ms > timerMaxMs ? undefined : ms
}

/** Percent-encodes what a header does not carry: all but printable ASCII, and the percent sign. */
export function encodeMessage(text: string): string {
  if (/^[ -$&-~]*$/.test(text)) return text
  let encoded = ''
  for (const byte of Buffer.from(text, 'utf8')) {
    const plain = byte >= 0x20 && byte <= 0x7e && byte !== 0x25
    encoded += plain ? String.fromCharCode(byte) : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`
  }
  return encoded
}

export function statusHeaders({ code, details }: EtcdError): Record<string, string> {
  return { 'grpc-status': String(code), 'grpc-message': encodeMessage(details) }
}

export const deadlineExceeded = () => new EtcdError(STATUS.DEADLINE_EXCEEDED, 'context deadline exceeded')
export const cancelled = () => new EtcdError(STATUS.CANCELLED, 'context canceled')
