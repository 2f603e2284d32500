/**
 * `secrets.yaml` in the data directory: secrets as a file that the owner writes by hand, where a value stands for one
 * step, for one pipeline, or for all:
 *
 *     pipelines:
 *       observatory:
 *         collect:
 *           MIRROR_TOKEN: abc
 *     observatory:
 *       MIRROR_TOKEN: def
 *     GITHUB_TOKEN: ghp_…
 */
import { open } from 'node:fs/promises'
import { parse } from 'yaml'
import { z } from 'zod'
import { messageOf, NodeError } from '../../base/errors.ts'
import { secretsBytesMax } from '../../base/limits.ts'
import type { SecretName } from './secret-store.ts'

const valueSchema = z.union([z.string(), z.number()]).transform(String)
const valuesSchema = z.record(z.string(), valueSchema)
const fileSchema = z
  .object({ pipelines: z.record(z.string(), z.record(z.string(), valuesSchema)).optional() })
  .catchall(z.union([valueSchema, valuesSchema]))
  .nullable()
export type SecretsFile = z.output<typeof fileSchema>

/** @throws NodeError FORBIDDEN when it cannot be read, others can read it, or it is no map of secrets. */
export async function readSecretsFile(path: string): Promise<SecretsFile> {
  let handle: Awaited<ReturnType<typeof open>>
  try {
    handle = await open(path, 'r')
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return null
    const message = `The secrets are not readable: ${messageOf(cause)}`
    throw new NodeError('FORBIDDEN', message, { path }, { cause })
  }
  try {
    const { mode, size } = await handle.stat()
    if (process.platform !== 'win32' && (mode & 0o077) !== 0) {
      throw new NodeError('FORBIDDEN', `Others can read ${path}: run chmod 600 ${path}`, { path })
    }
    if (size > secretsBytesMax) throw new NodeError('FORBIDDEN', `${path} is too large for secrets`, { path })
    return parseSecrets(await handle.readFile('utf8'), path)
  } finally {
    await handle.close()
  }
}

/** The narrowest word on a variable counts. Pure. */
export function pick(
  file: SecretsFile,
  p: { pipeline: string; step: string; variable: string },
): string | undefined {
  const { pipelines, ...general } = file ?? {}
  const ofStep = own(own(pipelines, p.pipeline), p.step)
  const ofPipeline = own(general, p.pipeline)
  const ofAll = own(general, p.variable)
  const found = own(ofStep, p.variable)
  if (found !== undefined) return found
  const shared = typeof ofPipeline === 'object' ? own(ofPipeline, p.variable) : undefined
  return shared ?? (typeof ofAll === 'string' ? ofAll : undefined)
}

/** All that is in it, each by what it is for. Pure. */
export function secretsIn(file: SecretsFile): { name: SecretName; value: string }[] {
  const { pipelines = {}, ...general } = file ?? {}
  const ofSteps = Object.entries(pipelines).flatMap(([pipeline, steps]) =>
    Object.entries(steps).flatMap(([step, values]) =>
      Object.entries(values).map(([variable, value]) => ({ name: { variable, pipeline, step }, value })),
    ),
  )
  const others = Object.entries(general).flatMap(([key, found]) =>
    typeof found === 'object'
      ? Object.entries(found).map(([variable, value]) => ({ name: { variable, pipeline: key }, value }))
      : [{ name: { variable: key }, value: found }],
  )
  return [...ofSteps, ...others].filter(({ value }) => value !== '')
}

/** The parser's own words quote the text around a mistake, so they are not passed on. */
function parseSecrets(text: string, path: string): SecretsFile {
  const message = `${path} is no map of secrets: each line is "VARIABLE: value", or "PIPELINE:" with such lines below, or stands below "pipelines: PIPELINE: STEP:"`
  let value: unknown
  try {
    value = parse(text, { logLevel: 'error', prettyErrors: false })
  } catch {
    throw new NodeError('FORBIDDEN', message, { path })
  }
  const parsed = fileSchema.safeParse(value ?? null)
  if (!parsed.success) throw new NodeError('FORBIDDEN', message, { path })
  return parsed.data
}

/** What an object says of `key` itself: names of ours may be those of what all objects have, such as `constructor`. */
function own<T>(values: Readonly<Record<string, T>> | undefined, key: string): T | undefined {
  return values !== undefined && Object.hasOwn(values, key) ? values[key] : undefined
}
