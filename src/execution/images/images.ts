import type { Clock } from '../../base/clock.ts'
import { isNodeError, NodeError } from '../../base/errors.ts'
import { LOCAL_ENGINE } from '../engines/engines.ts'
import type { BroughtImages } from './brought-images.ts'
import type { ImagePins } from './image-pins.ts'
import { bareDigest, normalReference, repositoryOf, withTag } from './image-reference.ts'
import { type Candidate, type ImageRule, imageForbidden, verdictOf } from './image-rules.ts'
import type { ImageStore, RegistryCredentials, StoredImage } from './image-store.ts'
import type { RegistryLogins } from './registry-logins.ts'
import type { ImagesSettings } from './settings.ts'

export interface ImagesParts {
  readonly pins: ImagePins
  readonly logins: Pick<RegistryLogins, 'for'>
  readonly brought: Pick<BroughtImages, 'note'>
  readonly settings: Pick<ImagesSettings, 'pull'> & Partial<Pick<ImagesSettings, 'loginsForMembers'>>
  /** `execution.images.allow`. */
  readonly rules: readonly ImageRule[]
  /** The digest that the record of a tool itself demands: that of a service. */
  readonly digestOf: (tool: string) => string | undefined
  readonly clock: Clock
}

/** What can bring images, and under which name of the settings it is known. */
export interface ImageEngine {
  readonly images: ImageStore
}

export interface Bringing {
  readonly reference: string
  readonly engine: ImageEngine
  /** The engine's name in the settings. */
  readonly engineId?: string
  /** For a run of another member, which gets nothing that only this node's passwords open. */
  readonly forMember?: boolean
  readonly signal: AbortSignal
  /** Gets a line for each thing that is done, for the log of the step's first stage. */
  readonly say: (line: string) => void
}

/** Gets the images that steps run in, and makes sure that they are the right ones. */
export class Images {
  readonly #parts: ImagesParts

  constructor(parts: ImagesParts) {
    this.#parts = parts
  }

  /**
   * The image that `reference` of `tool` means, on that engine, pulled as the settings say, and pinned at its first use.
   *
   * @param p.digest the one digest that it may have: then what the reference has come to mean meanwhile does not matter.
   * @throws NodeError IMAGE_FORBIDDEN before anything is pulled, IMAGE_NOT_FOUND, IMAGE_MOVED, ENGINE_UNAVAILABLE, the
   * signal's reason.
   */
  async obtain(p: Bringing & { readonly tool: string; readonly digest?: string | undefined }) {
    const { tool, reference, signal, say } = p
    const demanded = p.digest ?? this.#parts.digestOf(tool)
    const image = demanded === undefined ? await this.bring(p) : await this.#exactly(p, demanded)
    signal.throwIfAborted()
    if (demanded === undefined) {
      await this.#parts.pins.check({ tool, reference, image, timeMs: this.#parts.clock.now() })
    }
    say(`image ${reference} is ${image.digest}`)
    return image
  }

  /** The image, whatever it was before; see `obtain`. */
  async bring(p: Bringing): Promise<StoredImage> {
    const { reference, signal } = p
    const store = p.engine.images
    const { pull } = this.#parts.settings
    const here = await store.inspect(reference)
    // What a digest names is the same for ever, and an id is known to no registry.
    const isFixed = normalReference(reference).digest !== undefined
    const isDue = pull === 'always' && !isFixed && here !== undefined && here.repoDigests.length > 0
    const willPull = isDue || here === undefined
    const wanted = await this.#admit(p, here, willPull)
    const image = willPull ? await this.#pull(p, wanted) : here
    signal.throwIfAborted()
    if (image === undefined) throw imageGone(reference)
    return this.#letIn(p, image)
  }

