/**
 * Secrets of this node's owner. A variable of a step whose value is `{{ MAO_PRIVATE_VARIABLE }}` is filled from here:
 * from `MAO_SECRET_<VARIABLE>` in the node's environment, else from `secrets.yaml` in the data directory, where a value
 * stands either for all pipelines or below the name of one:
 *
 *     GITHUB_TOKEN: ghp_…
 *     observatory:
 *       MIRROR_TOKEN: abc
 *
 * They are read at every use, so that a new one needs no restart, and never leave the node.
 */
import { open } from 'node:fs/promises'
import { parse } from 'yaml'
import { z } from 'zod'
import { messageOf, NodeError } from '../base/errors.ts'
import { secretsBytesMax } from '../base/limits.ts'

const PLACEHOLDER = /^\{\{\s*MAO_PRIVATE_VARIABLE\s*\}\}$/
export const SECRET_VARIABLE_PREFIX = 'MAO_SECRET_'

const valueSchema = z.union([z.string(), z.number()]).transform(String)
const fileSchema = z.record(z.string(), z.union([valueSchema, z.record(z.string(), valueSchema)])).nullable()
type SecretsFile = z.output<typeof fileSchema>

export interface SecretsParts {
  readonly path: string
  readonly environment: Readonly<Record<string, string | undefined>>
}

export class Secrets {
  readonly #parts: SecretsParts

  constructor(parts: SecretsParts) {
    this.#parts = parts
  }

  /**
   * The values of the private variables among `env`, by variable.
   *
   * @throws NodeError FORBIDDEN when one is not to be had, saying where to put it, or when others can read the file.
   */
  async fill(pipeline: string, env: Readonly<Record<string, string>>): Promise<Map<string, string>> {
    const wanted = Object.keys(env).filter((variable) => PLACEHOLDER.test(env[variable] ?? ''))
    if (wanted.length === 0) return new Map()
    const file = await this.#read()
    const found = new Map<string, string>()
    for (const variable of wanted) {
      const value =
        this.#parts.environment[SECRET_VARIABLE_PREFIX + variable] ?? pick(file, pipeline, variable)
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
  const message = `${path} is no map of secrets: each line is "VARIABLE: value", or "pipeline:" with such lines below`
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

function pick(file: SecretsFile, pipeline: string, variable: string): string | undefined {
  const own = file?.[pipeline]
  const general = file?.[variable]
  if (typeof own === 'object' && own[variable] !== undefined) return own[variable]
  return typeof general === 'string' ? general : undefined
}
