import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGunzip } from 'node:zlib'
import { createRoute, type OpenAPIHono } from '@hono/zod-openapi'
import { z } from 'zod'
import { messageOf, NodeError } from '../base/errors.ts'
import { fetchTimeoutMs, gitProcessesMax, gitRequestBytesMax, gitRequestsWaitingMax } from '../base/limits.ts'
import type { Logger } from '../base/logger.ts'
import { nameSchema } from '../base/names.ts'
import { Semaphore } from '../base/semaphore.ts'
import type { ApiNode } from './api-node.ts'
import { newRoutes, streams } from './routing.ts'
import { Upload } from './upload.ts'

/**
 * Datasets for stock git, read-only, over its smart HTTP protocol (gitprotocol-http(5)): the talking is done by git's
 * own `upload-pack`, one process a request.
 */
const SERVICE = 'git-upload-pack'
const ADVERTISEMENT = `application/x-${SERVICE}-advertisement`
const RESULT = `application/x-${SERVICE}-result`
/** What a client may ask of the protocol: `version=2`, and words of the same kind. */
const PROTOCOL = /^[a-z0-9=:_-]{1,200}$/i

const repositoryParam = z.object({
  repository: z
    .string()
    .regex(/\.git$/, 'a repository is named <dataset>.git')
    .transform((text) => text.slice(0, -'.git'.length))
    .pipe(nameSchema),
})

const advertise = createRoute({
  method: 'get',
  path: '/git/{repository}/info/refs',
  summary: "The branches of a dataset, in git's smart HTTP protocol",
  request: { params: repositoryParam, query: z.object({ service: z.string().optional() }) },
  responses: streams(ADVERTISEMENT, 'The advertisement of upload-pack'),
})

const uploadPack = createRoute({
  method: 'post',
  path: '/git/{repository}/git-upload-pack',
  summary: "Objects of a dataset, in git's smart HTTP protocol",
  request: { params: repositoryParam },
  responses: streams(RESULT, 'The pack'),
})

export function gitRoutes(node: ApiNode, parts: { stopping: AbortSignal; log: Logger }): OpenAPIHono {
  const routes = newRoutes()
  const processes = new Semaphore(gitProcessesMax, gitRequestsWaitingMax)

  routes.openapi(advertise, async (c) => {
    const { service } = c.req.valid('query')
    if (service !== SERVICE) {
      throw new NodeError(
        'FORBIDDEN',
        'Datasets are read through this address: clone and fetch, with git 1.6.6 or later',
      )
    }
    const { path } = await node.federation.datasets.repository(c.req.valid('param').repository)
    // The newer name of this option, `--http-backend-info-refs`, is unknown to git before 2.34.
    const options = ['--advertise-refs']
    const git = await serve(processes, parts, path, c.req.header('git-protocol'), options)
    git.input.end()
    const head = new TextEncoder().encode(`001e# service=${SERVICE}\n0000`)
    return c.body(git.output(head), 200, { 'content-type': ADVERTISEMENT, 'cache-control': 'no-cache' })
  })

  routes.openapi(uploadPack, async (c) => {
    const { path } = await node.federation.datasets.repository(c.req.valid('param').repository)
    const request = await requestOf(c.req.raw)
    const git = await serve(processes, parts, path, c.req.header('git-protocol'), [])
    git.input.end(request)
    return c.body(git.output(), 200, { 'content-type': RESULT, 'cache-control': 'no-cache' })
  })
  return routes
}

interface Serving {
  input: ChildProcessWithoutNullStreams['stdin']
  output(head?: Uint8Array): ReadableStream<Uint8Array>
}

