/** What would be done about the image of a step: looked at on the engine, and neither pulled nor pinned. */
import { isNodeError, NodeError } from '../../base/errors.ts'
import type { Tool } from '../catalogue/tool.ts'
import type { Engines } from '../engines/engines.ts'
import type { ImagePins } from '../images/image-pins.ts'
import { type ImageRule, imageForbidden, verdictOf } from '../images/image-rules.ts'
import { isOfDigest } from '../images/images.ts'
import type { Run } from '../runs/run.ts'

export interface ImageOutlook {
  readonly reference: string
  /** `unknown` where the engine does not answer. */
  readonly state: 'there' | 'to-be-pulled' | 'unknown'
  /** Of the image that is there. */
  readonly digest?: string
  /** The digest that alone may run: its tool's, or the one of its first use here. */
  readonly pinned?: string
  /** What `execution.images.allow` says; `by-digest` when only the digest, which is not known yet, can tell. */
  readonly allowed: 'yes' | 'no' | 'by-digest'
  readonly problem?: NodeError
}

export interface ImageOutlookParts {
  /** @throws NodeError TOOL_NOT_FOUND */
  readonly toolOf: (tool: string) => Tool
  readonly engines: Pick<Engines, 'of'>
  readonly pins: Pick<ImagePins, 'find'>
  readonly imageRules: readonly ImageRule[]
  readonly settings: { readonly images: { readonly pull: string } }
}

/** @throws NodeError TOOL_NOT_FOUND */
export async function imageOutlook(
  p: { tool: string; run: Run; engine: string | undefined },
  parts: ImageOutlookParts,
): Promise<ImageOutlook> {
  const { image: reference, service } = parts.toolOf(p.tool)
  const demanded = p.run.imageDigests?.[p.tool] ?? service?.digest
  const here = await look(() => parts.engines.of(p.engine).images.inspect(demanded ?? reference))
  const image =
    here.image ??
    (demanded === undefined
      ? undefined
      : (await look(() => parts.engines.of(p.engine).images.inspect(reference))).image)
  const pin = demanded === undefined ? await parts.pins.find(reference) : undefined
  const digests = image === undefined ? [] : [image.id, ...image.repoDigests]
  const allowed = verdictOf(parts.imageRules, { reference, digests, tags: image?.tags ?? [] })
  const pinned = demanded ?? pin?.digest
  const outlook = {
    ...{ reference, allowed },
    ...(image === undefined ? {} : { digest: image.digest }),
    ...(pinned === undefined ? {} : { pinned }),
  }
  const state = image !== undefined ? 'there' : here.problem === undefined ? 'to-be-pulled' : 'unknown'
  const wrong = () => {
    if (here.problem !== undefined) return here.problem
    if (allowed === 'no') return imageForbidden(reference, parts.imageRules)
    if (image === undefined) {
      if (parts.settings.images.pull !== 'never') return undefined
      const message = `The image ${reference} is not on this machine, and this node pulls none (setting execution.images.pull is never): build, import or load it here`
      return new NodeError('IMAGE_NOT_FOUND', message, { image: reference })
    }
    const isPinned =
      pinned === undefined ||
      isOfDigest(image, pinned) ||
      pin?.id === image.id ||
      pin?.digest === image.digest
    if (isPinned) return undefined
    const message = `${reference} has to be ${pinned} and is ${image.digest} now; if that is meant, accept it with "maoctl tool accept ${p.tool}"`
    return new NodeError('IMAGE_MOVED', message, { image: reference, pinned, found: image.digest })
  }
  const problem = wrong()
  return { ...outlook, state, ...(problem === undefined ? {} : { problem }) }
}

async function look<T>(inspect: () => Promise<T>): Promise<{ image?: T; problem?: NodeError }> {
  try {
    return { image: await inspect() }
  } catch (error) {
    if (!isNodeError(error)) throw error
    return { problem: error }
  }
}
