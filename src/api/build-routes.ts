import { createRoute, type OpenAPIHono } from '@hono/zod-openapi'
import { z } from 'zod'
import { NodeError } from '../base/errors.ts'
import { archiveBytesMax, requestBytesMax } from '../base/limits.ts'
import type { Logger } from '../base/logger.ts'
import { nameSchema } from '../base/names.ts'
import { decompressed } from '../datasets/founding/decompress.ts'
import type { Build } from '../execution/images/build.ts'
import type { BuildWish } from '../execution/images/builds.ts'
import type { ApiNode } from './api-node.ts'
import { buildViewSchema } from './image-views.ts'
import { liveBytes } from './live-bytes.ts'
import { invalidInput } from './problems.ts'
import { makes, newRoutes, streams, tells } from './routing.ts'
import { Upload } from './upload.ts'

const JSON_TYPE = 'application/json'
const TAR = 'application/x-tar'
const COMPRESSED = { 'application/gzip': 'gzip', 'application/zstd': 'zstd' } as const
const TYPES = [TAR, ...Object.keys(COMPRESSED), JSON_TYPE]

/** Where the files of a build are, when they are not sent. */
const sourceSchema = z.union(
  [
    z.strictObject({ git: z.string().trim().min(1).max(2_500) }),
    z.strictObject({
      dataset: nameSchema,
      commit: z
        .string()
        .regex(/^[0-9a-f]{40}$/)
        .optional(),
      directory: z.string().max(500).optional(),
    }),
  ],
  { error: 'expected {git: "URL#ref:directory"} or {dataset, commit, directory}' },
)

const binary = { schema: z.string().meta({ format: 'binary' }) }
/** Written out by hand, so that the body is read by us, within our bound, and not before. */
const sourceBody = {
  schema: {
    type: 'object' as const,
    description: 'one of git ("URL#ref:directory") and dataset (with commit and directory)',
    properties: {
      git: { type: 'string' as const },
      dataset: { type: 'string' as const },
      commit: { type: 'string' as const },
      directory: { type: 'string' as const },
    },
  },
}
const flag = z.enum(['true', 'false']).default('false')

const submit = createRoute({
  method: 'post',
  path: '/builds',
  summary: 'Build an image on this node, from the files in a tar archive or from where the body says',
  request: {
    query: z.strictObject({
      tag: z
        .string()
        .regex(/^[a-z0-9]+(?:[._:/-]+[a-z0-9]+)*(?::[\w][\w.-]{0,127})?$/, 'a name such as lab/tool:1.0')
        .max(250)
        .optional()
        .describe('what the image is called on this machine; default: mao-build:<id>'),
      dockerfile: z.string().min(1).max(500).optional().describe('path in the files; default: Dockerfile'),
      noCache: flag,
    }),
    body: {
      required: true,
      content: {
        ...Object.fromEntries(TYPES.slice(0, -1).map((type) => [type, binary])),
        [JSON_TYPE]: sourceBody,
      },
    },
  },
  responses: makes(buildViewSchema, 'The build, queued'),
})

const list = createRoute({
  method: 'get',
  path: '/builds',
  summary: 'The builds of this node',
  responses: tells(z.array(buildViewSchema), 'Newest first'),
})

const idParam = z.object({ id: z.string().min(1).max(100) })

const show = createRoute({
  method: 'get',
  path: '/builds/{id}',
  summary: 'One build with its history',
  request: { params: idParam },
  responses: tells(buildViewSchema, 'The build'),
})

const cancel = createRoute({
  method: 'post',
  path: '/builds/{id}/cancel',
  summary: 'Stop a build, or take it out of the queue',
  request: { params: idParam },
  responses: tells(buildViewSchema, 'The build as it stands after the request'),
})

const log = createRoute({
  method: 'get',
  path: '/builds/{id}/log',
  summary: 'What a build printed; with follow, until it has ended',
  request: {
    params: idParam,
    query: z.strictObject({
      follow: flag,
      from: z.coerce.number().int().min(0).default(0).describe('the first byte'),
    }),
  },
  responses: streams('text/plain', 'The text, as it comes'),
})

export function buildRoutes(node: ApiNode, parts: { stopping: AbortSignal; log: Logger }): OpenAPIHono {
  const routes = newRoutes()
  const builds = () => node.federation.execution.imaging.builds
  routes.openapi(submit, async (c) => {
    const { tag, dockerfile, noCache } = c.req.valid('query')
    const build = await submitted(node, c.req.raw, { tag, dockerfile, noCache: noCache === 'true' })
    return c.json(buildViewSchema.parse(build), 201)
  })
  routes.openapi(list, (c) => {
    const newest = builds().list().reverse()
    return c.json(
      newest.map((build) => buildViewSchema.parse(build)),
      200,
    )
  })
  routes.openapi(show, (c) => c.json(buildViewSchema.parse(builds().get(c.req.valid('param').id)), 200))
  routes.openapi(cancel, async (c) => {
    return c.json(buildViewSchema.parse(await builds().cancel(c.req.valid('param').id)), 200)
  })
  routes.openapi(log, (c) => {
    const { id } = c.req.valid('param')
    const { follow, from } = c.req.valid('query')
    // Asked here, so that what is not there is a problem and not a stream that breaks.
    builds().get(id)
    const gone = new AbortController()
    const content = builds().log(id, { from, follow: follow === 'true', signal: gone.signal })
    return c.body(liveBytes({ content, gone, mayStay: c.get('mayStay'), ...parts }), 200, {
      'content-type': 'text/plain; charset=utf-8',
    })
  })
  return routes
}

/** Reads the body to its end, whatever comes of it: a sender who is refused learns why. */
async function submitted(node: ApiNode, request: Request, wish: BuildWish): Promise<Build> {
  const { builds } = node.federation.execution.imaging
  const type = (request.headers.get('content-type') ?? TAR).split(';')[0]?.trim().toLowerCase() ?? TAR
  if (!TYPES.includes(type)) {
    throw new NodeError(
      'INVALID_INPUT',
      `A build comes as ${TYPES.join(', ')}; this is ${type.slice(0, 100)}`,
    )
  }
  if (request.body === null)
    throw new NodeError('INVALID_INPUT', 'There is nothing in the body to build from')
  const upload = new Upload(request.body)
  try {
    if (type === JSON_TYPE) {
      const source = await readSource(upload.stream)
      return await ('git' in source ? builds.submitGit(source.git, wish) : builds.submitDataset(source, wish))
    }
    const compression = COMPRESSED[type as keyof typeof COMPRESSED]
    const archive =
      compression === undefined ? upload.stream : decompressed(upload.stream, compression, archiveBytesMax)
    return await builds.submitFiles(archive, wish)
  } catch (error) {
    await upload.discardRest()
    throw error
  }
}

async function readSource(stream: ReadableStream<Uint8Array>): Promise<z.output<typeof sourceSchema>> {
  const parts: Uint8Array[] = []
  let bytes = 0
  for await (const part of stream) {
    bytes += part.length
    if (bytes > requestBytesMax) {
      throw new NodeError('TOO_LARGE', `A request may have ${requestBytesMax} bytes`)
    }
    parts.push(part)
  }
  let value: unknown
  try {
    value = JSON.parse(Buffer.concat(parts).toString('utf8'))
  } catch (cause) {
    throw new NodeError('INVALID_INPUT', 'The body is no JSON', {}, { cause })
  }
  const parsed = sourceSchema.safeParse(value)
  if (parsed.success) return parsed.data
  throw invalidInput(parsed.error, 'body')
}
