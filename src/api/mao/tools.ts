import { createRoute, type OpenAPIHono } from '@hono/zod-openapi'
import { z } from 'zod'
import { nameSchema } from '../../base/names.ts'
import type { Tool } from '../../execution/catalogue/tool.ts'
import type { ApiNode } from '../api-node.ts'
import { demandSay } from '../claim-rights.ts'
import { body } from '../routing.ts'
import { asJson, maoRoutesApart, says, told } from './answers.ts'
import { pythonJson } from './python-json.ts'

const textSchema = z.string().nullish()
const toolSchema = z.object({
  name: nameSchema,
  author: textSchema,
  image: z.string(),
  data_repo: textSchema,
  code_repo: textSchema,
  artefact: textSchema,
  description: textSchema,
})

const params = z.object({ tool: z.string() })
const valueSchema = z.string().describe('JSON within a string: author, image, data_repo, code_repo, artefact')

const list = createRoute({
  method: 'get',
  path: '/registry/tools',
  summary: 'Names of the tools, for clients of the predecessor',
  responses: says(z.array(z.string()), 'Sorted'),
})

const show = createRoute({
  method: 'get',
  path: '/registry/tools/{tool}',
  summary: 'One tool, for clients of the predecessor',
  request: { params },
  responses: says(valueSchema, 'The tool'),
})

const add = createRoute({
  method: 'post',
  middleware: asJson,
  path: '/registry/tools',
  summary: 'Register a tool, for clients of the predecessor',
  request: { body: body(toolSchema) },
  responses: says(valueSchema, 'The tool as it is stored'),
})

const remove = createRoute({
  method: 'delete',
  path: '/registry/tools/{tool}',
  summary: 'Take a tool out of the registry, for clients of the predecessor',
  request: { params },
  responses: says(z.string(), 'That it is gone'),
})

export function maoToolRoutes(node: ApiNode): OpenAPIHono {
  const routes = maoRoutesApart()
  const tools = () => node.federation.execution.tools

  routes.openapi(list, (c) => {
    const names = tools().list()
    return told(
      c,
      names.map(({ name }) => name),
    )
  })
  routes.openapi(show, (c) => {
    const tool = tools().get(c.req.valid('param').tool)
    return tool === undefined ? told(c, 'Tool not found', 404) : told(c, toolText(tool.value))
  })
  routes.openapi(add, async (c) => {
    const { name, author, image, ...texts } = c.req.valid('json')
    demandSay(c, node, `/tools/${name}`)
    const said = Object.entries(texts).filter(([, text]) => text !== null && text !== undefined)
    // How it is watched is nothing that the predecessor could say, and so nothing that is taken back here.
    const monitoring = tools().get(name)?.value.monitoring
    const watched = monitoring === undefined ? {} : { monitoring }
    const tool = { author: author ?? '', image, ...Object.fromEntries(said), ...watched }
    return told(c, toolText((await node.federation.execution.addTool(name, tool)).value))
  })
  routes.openapi(remove, async (c) => {
    const { tool } = c.req.valid('param')
    if (tools().get(tool) === undefined) return told(c, 'Tool not found', 404)
    demandSay(c, node, `/tools/${tool}`)
    await tools().remove(tool)
    return told(c, `Successfully deleted tools/${tool}`)
  })
  return routes
}

/** [W5] The five fields in their order, each a text. */
function toolText({ author, image, data_repo = '', code_repo = '', artefact = '' }: Tool): string {
  return pythonJson({ author, image, data_repo, code_repo, artefact })
}
