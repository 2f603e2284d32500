/** How the predecessor answered: its JSON, and its words for what went wrong. */
import { OpenAPIHono } from '@hono/zod-openapi'
import type { Context, MiddlewareHandler } from 'hono'
import { HTTPException } from 'hono/http-exception'
import type { ContentfulStatusCode } from 'hono/utils/http-status'
import { z } from 'zod'
import { NodeError } from '../../base/errors.ts'
import { problemsToldMax } from '../../base/limits.ts'
import { problemSchema, STATUS_OF } from '../problems.ts'
import { pythonJson } from './python-json.ts'

const TYPE = 'application/json; charset=utf-8'

/** [W3] An answer as the predecessor's server wrote it. */
export function told(c: Context, value: unknown, status: ContentfulStatusCode = 200): Response {
  return c.body(pythonJson(value), status, { 'content-type': TYPE })
}

/** Answers are written as Python writes them, and not by the framework, which is why their type is not told to it. */
type Content = Record<string, { schema: z.ZodType }>

/** What an answer of the predecessor's says of itself. */
export function answer(schema: z.ZodType, description: string): { description: string; content: Content } {
  return { description, content: { 'application/json': { schema } } }
}

/** What a route that answers in the predecessor's words says of itself. */
export function says(schema: z.ZodType, description: string) {
  const { content } = answer(detailSchema, '')
  const problem: Content = { 'application/problem+json': { schema: problemSchema } }
  return {
    200: answer(schema, description),
    default: {
      description: 'What went wrong: {"detail": …}, or a problem where nobody came as far as the route',
      content: { ...content, ...problem },
    },
  }
}

const detailSchema = z
  .object({ detail: z.union([z.string(), z.array(z.unknown().describe('a place and what is wrong there'))]) })
  .meta({ id: 'MaoError', description: 'an error as old clients know it' })

interface Fault {
  readonly loc: readonly (string | number)[]
  readonly msg: string
  readonly type: string
}

/** [W4] Routes whose refusals old clients can read. */
export function maoRoutesApart(): OpenAPIHono {
  const routes = new OpenAPIHono({
    defaultHook: (result, c) => {
      if (result.success) return undefined
      const where = result.target === 'json' ? 'body' : result.target
      const detail = result.error.issues.slice(0, problemsToldMax).map((issue): Fault => {
        const missing = issue.code === 'invalid_type' && issue.input === undefined
        const loc = [where, ...issue.path.map((part) => (typeof part === 'number' ? part : String(part)))]
        if (missing) return { loc, msg: 'field required', type: 'value_error.missing' }
        return { loc, msg: issue.message, type: 'value_error' }
      })
      return told(c, { detail }, 422)
    },
  })
  routes.onError((error, c) => {
    // What we did not foresee is told, and logged, as everywhere else.
    if (error instanceof HTTPException && error.status < 500) {
      return told(c, { detail: error.message || 'The request cannot be read' }, error.status)
    }
    if (!(error instanceof NodeError) || error.code === 'INTERNAL') throw error
    return told(c, { detail: error.message }, STATUS_OF[error.code])
  })
  return routes
}

/** The predecessor read every body as JSON, whatever its type was said to be; `curl -d` says another one. */
export const asJson: MiddlewareHandler = async (c, next) => {
  const { raw } = c.req
  if (!/^application\/json\b/i.test(raw.headers.get('content-type') ?? '')) {
    const { url, method, signal } = raw
    const body = await raw.arrayBuffer()
    const headers = new Headers(raw.headers)
    headers.set('content-type', 'application/json')
    c.req.raw = new Request(url, { method, headers, body, signal })
  }
  await next()
}
