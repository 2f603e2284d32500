import { OpenAPIHono } from '@hono/zod-openapi'
import { z } from 'zod'
import { nameSchema } from '../base/names.ts'
import { invalidInput, PROBLEM_MEDIA_TYPE, problemSchema } from './problems.ts'

/** What the validated parts of a request are called when they are refused. */
const PART_NAMES = {
  json: 'body',
  query: 'query',
  param: 'path',
  header: 'headers',
  form: 'form',
  cookie: 'cookies',
}

/** An app whose refusals by a schema come out as problems like every other error. */
export function newRoutes(): OpenAPIHono {
  return new OpenAPIHono({
    defaultHook: (result) => {
      if (!result.success) throw invalidInput(result.error, PART_NAMES[result.target])
    },
  })
}

const problem = {
  description: 'What went wrong, with a code',
  content: { [PROBLEM_MEDIA_TYPE]: { schema: problemSchema } },
} as const

/** The answers of a route that tells JSON. */
export function tells<T extends z.ZodType>(schema: T, description: string) {
  return { 200: { description, content: { 'application/json': { schema } } }, default: problem }
}

/** The same where the answer has a tag (RFC 9110, 13.1.2). */
export function tellsNews<T extends z.ZodType>(schema: T, description: string) {
  return { ...tells(schema, description), 304: { description: 'What If-None-Match names is still so' } }
}

/** The answers of a route that tells JSON of a media type of its own. */
export function tellsAs<T extends z.ZodType>(mediaType: string, schema: T, description: string) {
  return { 200: { description, content: { [mediaType]: { schema } } }, default: problem }
}

/** The answers of a route that makes something. */
export function makes<T extends z.ZodType>(schema: T, description: string) {
  return { 201: { description, content: { 'application/json': { schema } } }, default: problem }
}

/** The answers of a route that has nothing to tell but that it is done. */
export function isDone(description: string) {
  return { 204: { description }, default: problem }
}

/** The answers of a route that streams text or bytes of its own media type. */
export function streams(mediaType: string, description: string) {
  return { 200: { description, content: { [mediaType]: { schema: z.string() } } }, default: problem }
}

/** A JSON body that has to be there. */
export function body<T extends z.ZodType>(schema: T) {
  return { content: { 'application/json': { schema } }, required: true } as const
}

/** A name in a path, such as that of a dataset. */
export const namedParam = z.object({ name: nameSchema })

/** The same value without the fields that are undefined, for parameters that are there or not, and nothing between. */
export function withoutUndefined<T extends object>(value: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  const kept = Object.entries(value).filter(([, field]) => field !== undefined)
  return Object.fromEntries(kept) as { [K in keyof T]: Exclude<T[K], undefined> }
}
