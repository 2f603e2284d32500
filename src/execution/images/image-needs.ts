/** Which of the images that this node brought may go. Pure. */
import type { BroughtImage } from './brought-images.ts'
import { bareDigest, normalReference } from './image-reference.ts'
import type { ListedImage } from './image-store.ts'
import type { ImagesSettings } from './settings.ts'

/** What keeps images, beside having been used of late. */
export interface Needs {
  /** References of tools, and of steps that have not ended. */
  readonly references: readonly string[]
  /** Digests and ids: of pins of those references, of services, of what runs demand. */
  readonly digests: readonly string[]
  /** Ids of the images of containers. */
  readonly containers: ReadonlySet<string>
}

/** An image that this node brought, and whether it stays. */
export interface ImageVerdict {
  readonly image: BroughtImage
  readonly tags: readonly string[]
  /** Why it is needed; absent where nothing needs it. */
  readonly needed?: string
  /** Why it goes; absent where it stays. */
  readonly goes?: string
}

export interface Looking {
  /** Of one engine. */
  readonly brought: readonly BroughtImage[]
  readonly present: readonly ListedImage[]
  readonly needs: Needs
  readonly settings: Pick<ImagesSettings, 'keepBytes' | 'keepUnusedMs' | 'recentMs'>
  readonly nowMs: number
}

/**
 * What becomes of each image that is still there: those that nothing needs go when they were not used for `keepUnusedMs`,
 * and, the longest unused first, for as long as all that this node brought has more than `keepBytes`. Layers that images
 * share count for each of them, so that it is rather too much that goes than too little.
 */
export function judgeImages(looking: Looking): ImageVerdict[] {
  const { brought, present, settings, nowMs } = looking
  const there = new Map(present.map((image) => [image.id, image]))
  const kept = brought.filter(({ id }) => there.has(id)).toSorted((a, b) => a.usedMs - b.usedMs)
  let bytes = kept.reduce((sum, image) => sum + image.bytes, 0)
  return kept.map((image) => {
    const listed = there.get(image.id) as ListedImage
    const needed = needOf(image, listed, looking)
    const verdict = { image, tags: listed.tags }
    if (needed !== undefined) return { ...verdict, needed }
    const unusedMs = nowMs - image.usedMs
    if (unusedMs <= settings.keepUnusedMs && bytes <= settings.keepBytes) return verdict
    bytes -= image.bytes
    const goes =
      unusedMs > settings.keepUnusedMs
        ? 'not used for longer than execution.images.keepUnusedMs'
        : 'there is more than execution.images.keepBytes, and it is the longest unused'
    return { ...verdict, goes }
  })
}

function needOf(image: BroughtImage, listed: ListedImage, looking: Looking): string | undefined {
  const { needs, settings, nowMs } = looking
  if (needs.containers.has(image.id)) return 'a container uses it'
  const names = new Set(listed.tags.map(nameOf))
  const reference = needs.references.find((each) => names.has(nameOf(each)))
  if (reference !== undefined) return `a tool or run names ${reference}`
  const digests = new Set([image.id, ...listed.repoDigests.map(bareDigest)])
  const wanted = [...needs.digests, ...needs.references.map((each) => normalReference(each).digest ?? '')]
  if (wanted.some((digest) => digests.has(bareDigest(digest)))) return 'a tool or run wants just this image'
  const own = new Set(image.references.map(nameOf))
  const other = listed.tags.find((tag) => !own.has(nameOf(tag)))
  if (other !== undefined) return `somebody named it ${other} here`
  return nowMs - image.usedMs <= settings.recentMs ? 'it was used of late' : undefined
}

/** The same for the same name, however it is written. */
function nameOf(reference: string): string {
  const { repository, tag = '', digest = '' } = normalReference(reference)
  return `${repository}:${tag}@${digest}`
}