/** Starts upload-pack when a place is free; the place is held until the process has ended. */
async function serve(
  processes: Semaphore,
  parts: { stopping: AbortSignal; log: Logger },
  path: string,
  protocol: string | undefined,
  options: string[],
): Promise<Serving> {
  const { promise: started, resolve, reject } = Promise.withResolvers<ChildProcessWithoutNullStreams>()
  const place = processes.run(async () => {
    const git = spawn('git', ['upload-pack', '--strict', '--stateless-rpc', ...options, path], {
      env: environment(protocol),
      signal: AbortSignal.any([parts.stopping, AbortSignal.timeout(fetchTimeoutMs)]),
    })
    const ended = new Promise<void>((done) => git.once('close', () => done()))
    git.once('spawn', () => resolve(git))
    git.once('error', (cause) => reject(spawnFailure(cause)))
    // A client that hangs up closes git's input; the process sees it and ends.
    git.stdin.on('error', (error) => parts.log.debug({ reason: messageOf(error) }, 'git stopped reading'))
    const complaint = collect(git.stderr)
    await ended
    if (git.exitCode !== 0)
      parts.log.info({ path, exit: git.exitCode, git: await complaint }, 'git upload-pack failed')
  })
  place.catch(reject)
  const git = await started
  return {
    input: git.stdin,
    output: (head) => outputOf(git, head),
  }
}

/** What the process prints; a process that fails cuts the response, so that nobody takes half a pack for a whole. */
function outputOf(git: ChildProcessWithoutNullStreams, head?: Uint8Array): ReadableStream<Uint8Array> {
  const ended = new Promise<number | null>((done) => git.once('close', (code) => done(code)))
  async function* chunks(): AsyncGenerator<Uint8Array> {
    if (head !== undefined) yield head
    yield* git.stdout
    const code = await ended
    if (code !== 0) throw new NodeError('GIT_FAILED', `git upload-pack ended with ${code ?? 'a signal'}`)
  }
  const iterator = chunks()
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        try {
          const next = await iterator.next()
          if (next.done === true) controller.close()
          else controller.enqueue(next.value)
        } catch (error) {
          controller.error(error)
        }
      },
      cancel() {
        git.kill()
        git.stdout.destroy()
      },
    },
    { highWaterMark: 0 },
  )
}

/** The whole request, which is short, unzipped where git zipped it. */
async function requestOf(request: Request): Promise<Buffer> {
  const encoding = request.headers.get('content-encoding')
  if (encoding !== null && encoding !== 'gzip' && encoding !== 'x-gzip') {
    throw new NodeError('INVALID_INPUT', `The encoding ${encoding} is not understood; gzip is`)
  }
  if (request.body === null) return Buffer.alloc(0)
  const upload = new Upload(request.body)
  const raw = Readable.fromWeb(upload.stream)
  const parts: Buffer[] = []
  const gather = async (plain: AsyncIterable<Buffer>) => {
    let bytes = 0
    for await (const part of plain) {
      bytes += part.length
      if (bytes > gitRequestBytesMax) {
        throw new NodeError('TOO_LARGE', `A request may have ${gitRequestBytesMax} bytes`)
      }
      parts.push(part)
    }
  }
  try {
    await (encoding === null ? pipeline(raw, gather) : pipeline(raw, createGunzip(), gather))
  } catch (cause) {
    await upload.discardRest(gitRequestBytesMax)
    if (cause instanceof NodeError) throw cause
    throw new NodeError('INVALID_INPUT', `The request cannot be read: ${messageOf(cause)}`, {}, { cause })
  }
  return Buffer.concat(parts)
}

/** Only what git needs: neither our own settings nor those of the user's git reach it. */
function environment(protocol: string | undefined): NodeJS.ProcessEnv {
  const version = protocol !== undefined && PROTOCOL.test(protocol) ? { GIT_PROTOCOL: protocol } : {}
  return {
    PATH: process.env.PATH,
    LC_ALL: 'C',
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_CONFIG_GLOBAL: '/dev/null',
    // The repository is ours by construction, whoever owns the directory in a container.
    GIT_CONFIG_COUNT: '1',
    GIT_CONFIG_KEY_0: 'safe.directory',
    GIT_CONFIG_VALUE_0: '*',
    ...version,
  }
}

function spawnFailure(cause: Error): NodeError {
  if ('code' in cause && cause.code === 'ENOENT') {
    const message =
      'Datasets are served to git clients by the git program, which this node does not find; install git'
    return new NodeError('UNSUPPORTED', message, {}, { cause })
  }
  return new NodeError('GIT_FAILED', `git does not start: ${messageOf(cause)}`, {}, { cause })
}

async function collect(stream: Readable): Promise<string> {
  let text = ''
  // Complaints are short; what is beyond only shows that it went on.
  for await (const chunk of stream) if (text.length < 2_000) text += String(chunk)
  return text.trim()
}
