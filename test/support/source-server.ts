import { readFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { TestContext } from 'node:test'
import { selfSigned } from './git-http-server.ts'

export type Answering = (response: ServerResponse, request: IncomingMessage) => void

/** A web server of somebody else's, good or bad. */
export interface SourceServer {
  /** `http://127.0.0.1:PORT`, or `https://…`. */
  readonly url: string
  readonly port: number
  /** The certificate of one with TLS, PEM. */
  readonly caFile: string
  /** What was asked for, in order. */
  readonly heard: string[]
  /** Headers of the last request. */
  headers(): IncomingMessage['headers']
  /** What is answered at a path; without one, 404. */
  readonly at: Map<string, Answering>
}

export async function startSourceServer(t: Pick<TestContext, 'after'>, tls = false): Promise<SourceServer> {
  const heard: string[] = []
  const at = new Map<string, Answering>()
  let headers: IncomingMessage['headers'] = {}
  const listener: RequestListener = (request, response) => {
    heard.push(request.url ?? '')
    headers = request.headers
    const { pathname } = new URL(request.url ?? '/', 'http://x')
    const answer = at.get(request.url ?? '') ?? at.get(pathname)
    if (answer !== undefined) return answer(response, request)
    response.writeHead(404).end('no such file')
  }
  const signed = tls ? await selfSigned(t) : undefined
  const pems = async ({ cert, key }: { cert: string; key: string }) => {
    return { cert: await readFile(cert), key: await readFile(key) }
  }
  const server = signed === undefined ? createServer(listener) : createTlsServer(await pems(signed), listener)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  const url = `${tls ? 'https' : 'http'}://127.0.0.1:${port}`
  return { url, port, caFile: signed?.cert ?? '', heard, at, headers: () => headers }
}

/** Answers with a file. */
export function serves(content: string | Uint8Array, headers: Record<string, string> = {}): Answering {
  return (response) => {
    const body = Buffer.from(content)
    response.writeHead(200, { 'content-length': body.length, ...headers }).end(body)
  }
}

export function leadsTo(location: string, status = 302): Answering {
  return (response) => response.writeHead(status, { location }).end()
}
