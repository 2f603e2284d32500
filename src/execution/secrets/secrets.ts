/**
 * Secrets of this node's owner. A variable of a step whose value is `{{ MAO_PRIVATE_VARIABLE }}` is filled from here:
 * from `MAO_SECRET_<VARIABLE>` in the node's environment, else from `secrets.yaml` in the data directory, where a value
 * stands for one step, for one pipeline, or for all:
 *
 *     pipelines:
 *       observatory:
 *         collect:
 *           MIRROR_TOKEN: abc
 *     observatory:
 *       MIRROR_TOKEN: def
 *     GITHUB_TOKEN: ghp_…
 *
 * They are read at every use, so that a new one needs no restart. Having one does not give it: which steps may get it
 * is for the owner to say (secret-approvals.ts), and what comes back is searched for it (secret-search.ts).
 */
import { open } from 'node:fs/promises'
import { parse } from 'yaml'
import { z } from 'zod'
import { messageOf, NodeError } from '../../base/errors.ts'
import { secretsBytesMax } from '../../base/limits.ts'
import type { PipelineStep } from '../catalogue/pipeline.ts'

const PLACEHOLDER = /^\{\{\s*MAO_PRIVATE_VARIABLE\s*\}\}$/
export const SECRET_VARIABLE_PREFIX = 'MAO_SECRET_'

const valueSchema = z.union([z.string(), z.number()]).transform(String)
const valuesSchema = z.record(z.string(), valueSchema)
const fileSchema = z
  .object({ pipelines: z.record(z.string(), z.record(z.string(), valuesSchema)).optional() })
  .catchall(z.union([valueSchema, valuesSchema]))
  .nullable()
type SecretsFile = z.output<typeof fileSchema>

export interface SecretsParts {
  readonly path: string
  readonly environment: Readonly<Record<string, string | undefined>>
}

/** The variables of a step that want a secret. Pure. */
export function privateVariables({ env }: Pick<PipelineStep, 'env'>): string[] {
  const variables = Object.entries(env ?? {}).filter(([, value]) => PLACEHOLDER.test(value))
  return variables.map(([variable]) => variable)
}

export class Secrets {
  readonly #parts: SecretsParts

  constructor(parts: SecretsParts) {
    this.#parts = parts
  }

  /**
   * The values of the private variables of a step, by variable. Whether it may have them was asked before.
   *
   * @throws NodeError FORBIDDEN when one is not to be had, saying where to put it, or when others can read the file.
   */
  async fill(pipeline: string, step: Pick<PipelineStep, 'name' | 'env'>): Promise<Map<string, string>> {
    const wanted = privateVariables(step)
    if (wanted.length === 0) return new Map()
    const file = await this.#read()
    const found = new Map<string, string>()
    for (const variable of wanted) {
      const value =
        this.#parts.environment[SECRET_VARIABLE_PREFIX + variable] ??
        pick(file, { pipeline, step: step.name, variable })
      if (value !== undefined && value !== '') found.set(variable, value)
    }
    const missing = wanted.filter((variable) => !found.has(variable))
    if (missing.length === 0) return found
    const message = `No secret is known for ${missing.join(', ')}: put it into ${this.#parts.path} (mode 0600, "${missing[0]}: value") or into ${SECRET_VARIABLE_PREFIX}${missing[0]} of the node's environment`
    throw new NodeError('FORBIDDEN', message, { pipeline, missing })
  }

  async #read(): Promise<SecretsFile> {
    const { path } = this.#parts
    let handle: Awaited<ReturnType<typeof open>>
    try {
      handle = await open(path, 'r')
    } catch (cause) {
      if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return null
      throw new NodeError(
        'FORBIDDEN',
        `The secrets are not readable: ${messageOf(cause)}`,
        { path },
        { cause },
      )
    }
    try {
      const { mode, size } = await handle.stat()
      if (process.platform !== 'win32' && (mode & 0o077) !== 0) {
        throw new NodeError('FORBIDDEN', `Others can read ${path}: run chmod 600 ${path}`, { path })
      }
      if (size > secretsBytesMax)
        throw new NodeError('FORBIDDEN', `${path} is too large for secrets`, { path })
      return parseSecrets(await handle.readFile('utf8'), path)
    } finally {
      await handle.close()
    }
  }
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

/** The narrowest word on a variable counts. */
function pick(
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

/** What an object says of `key` itself: names of ours may be those of what all objects have, such as `constructor`. */
function own<T>(values: Readonly<Record<string, T>> | undefined, key: string): T | undefined {
  return values !== undefined && Object.hasOwn(values, key) ? values[key] : undefined
}
