import { resolve } from 'node:path'
import { createRoute, type OpenAPIHono } from '@hono/zod-openapi'
import type { Context } from 'hono'
import { z } from 'zod'
import { NodeError } from '../../base/errors.ts'
import { nameSchema } from '../../base/names.ts'
import type { DatasetView } from '../../datasets/dataset-view.ts'
import type { LocalCopy } from '../../datasets/removals.ts'
import { parseUpstreamUrl } from '../../datasets/upstream/upstream-address.ts'
import { includes } from '../../identity/scopes.ts'
import type { ApiNode } from '../api-node.ts'
import { body } from '../routing.ts'
import { asJson, maoRoutesApart, says, told } from './answers.ts'
import { pythonJson } from './python-json.ts'

/** [W6] The branch of the predecessor's repositories that held what was agreed. */
const UPSTREAM_BRANCH = 'ground-truth'

const params = z.object({ dataset: z.string() })
const valueSchema = z.string().describe('JSON within a string: master, nodes')
const NOT_FOUND = 'Dataset not found'

const list = createRoute({
  method: 'get',
  path: '/registry/datasets',
  summary: 'Names of the datasets, for clients of the predecessor',
  responses: says(z.array(z.string()), 'Sorted'),
})

const show = createRoute({
  method: 'get',
  path: '/registry/datasets/{dataset}',
  summary: 'One dataset, for clients of the predecessor',
  request: { params },
  responses: says(valueSchema, 'The dataset'),
})

const add = createRoute({
  method: 'post',
  middleware: asJson,
  path: '/registry/datasets',
  summary: 'Register a git repository as a dataset, for clients of the predecessor',
  request: {
    body: body(
      z.object({
        name: nameSchema,
        body: z.object({
          master: z.string().describe('a git address, or a path that /bare-repo/init told'),
          nodes: z.array(z.string()).nullish().describe('not read: the branches are those that there are'),
        }),
      }),
    ),
  },
  responses: says(valueSchema, 'The dataset as it is stored'),
})

const remove = createRoute({
  method: 'delete',
  path: '/registry/datasets/{dataset}',
  summary: 'Take a dataset out of the registry, for clients of the predecessor',
  request: { params },
  responses: says(z.string(), 'That it is gone'),
})

const init = createRoute({
  method: 'post',
  middleware: asJson,
  path: '/bare-repo/init',
  summary: 'Make a dataset that never leaves this node, for clients of the predecessor',
  request: { body: body(z.object({ name: nameSchema })) },
  responses: says(z.object({ path: z.string() }), 'Where it lies'),
})

export function maoDatasetRoutes(node: ApiNode): OpenAPIHono {
  const routes = maoRoutesApart()
  const datasets = () => node.federation.datasets
  const found = (name: string) =>
    datasets()
      .list()
      .find((dataset) => dataset.name === name)

  routes.openapi(list, (c) => {
    const names = datasets()
      .list()
      .map(({ name }) => name)
    return told(c, names)
  })
  routes.openapi(show, async (c) => {
    const { dataset } = c.req.valid('param')
    const view = found(dataset)
    return view === undefined ? told(c, NOT_FOUND, 404) : told(c, await datasetText(node, view, c))
  })
  routes.openapi(add, async (c) => {
    const { name, body } = c.req.valid('json')
    await register(node, name, body.master)
    return told(c, await datasetText(node, await datasets().show(name), c))
  })
  routes.openapi(remove, async (c) => {
    const { dataset } = c.req.valid('param')
    if (found(dataset) === undefined) return told(c, NOT_FOUND, 404)
    await datasets().remove(dataset)
    return told(c, `Successfully deleted datasets/${dataset}`)
  })
  routes.openapi(init, async (c) => {
    const { name } = c.req.valid('json')
    // The predecessor's was `git init`, which finds what is there already.
    if (found(name) === undefined) await datasets().add(name, { policy: 'local-only' })
    const copy = (await localOnes(node)).find((local) => local.name === name)
    if (copy === undefined) {
      const message = `The dataset ${name} is there already, and is none that stays on this node; choose another name`
      throw new NodeError('ALREADY_EXISTS', message, { name })
    }
    return told(c, { path: copy.path })
  })
  return routes
}

/** @throws NodeError INVALID_INPUT for a master that is neither, ALREADY_EXISTS, and what founding a dataset throws. */
async function register(node: ApiNode, name: string, master: string): Promise<void> {
  const { datasets } = node.federation
  const isThere = datasets.list().some((dataset) => dataset.name === name)
  if (master.startsWith('/')) {
    const copy = (await localOnes(node)).find(({ path }) => resolve(path) === resolve(master))
    if (copy === undefined) {
      const message = `${master} is no repository of this node; POST /bare-repo/init makes one and tells its path`
      throw new NodeError('INVALID_INPUT', message, { master })
    }
    if (copy.name === name) return
    const message = `${master} is the repository of ${copy.name}, and a dataset here has the name of its repository: register it as ${copy.name}, or POST /bare-repo/init with the name ${name} and take the path that it tells`
    throw new NodeError('INVALID_INPUT', message, { name, master })
  }
  const { url } = parseUpstreamUrl(master)
  const upstream = { url, branch: UPSTREAM_BRANCH }
  if (isThere) {
    await datasets.upstreams.set(name, upstream)
    return
  }
  await datasets.add(name)
  try {
    await datasets.upstreams.set(name, upstream)
  } catch (error) {
    await datasets.remove(name)
    throw error
  }
}

/** This node's datasets that never leave it. */
async function localOnes(node: ApiNode): Promise<LocalCopy[]> {
  const copies = await node.federation.datasets.listLocal()
  return copies.filter(({ policy, former }) => policy === 'local-only' && !former)
}

/** [W6] `master` is what git can clone: the upstream, a path on this machine, or this node's own address. */
async function datasetText(node: ApiNode, view: DatasetView, c: Context): Promise<string> {
  const nodes = view.branches.map(({ branch }) => branch)
  return pythonJson({ master: await masterOf(node, view, c), nodes })
}

async function masterOf(node: ApiNode, { name, policy, upstream }: DatasetView, c: Context): Promise<string> {
  if (upstream !== undefined) return upstream.url
  if (policy !== 'local-only') return `http://${c.req.header('host')}/git/${name}.git`
  // Where things lie on this machine is no business of who only looks on.
  if (!includes(c.get('principal').scope, 'member')) return ''
  return (await node.federation.datasets.repository(name)).path
}
