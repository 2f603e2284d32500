/**
 * A real S3 server: OpenStack Swift with its S3 API (Debian's python3-swift), which keeps objects on the disk and refuses
 * a signature, or bytes, that do not hold. A door before it can be told to be in trouble.
 */
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { mkdir } from 'node:fs/promises'
import { createServer, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import type { TestContext } from 'node:test'
import aws4 from 'aws4'
import { withDeadline } from '../../src/base/wait.ts'
import { temporaryDirectory } from './temporary-directory.ts'

export const S3_KEYS = { accessKeyId: 'test:tester', secretAccessKey: 'testing' }
export const S3_REGION = 'eu-central-1'
const START_TIMEOUT_MS = 30_000

export interface S3Server {
  /** `http://127.0.0.1:PORT` */
  readonly url: string
  /** `METHOD /path` of all requests so far. */
  readonly heard: string[]
  /** Answers the next so many requests with this status instead. */
  failing: { status: number; times: number }
  /** Gives back other bytes than it was given, as a bad disk would. */
  spoiled: ((path: string) => boolean) | undefined
  /** The keys that a bucket holds, sorted. */
  keys(bucket: string): Promise<string[]>
  get(bucket: string, key: string): Promise<Buffer | undefined>
  put(bucket: string, key: string, content: string): Promise<void>
}

/** Swift itself, with a bucket; ended when the test is over. */
export async function startS3Server(t: Pick<TestContext, 'after'>, bucket: string): Promise<S3Server> {
  const inner = await startSwift(t)
  const heard: string[] = []
  const server = createServer(async (asked, answer) => {
    const body = await buffer(asked)
    const { method, url: path = '', headers } = asked
    heard.push(`${method} ${path}`)
    if (served.failing.times > 0) {
      served.failing.times -= 1
      answer.writeHead(served.failing.status).end('<Error><Code>SlowDown</Code></Error>')
      return
    }
    const onward = request({ port: inner, host: '127.0.0.1', method, path, headers }, async (said) => {
      const content = await buffer(said)
      if (method === 'GET' && said.statusCode === 200 && served.spoiled?.(path)) content.fill('!', 0, 1)
      answer.writeHead(said.statusCode ?? 500, said.headers).end(content)
    })
    onward.end(body)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  const served: S3Server = {
    url: `http://127.0.0.1:${port}`,
    heard,
    failing: { status: 503, times: 0 },
    spoiled: undefined,
    keys: async (name) => {
      const { content } = await ask(inner, 'GET', `/${name}`)
      return [...content.toString().matchAll(/<Key>([^<]*)<\/Key>/g)].map(([, key = '']) => key).toSorted()
    },
    get: async (name, key) => {
      const encoded = key.replace(/[^/]+/g, (part) => encodeRfc3986(part))
      const { status, content } = await ask(inner, 'GET', `/${name}/${encoded}`)
      return status === 200 ? content : undefined
    },
    put: async (name, key, content) => {
      const { status } = await ask(inner, 'PUT', `/${name}/${key}`, content)
      if (status !== 200) throw new Error(`${key} was not put: ${status}`)
    },
  }
  const made = await ask(inner, 'PUT', `/${bucket}`)
  if (made.status !== 200) throw new Error(`no bucket was made: ${made.status} ${made.content}`)
  return served
}

/** @returns its port. */
async function startSwift(t: Pick<TestContext, 'after'>): Promise<number> {
  const directory = await temporaryDirectory(t)
  await mkdir(join(directory, 'd1'))
  const script = join(import.meta.dirname, 'swift-server.py')
  // Debian's own Python, whose modules its packages are.
  const child = spawn('/usr/bin/python3', [script, directory], { stdio: ['ignore', 'pipe', 'pipe'] })
  let said = ''
  child.stderr.on('data', (bytes) => {
    said += String(bytes)
  })
  t.after(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return
    child.kill('SIGKILL')
    await once(child, 'close')
  })
  const port = once(child.stdout, 'data').then(([bytes]) => Number(String(bytes)))
  const ended = once(child, 'close').then(() => Promise.reject(new Error(`Swift ended at once: ${said}`)))
  ended.catch(() => undefined)
  return withDeadline(Promise.race([port, ended]), START_TIMEOUT_MS, 'The start of Swift')
}

async function ask(port: number, method: string, path: string, body = '') {
  const host = `127.0.0.1:${port}`
  const sha256 = createHash('sha256').update(body).digest('hex')
  const headers = { 'X-Amz-Content-Sha256': sha256, 'Content-Length': Buffer.byteLength(body) }
  const signed = aws4.sign({ service: 's3', region: S3_REGION, host, method, path, headers }, S3_KEYS)
  const options = { host: '127.0.0.1', port, method, path, headers: signed.headers as Record<string, string> }
  return new Promise<{ status: number; content: Buffer }>((resolve, reject) => {
    const asking = request(options, (said) => {
      buffer(said).then((content) => resolve({ status: said.statusCode ?? 0, content }), reject)
    })
    asking.once('error', reject)
    asking.end(body)
  })
}

function encodeRfc3986(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (each) => `%${each.charCodeAt(0).toString(16).toUpperCase()}`,
  )
}
