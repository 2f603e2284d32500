import { isNodeError, NodeError } from '../../base/errors.ts'
import { isName } from '../../base/names.ts'
import type { Item } from '../../registry/collection.ts'
import type { Catalogue } from '../catalogue/catalogue.ts'
import type { Tool } from '../catalogue/tool.ts'
import type { Engines } from '../engines/engines.ts'
import { repositoryOf } from './image-reference.ts'
import type { StoredImage } from './image-store.ts'
import type { Images } from './images.ts'
import { isLabelledService, parseServiceLabels, type ServiceDescription } from './service.ts'

export interface ServiceImagesParts {
  readonly images: Pick<Images, 'bring'>
  readonly engines: Pick<Engines, 'of'>
  readonly catalogue: Pick<Catalogue, 'addTool'>
}

/** What an image is, and what it says of itself. */
export interface InspectedImage {
  readonly reference: string
  readonly digest: string
  readonly id: string
  readonly user: string
  readonly bytes: number
  /** The reference that means this very image for ever: by its digest, or its id where no registry knows it. */
  readonly fixed: string
  readonly service?: ServiceDescription
  /** Why its labels describe no service, though they begin to. */
  readonly problems?: readonly string[]
}

export interface ServiceWish {
  /** Default: the service's own name, as far as it can name a tool. */
  readonly name?: string | undefined
  readonly author?: string | undefined
  readonly code_repo?: string | undefined
}

/** Images that become tools by what their labels say. */
export class ServiceImages {
  readonly #parts: ServiceImagesParts

  constructor(parts: ServiceImagesParts) {
    this.#parts = parts
  }

  /** Brings the image by this node's rules, and reads its labels. @throws what `Images.bring` throws. */
  async inspect(reference: string, signal: AbortSignal): Promise<InspectedImage> {
    const image = await this.#bring(reference, signal)
    const { digest, id, user, bytes, labels } = image
    const inspected = { reference, digest, id, user, bytes, fixed: fixedReference(image, reference) }
    if (!isLabelledService(labels)) return inspected
    try {
      return { ...inspected, service: parseServiceLabels(labels) }
    } catch (error) {
      if (!isNodeError(error, 'INVALID_INPUT')) throw error
      return { ...inspected, problems: error.data.problems as string[] }
    }
  }

  /**
   * Registers the service that an image says it is, bound to this very image.
   *
   * @throws NodeError INVALID_INPUT listing what is wrong with its labels, CONFLICT when its name and version are another
   * image's, INVALID_NAME, and what `Images.bring` throws.
   */
  async register(reference: string, wish: ServiceWish, signal: AbortSignal): Promise<Item<Tool>> {
    const image = await this.#bring(reference, signal)
    if (!isLabelledService(image.labels)) {
      const message = `${reference} has no labels eudat.gef.service.*, so that it is no service; register it with "maoctl tool add NAME --image ${reference}"`
      throw new NodeError('INVALID_INPUT', message, { image: reference })
    }
    const described = parseServiceLabels(image.labels)
    const name = wish.name ?? toolNameOf(described.name)
    const { author, code_repo } = wish
    return this.#parts.catalogue.addTool(name, {
      image: fixedReference(image, reference),
      ...(author === undefined ? {} : { author }),
      ...(code_repo === undefined ? {} : { code_repo }),
      ...(described.description === '' ? {} : { description: described.description }),
      service: { ...described, digest: image.digest },
    })
  }

  #bring(reference: string, signal: AbortSignal): Promise<StoredImage> {
    return this.#parts.images.bring({
      reference,
      engine: this.#parts.engines.of(),
      signal,
      say: () => undefined,
    })
  }
}

/** By the digest of the registry that the reference names, so that other members find it there; else by the id. */
function fixedReference(image: StoredImage, reference: string): string {
  const repository = repositoryOf(reference)
  return image.repoDigests.find((digest) => repositoryOf(digest) === repository) ?? image.id
}

/** @throws NodeError INVALID_NAME where hardly anything is left of it. */
function toolNameOf(service: string): string {
  const name = service
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .slice(0, 63)
    .replaceAll(/^-+|-+$/g, '')
  if (isName(name)) return name
  throw new NodeError('INVALID_NAME', `The service "${service}" needs a name as a tool: give one with --name`)
}
