import { createRoute, type OpenAPIHono } from '@hono/zod-openapi'
import { z } from 'zod'
import { NodeError } from '../base/errors.ts'
import type { Logger } from '../base/logger.ts'
import { nameSchema } from '../base/names.ts'
import type { ApiNode } from './api-node.ts'
import { gitAnswer, gitBody, gitRequest } from './git-stream.ts'
import { newRoutes, streams } from './routing.ts'

/** Datasets for stock git, over its smart HTTP protocol (gitprotocol-http(5); protocols/stock-git.md). */
const READ = 'git-upload-pack'
const PUSH = 'git-receive-pack'

/** [MUST] Only a name becomes part of a path (stock-git.md P2). */
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
  responses: streams(
    `application/x-${READ}-advertisement`,
    'The advertisement of upload-pack or receive-pack',
  ),
})

const read = createRoute({
  method: 'post',
  path: `/git/{repository}/${READ}`,
  summary: "Objects of a dataset, in git's smart HTTP protocol",
  request: { params: repositoryParam },
  responses: streams(`application/x-${READ}-result`, 'The pack'),
})

const push = createRoute({
  method: 'post',
  path: `/git/{repository}/${PUSH}`,
  summary: "A push to this node's own branches of a dataset, in git's smart HTTP protocol",
  request: { params: repositoryParam },
  responses: streams(`application/x-${PUSH}-result`, 'What became of each ref'),
})

/** No answer to git may come from a cache: the same question is answered otherwise a moment later. */
const UNCACHED = { 'cache-control': 'no-cache, max-age=0, must-revalidate' }

export function gitRoutes(node: ApiNode, parts: { stopping: AbortSignal; log: Logger }): OpenAPIHono {
  const routes = newRoutes()

  routes.openapi(advertise, async (c) => {
    const dataset = c.req.valid('param').repository
    const { service } = c.req.valid('query')
    const headers = { ...UNCACHED, 'content-type': `application/x-${service}-advertisement` }
    const { stockGit } = node.federation.datasets
    if (service === PUSH) {
      const refs = await stockGit.advertisePush(dataset)
      return c.body(new Uint8Array(Buffer.concat([opening(service), refs])), 200, headers)
    }
    // [MUST] No file of a repository is handed out as it lies on the disk (stock-git.md P1).
    if (service !== READ) {
      throw new NodeError(
        'FORBIDDEN',
        'Datasets are read and pushed to through this address by git 1.6.6 or later',
      )
    }
    const protocol = protocolOf(c.req.header('git-protocol'))
    async function* iterate(signal: AbortSignal) {
      let isBegun = false
      for await (const chunk of stockGit.read(dataset, { protocol }, signal)) {
        if (!isBegun) yield opening(READ)
        isBegun = true
        yield chunk
      }
    }
    return c.body(await gitAnswer({ iterate, request: c.req.raw, ...parts }), 200, headers)
  })

  routes.openapi(read, async (c) => {
    const dataset = c.req.valid('param').repository
    const protocol = protocolOf(c.req.header('git-protocol'))
    const request = await gitRequest(c.req.raw)
    const iterate = (signal: AbortSignal) => {
      return node.federation.datasets.stockGit.read(dataset, { protocol, request }, signal)
    }
    const headers = { ...UNCACHED, 'content-type': `application/x-${READ}-result` }
    return c.body(await gitAnswer({ iterate, request: c.req.raw, ...parts }), 200, headers)
  })

  routes.openapi(push, async (c) => {
    const dataset = c.req.valid('param').repository
    const body = gitBody(c.req.raw)
    const iterate = (signal: AbortSignal) => node.federation.datasets.stockGit.push(dataset, body, signal)
    const headers = { ...UNCACHED, 'content-type': `application/x-${PUSH}-result` }
    return c.body(await gitAnswer({ iterate, request: c.req.raw, ...parts }), 200, headers)
  })
  return routes
}

/** What stands before the advertisement of a service over HTTP. */
function opening(service: string): Buffer {
  const line = `# service=${service}\n`
  return Buffer.from(`${(line.length + 4).toString(16).padStart(4, '0')}${line}0000`)
}

/** The version that a client asks for, of those that there are (gitprotocol-v2(5), "HTTP Transport"; P6). */
function protocolOf(header: string | undefined): 0 | 1 | 2 | undefined {
  const [, version] = /(?:^|:)version=([012])(?:$|:)/.exec(header?.slice(0, 200) ?? '') ?? []
  return version === undefined ? undefined : (Number(version) as 0 | 1 | 2)
}
