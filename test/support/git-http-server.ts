import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { promisify } from 'node:util'
import { temporaryDirectory } from './temporary-directory.ts'

const run = promisify(execFile)

/** git's own server program, `git http-backend`, behind Node's http server on loopback. */
export interface GitHttpServer {
  /** `https://127.0.0.1:PORT`, or `http://…`. */
  readonly url: string
  readonly port: number
  /** The certificate that it is checked with, PEM. */
  readonly caFile: string
  /** The headers of all requests so far. */
  readonly heard: readonly IncomingMessage['headers'][]
  /** Answers all requests from now on in this way instead of by git; undefined: by git again. */
  instead: RequestListener | undefined
  /** Cuts the connection once so many bytes of a fetched pack have gone. */
  cutAfterBytes: number | undefined
  stop(): Promise<void>
}

export interface GitHttpOptions {
  /** The directory that holds the repositories. */
  readonly root: string
  readonly tls?: boolean
  /** Who may come in; without it, everybody may read and push. */
  readonly account?: { readonly user: string; readonly password: string }
}

export async function startGitHttpServer(
  test: Pick<TestContext, 'after'>,
  { root, tls = true, account }: GitHttpOptions,
): Promise<GitHttpServer> {
  const { cert, key } = await selfSigned(test)
  const heard: IncomingMessage['headers'][] = []
  const children = new Set<ReturnType<typeof spawn>>()
  const wanted = account && `Basic ${Buffer.from(`${account.user}:${account.password}`).toString('base64')}`

  const listener = (request: IncomingMessage, response: ServerResponse) => {
    heard.push(request.headers)
    if (served.instead !== undefined) return served.instead(request, response)
    if (wanted !== undefined && request.headers.authorization !== wanted) {
      response.writeHead(401, { 'www-authenticate': 'Basic realm="git"' }).end()
      return
    }
    const { pathname, search } = new URL(request.url ?? '/', 'http://x')
    const { headers } = request
    const child = spawn('git', ['-c', 'http.receivepack=true', 'http-backend'], {
      env: {
        PATH: process.env.PATH ?? '',
        HOME: '/nonexistent',
        GIT_CONFIG_NOSYSTEM: '1',
        GIT_PROJECT_ROOT: root,
        GIT_HTTP_EXPORT_ALL: '1',
        GIT_PROTOCOL: String(headers['git-protocol'] ?? ''),
        PATH_INFO: decodeURIComponent(pathname),
        QUERY_STRING: search.slice(1),
        REQUEST_METHOD: request.method ?? 'GET',
        CONTENT_TYPE: headers['content-type'] ?? '',
        REMOTE_ADDR: '127.0.0.1',
        ...(headers['content-length'] === undefined ? {} : { CONTENT_LENGTH: headers['content-length'] }),
        ...(headers['content-encoding'] === undefined
          ? {}
          : { HTTP_CONTENT_ENCODING: headers['content-encoding'] }),
      },
      stdio: ['pipe', 'pipe', 'ignore'],
    })
    children.add(child)
    child.once('close', () => children.delete(child))
    child.stdin.on('error', () => undefined)
    request.pipe(child.stdin)
    void answer(child.stdout, response, /upload-pack$/.test(pathname))
  }

  async function answer(
    output: AsyncIterable<Buffer>,
    response: ServerResponse,
    pack: boolean,
  ): Promise<void> {
    let head = Buffer.alloc(0)
    let [begun, sent] = [false, 0]
    for await (const chunk of output) {
      let content = chunk
      if (!begun) {
        head = Buffer.concat([head, chunk])
        const end = head.indexOf('\r\n\r\n')
        if (end === -1) continue
        begun = true
        content = head.subarray(end + 4)
        const lines = head.toString('latin1', 0, end).split('\r\n')
        const fields = lines.map((line) => [
          line.slice(0, line.indexOf(':')),
          line.slice(line.indexOf(':') + 1).trim(),
        ])
        const { Status = '200', ...headers } = Object.fromEntries(fields) as Record<string, string>
        response.writeHead(Number(Status.split(' ')[0]), headers)
      }
      sent += content.length
      if (pack && served.cutAfterBytes !== undefined && sent > served.cutAfterBytes) {
        response.write(content.subarray(0, served.cutAfterBytes))
        setImmediate(() => response.destroy())
        return
      }
      response.write(content)
    }
    response.end()
  }

  const server = tls
    ? createTlsServer({ cert: await readFile(cert), key: await readFile(key) }, listener)
    : createServer(listener)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  let stopped: Promise<unknown> | undefined
  const stop = async () => {
    for (const child of children) child.kill('SIGKILL')
    stopped ??= once(server.close(), 'close')
    server.closeAllConnections()
    await stopped
  }
  test.after(stop)
  const served: GitHttpServer = {
    url: `${tls ? 'https' : 'http'}://127.0.0.1:${port}`,
    port,
    caFile: cert,
    heard,
    instead: undefined,
    cutAfterBytes: undefined,
    stop,
  }
  return served
}

/** A certificate that stands for 127.0.0.1 and vouches for itself. */
export async function selfSigned(test: Pick<TestContext, 'after'>): Promise<{ cert: string; key: string }> {
  const directory = await temporaryDirectory(test)
  const [cert, key] = [join(directory, 'cert.pem'), join(directory, 'key.pem')]
  const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2']
  const names = ['-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1,DNS:localhost']
  await run('openssl', ['req', '-x509', ...kind, ...names, '-keyout', key, '-out', cert])
  return { cert, key }
}
