import { z } from 'zod'
import { NodeError } from '../../base/errors.ts'
import { registryCredentialCharactersMax, registryLoginsMax } from '../../base/limits.ts'
import type { SealedValues } from '../secrets/sealed-values.ts'
import { DOCKER_HUB, normalReference } from './image-reference.ts'
import type { ImageStore, RegistryCredentials } from './image-store.ts'

const NAMESPACE = 'registries'
/** `host` or `host:port`, as the first part of a reference. */
const REGISTRY = /^(?:[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:]+\])(?::\d{1,5})?$/
const ALIASES: readonly string[] = ['index.docker.io', 'registry-1.docker.io', 'hub.docker.com']

const sealedSchema = z.object({ user: z.string(), password: z.string() })

export interface LoginView {
  readonly registry: string
  readonly user: string
  /** When it was given, ms since the epoch. */
  readonly sinceMs: number
}

/**
 * What opens the registries that this node pulls from. Passwords lie sealed on the disk, and leave only to the engine, for
 * a call to that very registry.
 */
export class RegistryLogins {
  readonly #sealed: Pick<SealedValues, 'put' | 'get' | 'list' | 'remove'>

  constructor(parts: { sealed: Pick<SealedValues, 'put' | 'get' | 'list' | 'remove'> }) {
    this.#sealed = parts.sealed
  }

  /**
   * Keeps what opens a registry, after the engine has asked the registry whether it does.
   *
   * @throws NodeError INVALID_INPUT, FORBIDDEN when the registry refuses, SOURCE_UNAVAILABLE when it cannot be asked,
   * QUOTA_EXCEEDED, ENGINE_UNAVAILABLE.
   */
  async login(wanted: RegistryCredentials, store: Pick<ImageStore, 'checkCredentials'>): Promise<LoginView> {
    const registry = parseRegistry(wanted.registry)
    const { user, password } = wanted
    if (user === '' || password === '') {
      throw new NodeError('INVALID_INPUT', `A login to ${registry} has a user and a password (or token)`)
    }
    if (user.length + password.length > registryCredentialCharactersMax) {
      throw new NodeError(
        'TOO_LARGE',
        `A login may have ${registryCredentialCharactersMax} characters in all`,
      )
    }
    const others = (await this.#sealed.list(NAMESPACE)).filter(({ name }) => name !== registry)
    if (others.length >= registryLoginsMax) {
      const message = `This node is logged in to ${others.length} registries already; "maoctl image logout" forgets one`
      throw new NodeError('QUOTA_EXCEEDED', message)
    }
    await store.checkCredentials({ registry, user, password })
    await this.#sealed.put(NAMESPACE, registry, JSON.stringify({ user, password }))
    const kept = (await this.list()).find((login) => login.registry === registry)
    if (kept !== undefined) return kept
    throw new NodeError('CONFLICT', `The login to ${registry} was taken back meanwhile`, { registry })
  }

  /** @throws NodeError NOT_FOUND, INVALID_INPUT */
  async logout(wanted: string): Promise<void> {
    const registry = parseRegistry(wanted)
    if (await this.#sealed.remove(NAMESPACE, registry)) return
    throw new NodeError('NOT_FOUND', `This node is not logged in to ${registry}`, { registry })
  }

  /** Without any password. */
  async list(): Promise<LoginView[]> {
    const views: LoginView[] = []
    for (const { name, timeMs } of await this.#sealed.list(NAMESPACE)) {
      const credentials = await this.#open(name)
      if (credentials !== undefined) {
        views.push({ registry: name, user: credentials.user, sinceMs: timeMs })
      }
    }
    return views
  }

  /** What opens the registry of a reference, if this node has it. */
  async for(reference: string): Promise<RegistryCredentials | undefined> {
    const { registry } = normalReference(reference)
    return registry === '' ? undefined : this.#open(registry)
  }

  async #open(registry: string): Promise<RegistryCredentials | undefined> {
    const sealed = await this.#sealed.get(NAMESPACE, registry)
    return sealed === undefined ? undefined : { registry, ...sealedSchema.parse(JSON.parse(sealed)) }
  }
}

/** @throws NodeError INVALID_INPUT */
export function parseRegistry(text: string): string {
  const registry = text.trim().toLowerCase()
  if (ALIASES.includes(registry)) return DOCKER_HUB
  if (REGISTRY.test(registry)) return registry
  const message = `"${text.slice(0, 100)}" is no registry; it is written as references begin: registry.example.org, registry.example.org:5000 or docker.io`
  throw new NodeError('INVALID_INPUT', message)
}
