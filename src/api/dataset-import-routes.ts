import { rm } from 'node:fs/promises'
import { createRoute, type OpenAPIHono } from '@hono/zod-openapi'
import { z } from 'zod'
import { NodeError } from '../base/errors.ts'
import { archiveBytesMax, packBytesMax } from '../base/limits.ts'
import { nameSchema } from '../base/names.ts'
import { branchOf } from '../datasets/branches.ts'
import { receiveBundle } from '../datasets/founding/bundle.ts'
import { decompressed } from '../datasets/founding/decompress.ts'
import { unpack } from '../datasets/founding/unpack.ts'
import type { ApiNode } from './api-node.ts'
import { checkReplicas, descriptionSchema, replicasQuerySchema } from './dataset-routes.ts'
import { committedSchema, importedSchema, policySchema } from './dataset-views.ts'
import { makes, namedParam, newRoutes, withoutUndefined } from './routing.ts'
import { temporaryDirectory } from './temporary-directory.ts'
import { Upload } from './upload.ts'

const IMPORT_STEP = 'import'

const TAR = 'application/x-tar'
const BUNDLE = 'application/x-git-bundle'
const COMPRESSED = { 'application/gzip': 'gzip', 'application/zstd': 'zstd' } as const
const TYPES = [TAR, ...Object.keys(COMPRESSED), BUNDLE]

const binary = { schema: z.string().meta({ format: 'binary' }) }
const archiveBody = { required: true, content: Object.fromEntries(TYPES.map((type) => [type, binary])) }

const importArchive = createRoute({
  method: 'post',
  path: '/datasets/import',
  summary: 'Make a dataset of the files in a tar archive, or of the history in a git bundle of one branch',
  request: {
    query: z.strictObject({
      name: nameSchema,
      description: descriptionSchema.default(''),
      policy: policySchema.optional(),
      replicas: replicasQuerySchema.optional(),
    }),
    body: archiveBody,
  },
  responses: makes(importedSchema, 'The dataset with its first commit'),
})

const commit = createRoute({
  method: 'post',
  path: '/datasets/{name}/commits',
  summary: "Add a snapshot to a dataset, on this node's own branch <step>-<node>",
  request: {
    params: namedParam,
    query: z.strictObject({
      step: nameSchema.default(IMPORT_STEP),
      message: z.string().min(1).max(2_000).optional(),
    }),
    body: archiveBody,
  },
  responses: makes(committedSchema, 'Where the branch is now'),
})

/** Datasets that are made of what somebody sends, and snapshots that are added to them. */
export function datasetImportRoutes(node: ApiNode): OpenAPIHono {
  const routes = newRoutes()

  routes.openapi(importArchive, async (c) => {
    const { name, ...options } = c.req.valid('query')
    const { datasets } = node.federation
    const founding = withoutUndefined(options)
    checkReplicas(name, founding)
    // Said before the body is read, which may take long; the datasets themselves ask again.
    if (datasets.list().some((dataset) => dataset.name === name)) {
      throw new NodeError('ALREADY_EXISTS', `There is a dataset named ${name} already`, { name })
    }
    const founded = await received(node, c.req.raw, {
      files: async (directory, files) => {
        return { ...(await datasets.importDirectory(name, directory, founding)), files }
      },
      history: (bundle, signal) => datasets.importBundle(name, bundle, { ...founding, signal }),
    })
    const { bytes } = await datasets.upkeep.usage(name)
    const warning = sizeWarning(founded, bytes)
    return c.json({ ...founded, ...(warning === undefined ? {} : { warning }) }, 201)
  })

  routes.openapi(commit, async (c) => {
    const { name } = c.req.valid('param')
    const { step, message } = c.req.valid('query')
    const { datasets } = node.federation
    await datasets.show(name)
    const committed = await received(node, c.req.raw, {
      files: (directory) => {
        const said = message ?? `Add a snapshot to ${name}\n\nDataset: ${name}\nImported-By: ${node.name}\n`
        return datasets.commitDirectory({ dataset: name, step, directory, message: said })
      },
      history: async (bundle, signal) => {
        const branch = branchOf(step, node.name)
        const place = { quarantine: () => datasets.quarantine(name) }
        const { commit } = await receiveBundle(place, bundle, signal)
        const from = await (await datasets.repository(name)).resolve(branch)
        await datasets.adoptCommit({ dataset: name, branch, commit, from })
        return { branch, commit, changed: commit !== from, ...(from === undefined ? {} : { parent: from }) }
      },
    })
    const { branch, commit, parent, changed } = committed
    return c.json({ branch, commit, changed, ...(parent === undefined ? {} : { parent }) }, 201)
  })
  return routes
}

/** What is founded in one piece is fetched in one piece. Pure. */
export function sizeWarning(
  { policy, name }: { readonly policy: string; readonly name: string },
  bytes: number,
): string | undefined {
  if (policy !== 'shared' || bytes <= packBytesMax) return undefined
  return `${name} takes ${bytes} bytes, and members fetch at most ${packBytesMax} at once, so that they cannot copy it: found several datasets instead, or a compute-only one`
}

interface Takers<T> {
  /** Takes the files of an archive, which are gone when it returns. */
  readonly files: (directory: string, files: number) => Promise<T>
  readonly history: (bundle: AsyncIterable<Uint8Array>, signal: AbortSignal) => Promise<T>
}

/**
 * Reads a body of one of the types above to its end. A sender who breaks off leaves nothing, and one who is refused
 * learns why.
 */
async function received<T>(node: ApiNode, request: Request, take: Takers<T>): Promise<T> {
  const type = (request.headers.get('content-type') ?? TAR).split(';')[0]?.trim().toLowerCase() ?? TAR
  if (!TYPES.includes(type)) {
    const message = `What is imported comes as ${TYPES.join(', ')}; this came as ${type.slice(0, 100)}`
    throw new NodeError('INVALID_INPUT', message)
  }
  if (request.body === null) throw new NodeError('INVALID_INPUT', 'There is nothing in the body to import')
  const upload = new Upload(request.body)
  try {
    if (type === BUNDLE) return await take.history(upload.stream, request.signal)
    return await fromArchive(node, type, upload, take.files)
  } catch (error) {
    await upload.discardRest()
    throw error
  }
}

async function fromArchive<T>(
  node: ApiNode,
  type: string,
  { stream }: Upload,
  take: Takers<T>['files'],
): Promise<T> {
  const directory = await temporaryDirectory(node.config.dataDirectory)
  try {
    const compression = COMPRESSED[type as keyof typeof COMPRESSED]
    const archive = compression === undefined ? stream : decompressed(stream, compression, archiveBytesMax)
    const { freeBytesMin } = node.federation.datasets.upkeep
    const { files } = await unpack(archive, directory, { freeBytesMin })
    if (files === 0)
      throw new NodeError('INVALID_INPUT', 'There is no file in it to import; directories alone are not kept')
    return await take(directory, files)
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}
