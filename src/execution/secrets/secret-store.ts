/**
 * The secrets that this node's owner has given it, sealed: each is named by its variable, and stands for all pipelines,
 * for one, or for one step of one.
 */
import { NodeError } from '../../base/errors.ts'
import type { SealedValues } from './sealed-values.ts'

const NAMESPACE = 'secrets'
const VARIABLE = /^[A-Za-z_][A-Za-z0-9_]*$/

/** What a secret is for. */
export interface SecretName {
  readonly variable: string
  readonly pipeline?: string | undefined
  /** Only with a pipeline. */
  readonly step?: string | undefined
}

export interface StoredSecret extends SecretName {
  /** When it was set, ms since the epoch. */
  readonly timeMs: number
}

export class SecretStore {
  readonly #sealed: Pick<SealedValues, 'put' | 'get' | 'list' | 'remove'>

  constructor(parts: { sealed: Pick<SealedValues, 'put' | 'get' | 'list' | 'remove'> }) {
    this.#sealed = parts.sealed
  }

  /** @throws NodeError INVALID_NAME, INVALID_INPUT for an empty value, TOO_LARGE, QUOTA_EXCEEDED */
  async set(name: SecretName, value: string): Promise<void> {
    const key = keyOf(name)
    if (value === '') throw new NodeError('INVALID_INPUT', `The value of ${name.variable} is empty`)
    await this.#sealed.put(NAMESPACE, key, value)
  }

  /** Their names alone, sorted. */
  async list(): Promise<StoredSecret[]> {
    return (await this.#sealed.list(NAMESPACE)).map(({ name, timeMs }) => ({ ...nameOf(name), timeMs }))
  }

  /** @throws NodeError INVALID_NAME, NOT_FOUND */
  async remove(name: SecretName): Promise<void> {
    if (await this.#sealed.remove(NAMESPACE, keyOf(name))) return
    throw new NodeError('NOT_FOUND', `No secret is sealed as ${wordsOf(name)}`, { ...name })
  }

  /** The value for a variable of a step: the narrowest that there is. @throws NodeError STORE_FAILED */
  async find(p: { variable: string; pipeline: string; step: string }): Promise<string | undefined> {
    const { variable, pipeline, step } = p
    for (const name of [{ variable, pipeline, step }, { variable, pipeline }, { variable }]) {
      const value = await this.#sealed.get(NAMESPACE, keyOf(name))
      if (value !== undefined) return value
    }
    return undefined
  }
}

/** A secret's name in a sentence. */
export function wordsOf({ variable, pipeline, step }: SecretName): string {
  const where = step === undefined ? pipeline : `the step ${step} of ${pipeline}`
  return where === undefined ? variable : `${variable} for ${where}`
}

/** Names of pipelines and steps hold no slash. */
function keyOf({ variable, pipeline, step }: SecretName): string {
  if (!VARIABLE.test(variable)) {
    throw new NodeError('INVALID_NAME', `"${variable}" is not the name of a variable`, { variable })
  }
  if (step !== undefined && pipeline === undefined) {
    throw new NodeError('INVALID_INPUT', 'A step is named together with its pipeline', { step })
  }
  return [pipeline, step, variable].filter((part) => part !== undefined).join('/')
}

function nameOf(key: string): SecretName {
  const parts = key.split('/')
  const variable = parts.pop() ?? ''
  const [pipeline, step] = parts
  return {
    variable,
    ...(pipeline === undefined ? {} : { pipeline }),
    ...(step === undefined ? {} : { step }),
  }
}
