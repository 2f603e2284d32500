/**
 * A real S3 server, s3rver from npm, which keeps objects on the disk. It leaves out what Amazon's does not: whether a
 * signature holds and whether the bytes are those that were signed. A door before it checks both as the specification
 * of Signature Version 4 has it, with code of its own.
 */
import { createHash, createHmac } from 'node:crypto'
import { createServer, type IncomingMessage, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import type { TestContext } from 'node:test'
import S3rver from 's3rver'
import { temporaryDirectory } from './temporary-directory.ts'

export const S3_KEYS = { accessKeyId: 'S3RVER', secretAccessKey: 'S3RVER' }

export interface S3Server {
  /** `http://127.0.0.1:PORT` */
  readonly url: string
  /** `METHOD /path` of all requests so far. */
  readonly heard: string[]
  /** Answers the next so many requests with this status instead. */
  failing: { status: number; times: number }
  /** Changes what is stored on its way in, as a bad disk would. */
  spoiled: ((path: string) => boolean) | undefined
  /** The keys that a bucket holds, sorted. */
  keys(bucket: string): Promise<string[]>
  get(bucket: string, key: string): Promise<Buffer | undefined>
  put(bucket: string, key: string, content: string): Promise<void>
}

export async function startS3Server(t: Pick<TestContext, 'after'>, bucket: string): Promise<S3Server> {
  const directory = await temporaryDirectory(t)
  const behind = new S3rver({
    ...{ port: 0, address: '127.0.0.1', silent: true, directory },
    configureBuckets: [{ name: bucket, configs: [] }],
  })
  const { port: inner } = await behind.run()
  const heard: string[] = []
  const server = createServer(async (asked, answer) => {
    const body = await buffer(asked)
    const path = asked.url ?? ''
    heard.push(`${asked.method} ${path}`)
    if (served.failing.times > 0) {
      served.failing.times -= 1
      answer.writeHead(served.failing.status).end('<Error><Code>SlowDown</Code></Error>')
      return
    }
    const problem = problemOf(asked, body)
    if (problem !== undefined) {
      answer.writeHead(403).end(`<Error><Code>${problem}</Code></Error>`)
      return
    }
    const stored =
      asked.method === 'PUT' && served.spoiled?.(path)
        ? Buffer.concat([body.subarray(1), Buffer.from('!')])
        : body
    const { method } = asked
    const onward = request(
      { port: inner, host: '127.0.0.1', method, path, headers: asked.headers },
      (said) => {
        answer.writeHead(said.statusCode ?? 500, said.headers)
        said.pipe(answer)
      },
    )
    onward.end(stored)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(async () => {
    server.closeAllConnections()
    server.close()
    await behind.close()
  })
  const { port } = server.address() as AddressInfo
  // Without a signature, s3rver answers everybody.
  const at = (path: string, options?: RequestInit) => fetch(`http://127.0.0.1:${inner}/${path}`, options)
  const served: S3Server = {
    url: `http://127.0.0.1:${port}`,
    heard,
    failing: { status: 503, times: 0 },
    spoiled: undefined,
    keys: async (name) => {
      const text = await (await at(`${name}?list-type=2`)).text()
      return [...text.matchAll(/<Key>([^<]*)<\/Key>/g)].map(([, key = '']) => key).toSorted()
    },
    get: async (name, key) => {
      const found = await at(`${name}/${key.split('/').map(encodeURIComponent).join('/')}`)
      return found.status === 200 ? Buffer.from(await found.arrayBuffer()) : undefined
    },
    put: async (name, key, content) => {
      await at(`${name}/${key}`, { method: 'PUT', body: content })
    },
  }
  return served
}

/** What Amazon S3 would say; see "Authenticating Requests (AWS Signature Version 4)" of its API reference. */
function problemOf(asked: IncomingMessage, body: Buffer): string | undefined {
  const form =
    /^AWS4-HMAC-SHA256 Credential=([^/]+)\/(\d{8})\/([^/]+)\/s3\/aws4_request, ?SignedHeaders=([^,]+), ?Signature=([0-9a-f]{64})$/
  const [, id, date = '', region = '', names = '', signature] =
    form.exec(asked.headers.authorization ?? '') ?? []
  if (id !== S3_KEYS.accessKeyId) return 'InvalidAccessKeyId'
  const told = String(asked.headers['x-amz-content-sha256'])
  if (told !== createHash('sha256').update(body).digest('hex')) return 'XAmzContentSHA256Mismatch'
  const url = new URL(asked.url ?? '/', 'http://x')
  const headers = names.split(';').map((name) => `${name}:${String(asked.headers[name]).trim()}\n`)
  // The host and all of Amazon's own headers have to be among them.
  for (const name of ['host', 'x-amz-content-sha256', 'x-amz-date']) {
    if (!names.split(';').includes(name)) return 'AccessDenied'
  }
  const canonical = [asked.method, url.pathname, url.search.slice(1), headers.join(''), names, told].join(
    '\n',
  )
  const time = String(asked.headers['x-amz-date'])
  const scope = `${date}/${region}/s3/aws4_request`
  const hashed = createHash('sha256').update(canonical).digest('hex')
  const hmac = (key: string | Buffer, text: string) => createHmac('sha256', key).update(text).digest()
  const key = hmac(hmac(hmac(hmac(`AWS4${S3_KEYS.secretAccessKey}`, date), region), 's3'), 'aws4_request')
  const expected = hmac(key, ['AWS4-HMAC-SHA256', time, scope, hashed].join('\n')).toString('hex')
  return expected === signature ? undefined : 'SignatureDoesNotMatch'
}