  /** @returns the digest by which alone it may come, where it is let in by that. @throws NodeError IMAGE_FORBIDDEN */
  async #admit(p: Bringing, here: StoredImage | undefined, willPull: boolean): Promise<string | undefined> {
    const { rules, settings } = this.#parts
    const { reference, signal, engine } = p
    const candidate = willPull ? { reference, digests: [] } : candidateOf(reference, here)
    const verdict = verdictOf(rules, candidate)
    if (verdict === 'yes') return undefined
    if (verdict === 'no' || settings.pull === 'never') throw imageForbidden(reference, rules)
    // Only a digest could let it in, and the registry tells it without a pull.
    const credentials = await this.#credentials(p)
    const digest = await engine.images.digestAt(reference, { credentials, signal })
    if (verdictOf(rules, { reference, digests: [digest] }) === 'yes') return digest
    throw imageForbidden(reference, rules)
  }

  async #pull(p: Bringing, digest: string | undefined): Promise<StoredImage | undefined> {
    const { settings } = this.#parts
    const { reference, engine, signal, say } = p
    if (settings.pull === 'never') {
      const message = `The image ${reference} is not on this machine, and this node pulls none (setting execution.images.pull is never): build, import or load it here`
      throw new NodeError('IMAGE_NOT_FOUND', message, { image: reference })
    }
    if (normalReference(reference).registry === '') {
      const message = `The image ${reference} is known by its id alone, on the machine where it was made, and is not on this one: push it to a registry, and let the tool name it there`
      throw new NodeError('IMAGE_NOT_FOUND', message, { image: reference })
    }
    const store = engine.images
    const named = digest === undefined ? reference : `${repositoryOf(reference)}@${digest}`
    const before = new Set((await store.list()).map(({ id }) => id))
    say(`pulling ${named}`)
    await store.pull(named, { credentials: await this.#credentials(p), signal })
    const pulled = await store.inspect(named)
    if (pulled !== undefined && !before.has(pulled.id)) await this.#note(p, pulled, named)
    return pulled
  }

  async #note(p: Bringing, image: StoredImage, pulledAs?: string): Promise<void> {
    const { brought, clock } = this.#parts
    const how = pulledAs === undefined ? {} : { how: 'pulled' as const, reference: withTag(pulledAs) }
    await brought.note({ engine: p.engineId ?? LOCAL_ENGINE, image, ...how, timeMs: clock.now() })
  }

  /** The image with that digest, and with no other. @throws NodeError IMAGE_FORBIDDEN, IMAGE_NOT_FOUND, IMAGE_MOVED. */
  async #exactly(p: Bringing, digest: string): Promise<StoredImage> {
    const { reference } = p
    const bare = bareDigest(digest)
    const here = await this.#here(p, bare)
    if (here !== undefined) return this.#letIn({ ...p, reference: here.as }, here.image)
    const isId = normalReference(reference).registry === ''
    // What has another name in its digest is another image than the reference's, unless that is an id.
    const named = isId ? digest : `${repositoryOf(reference)}@${bare}`
    const as = await this.#admitAs(p, named, bare)
    const pulled = await this.#pull({ ...p, reference: named }, undefined)
    if (pulled !== undefined && isOfDigest(pulled, bare) && (!isId || pulled.id === reference)) {
      return this.#letIn({ ...p, reference: as }, pulled)
    }
    const message = `${reference} has to be ${digest}, and what is to be had is ${pulled?.digest ?? 'nothing'}`
    throw new NodeError('IMAGE_MOVED', message, { image: reference, pinned: digest })
  }

  /**
   * The image with that digest where it is here and the reference's: what that means or once meant here, or one of the
   * same repository. Any other image of this machine is none of the reference's, whoever names its id.
   */
  async #here({ reference, engine }: Bringing, bare: string) {
    const named = `${repositoryOf(reference)}@${bare}`
    const isId = normalReference(reference).registry === ''
    for (const name of isId ? [reference] : [reference, bare, named]) {
      const image = await engine.images.inspect(name)
      if (image === undefined || !isOfDigest(image, bare)) continue
      if (name === reference || (await this.#parts.pins.hasMeant(reference, image))) {
        return { image, as: reference }
      }
      if (isOfRepository(image, reference)) return { image, as: named }
    }
    return undefined
  }

  /** Under which name the image may come, asked before it is pulled: its tag counts where the registry says it is that. */
  async #admitAs(p: Bringing, named: string, bare: string): Promise<string> {
    const { rules } = this.#parts
    const { reference, engine, signal } = p
    const digests = [bare]
    if (verdictOf(rules, { reference: named, digests }) === 'yes') return named
    const mayByTag =
      verdictOf(rules, { reference, digests }) === 'yes' && this.#parts.settings.pull !== 'never'
    const credentials = mayByTag ? await this.#credentials(p) : undefined
    if (mayByTag && (await engine.images.digestAt(reference, { credentials, signal })) === bare)
      return reference
    throw imageForbidden(named, rules)
  }

  async #credentials({ reference, forMember = false }: Bringing): Promise<RegistryCredentials | undefined> {
    const { logins, settings } = this.#parts
    return forMember && settings.loginsForMembers !== true ? undefined : logins.for(reference)
  }

  /** [MUST] What a password has brought here is not another member's to run (run.md R23): it has to be had without. */
  async #checkOpen({ reference, engine, signal, forMember = false }: Bringing, image: StoredImage) {
    const { logins, settings } = this.#parts
    if (!forMember || settings.loginsForMembers === true) return
    // By its id, or another name that it was given here, it is the same image.
    const names = [reference, ...image.repoDigests]
    const found = await Promise.all(names.map((name) => logins.for(name)))
    if (found.every((login) => login === undefined)) return
    for (const digest of image.repoDigests) {
      try {
        await engine.images.digestAt(digest, { credentials: undefined, signal })
        return
      } catch (error) {
        if (!isNodeError(error, 'IMAGE_NOT_FOUND')) throw error
      }
    }
    const message = `The image ${reference} is of a registry that this node has a password for, and is not to be had without; runs of other members do not get it (setting execution.images.loginsForMembers)`
    throw new NodeError('IMAGE_FORBIDDEN', message, { image: reference })
  }

  /** Looked at again whatever let it in: what came may be another image than the one that was asked about. */
  async #letIn(p: Bringing, image: StoredImage): Promise<StoredImage> {
    const { rules } = this.#parts
    const { reference } = p
    if (verdictOf(rules, candidateOf(reference, image)) !== 'yes') throw imageForbidden(reference, rules)
    await this.#checkOpen(p, image)
    await this.#note(p, image)
    return image
  }
}

function candidateOf(reference: string, image: StoredImage | undefined): Candidate {
  if (image === undefined) return { reference, digests: [] }
  return { reference, digests: [image.id, ...image.repoDigests], tags: image.tags }
}

/** Whether an image is known by a digest, of whatever registry, or has it as its id. */
export function isOfDigest(image: Pick<StoredImage, 'id' | 'repoDigests'>, digest: string): boolean {
  const bare = bareDigest(digest)
  return image.id === bare || image.repoDigests.some((known) => bareDigest(known) === bare)
}

/** Whether a registry knows it by a digest in the repository that the reference names. */
function isOfRepository({ repoDigests }: StoredImage, reference: string): boolean {
  const { repository } = normalReference(reference)
  return repoDigests.some((known) => normalReference(known).repository === repository)
}

function imageGone(reference: string): NodeError {
  const message = `The image ${reference} was pulled and then not there; try again`
  return new NodeError('IMAGE_NOT_FOUND', message, { image: reference })
}
