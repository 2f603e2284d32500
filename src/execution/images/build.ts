/** A build of an image on this node: what it is made of, how far it is, and how it ended. Pure. */
import { z } from 'zod'
import { NodeError } from '../../base/errors.ts'

export const BUILD_STATES = ['queued', 'building', 'succeeded', 'failed', 'cancelled', 'lost'] as const
export type BuildState = (typeof BUILD_STATES)[number]
export type BuildEnd = Exclude<BuildState, 'queued' | 'building'>

const ALLOWED: Readonly<Record<BuildState, readonly BuildState[]>> = {
  queued: ['building', 'failed', 'cancelled', 'lost'],
  building: ['succeeded', 'failed', 'cancelled', 'lost'],
  succeeded: [],
  failed: [],
  cancelled: [],
  lost: [],
}

/** What a build is made of, by something that never changes. */
export const buildSourceSchema = z.discriminatedUnion('kind', [
  z.object({
    kind: z.literal('upload'),
    sha256: z.string().describe('of the names, modes and contents of all files'),
    files: z.int(),
    bytes: z.int(),
  }),
  z.object({
    kind: z.literal('git'),
    url: z.string(),
    ref: z.string().optional().describe('branch or tag; default: what the repository itself begins with'),
    directory: z.string().optional(),
    commit: z.string().optional().describe('what the reference was, once it was fetched'),
  }),
  z.object({
    kind: z.literal('dataset'),
    dataset: z.string(),
    commit: z.string(),
    directory: z.string().optional(),
  }),
])
export type BuildSource = z.output<typeof buildSourceSchema>

const timeMs = z.int().describe('milliseconds since 1970')

export const buildSchema = z.object({
  id: z.string(),
  state: z.enum(BUILD_STATES),
  source: buildSourceSchema,
  dockerfile: z.string().describe('path in the context'),
  tag: z.string().describe('what the image is called on this machine'),
  noCache: z.boolean(),
  createdMs: timeMs,
  transitions: z.array(z.object({ state: z.enum(BUILD_STATES), timeMs, reason: z.string().optional() })),
  endedMs: timeMs.optional(),
  /** Of an end that is none of success. */
  code: z.string().optional(),
  reason: z.string().optional(),
  bases: z
    .array(z.object({ reference: z.string(), digest: z.string() }))
    .optional()
    .describe('images that it began with'),
  image: z
    .string()
    .optional()
    .describe('id of the image that was built, which never means another: sha256:…'),
})
export type Build = z.output<typeof buildSchema>

export type NewBuild = Pick<Build, 'id' | 'source' | 'dockerfile' | 'tag' | 'noCache'>

export function newBuild(wanted: NewBuild, nowMs: number): Build {
  return {
    ...wanted,
    state: 'queued',
    createdMs: nowMs,
    transitions: [{ state: 'queued', timeMs: nowMs }],
  }
}

export interface BuildChange {
  readonly state: BuildState
  readonly timeMs: number
  readonly reason?: string
  readonly code?: string
  readonly image?: string
}

/** @throws NodeError INTERNAL for a step that no build takes. */
export function advanceBuild(build: Build, change: BuildChange): Build {
  const { state, timeMs: atMs, reason, code, image } = change
  if (!ALLOWED[build.state].includes(state)) {
    throw new NodeError('INTERNAL', `Build ${build.id} cannot go from ${build.state} to ${state}`)
  }
  const transition = { state, timeMs: atMs, ...(reason === undefined ? {} : { reason }) }
  return {
    ...build,
    state,
    transitions: [...build.transitions, transition],
    ...(isBuildEnd(state) ? { endedMs: atMs } : {}),
    ...(reason === undefined ? {} : { reason }),
    ...(code === undefined ? {} : { code }),
    ...(image === undefined ? {} : { image }),
  }
}

export function isBuildEnd(state: BuildState): state is BuildEnd {
  return ALLOWED[state].length === 0
}

/** A word of git's for a branch or tag that nothing could take for an option or a path. */
const REF = /^[A-Za-z0-9_](?:[A-Za-z0-9._+@=/-]*[A-Za-z0-9_+=-])?$/

export interface GitReference {
  readonly url: string
  readonly ref?: string | undefined
  readonly directory?: string | undefined
}

/** `URL[#ref[:directory]]`, as `docker build` takes it. @throws NodeError INVALID_INPUT */
export function parseGitReference(text: string): GitReference {
  const hash = text.indexOf('#')
  if (hash === -1) return { url: text }
  const [ref = '', ...rest] = text.slice(hash + 1).split(':')
  const directory = rest.join(':')
  if (ref !== '' && (!REF.test(ref) || ref.includes('..') || ref.includes('//'))) {
    throw new NodeError(
      'INVALID_INPUT',
      `"${ref.slice(0, 100)}" is no branch or tag; write URL#ref:directory`,
    )
  }
  return {
    url: text.slice(0, hash),
    ...(ref === '' ? {} : { ref }),
    ...(directory === '' ? {} : { directory: parseContextPath(directory) }),
  }
}

/** A path within a context, without detours. @throws NodeError INVALID_INPUT */
export function parseContextPath(text: string): string {
  const parts = text.split('/').filter((part) => part !== '' && part !== '.')
  const isOdd = text.startsWith('/') || /[\p{Cc}\\]/u.test(text) || parts.includes('..') || parts.length === 0
  if (!isOdd && text.length <= 500) return parts.join('/')
  const message = `"${text.slice(0, 100)}" is no path within the files of a build`
  throw new NodeError('INVALID_INPUT', message)
}
