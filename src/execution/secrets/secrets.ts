/**
 * Secrets of this node's owner. A variable of a step whose value is `{{ MAO_PRIVATE_VARIABLE }}` is filled with the
 * first of these: `MAO_SECRET_<VARIABLE>` of the node's environment, what was sealed for it (secret-store.ts), what
 * `secrets.yaml` in the data directory says (secrets-file.ts). In the last two the narrowest counts: for the step, then
 * for the pipeline, then for all.
 *
 * They are read at every use, so that a new one needs no restart. Having one does not give it: which steps may get it
 * is for the owner to say (secret-approvals.ts), and what comes back is searched for it (secret-search.ts).
 */
import { rm } from 'node:fs/promises'
import { NodeError } from '../../base/errors.ts'
import { type PipelineStep, SECRET_PLACEHOLDER } from '../catalogue/pipeline.ts'
import type { SecretName, SecretStore } from './secret-store.ts'
import { pick, readSecretsFile, secretsIn } from './secrets-file.ts'

export const SECRET_VARIABLE_PREFIX = 'MAO_SECRET_'

export interface SecretsParts {
  /** `secrets.yaml` */
  readonly path: string
  readonly store: Pick<SecretStore, 'find' | 'set'>
  readonly environment: Readonly<Record<string, string | undefined>>
}

/** The variables of a step that want a secret. Pure. */
export function privateVariables({ env }: Pick<PipelineStep, 'env'>): string[] {
  const variables = Object.entries(env ?? {}).filter(([, value]) => SECRET_PLACEHOLDER.test(value))
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
   * @throws NodeError FORBIDDEN when one is not to be had, saying where to put it, or when others can read the file;
   * STORE_FAILED when one was sealed with another key.
   */
  async fill(pipeline: string, step: Pick<PipelineStep, 'name' | 'env'>): Promise<Map<string, string>> {
    const wanted = privateVariables(step)
    if (wanted.length === 0) return new Map()
    const { store, environment, path } = this.#parts
    const file = await readSecretsFile(path)
    const found = new Map<string, string>()
    for (const variable of wanted) {
      const named = { pipeline, step: step.name, variable }
      const value =
        environment[SECRET_VARIABLE_PREFIX + variable] ?? (await store.find(named)) ?? pick(file, named)
      if (value !== undefined && value !== '') found.set(variable, value)
    }
    const missing = wanted.filter((variable) => !found.has(variable))
    if (missing.length === 0) return found
    const message = `No secret is known for ${missing.join(', ')}: type "maoctl secret set ${missing[0]}", or put it into ${path} (mode 0600, "${missing[0]}: value") or into ${SECRET_VARIABLE_PREFIX}${missing[0]} of the node's environment`
    throw new NodeError('FORBIDDEN', message, { pipeline, missing })
  }

  /**
   * Moves what `secrets.yaml` holds into the sealed store and removes the file. What was sealed under the same name
   * before is replaced: the file is what was written last by hand.
   *
   * @returns what was moved; nothing where there is no file.
   * @throws NodeError FORBIDDEN when the file cannot be read, INVALID_NAME when a name in it is none; the file stays then.
   */
  async sealFile(): Promise<{ path: string; sealed: SecretName[] }> {
    const { path, store } = this.#parts
    const found = secretsIn(await readSecretsFile(path))
    for (const { name, value } of found) await store.set(name, value)
    await rm(path, { force: true })
    return { path, sealed: found.map(({ name }) => name) }
  }
}
