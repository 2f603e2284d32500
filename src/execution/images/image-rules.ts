/** Which images may run on this node: the list `execution.images.allow`. Pure. */
import { NodeError } from '../../base/errors.ts'
import { bareDigest, normalReference, normalRepository } from './image-reference.ts'

/**
 * One rule, taken apart: `[repository][:tag][@digest]`, in which `*` stands for anything but a slash and `**` for
 * anything. A repository without a registry is Docker Hub's, as in a reference; `*` alone is every repository.
 */
export interface ImageRule {
  readonly text: string
  readonly repository: RegExp
  readonly tag?: RegExp
  readonly digest?: string
}

const RULE = /^(?<repository>[^@]*?)(?::(?<tag>[\w.*-]+))?(?:@(?<digest>sha256:[0-9a-f]{64}))?$/
const REPOSITORY = /^[a-z0-9*](?:[a-z0-9*._:/-]*[a-z0-9*])?$/i

/** @throws NodeError INVALID_CONFIG saying how a rule is written. */
export function parseImageRule(text: string): ImageRule {
  const { repository, tag, digest } = RULE.exec(text.trim())?.groups ?? {}
  if (repository === undefined || !REPOSITORY.test(repository)) {
    const message = `"${text}" is no rule for images; rules look like busybox, registry.example.org/lab/*, lab/**:1.* or *@sha256:… (64 hexadecimal digits)`
    throw new NodeError('INVALID_CONFIG', message)
  }
  const everywhere = repository === '*' || repository === '**'
  const whole = everywhere || repository.startsWith('*') ? repository : normalRepository(repository)
  return {
    text,
    repository: everywhere ? /^/ : patternOf(whole),
    ...(tag === undefined ? {} : { tag: patternOf(tag) }),
    ...(digest === undefined ? {} : { digest }),
  }
}

/** What is known of an image so far. */
export interface Candidate {
  readonly reference: string
  /** Every digest that it is known to have, with or without a repository, and its id; none before it is looked for. */
  readonly digests: readonly string[]
  /** What it is called on this machine: that counts where the reference is an id, which has no name of its own. */
  readonly tags?: readonly string[]
}

/**
 * Whether the rules let an image run: `yes`, `no`, or `by-digest` where only its digest, which is not known yet, could let
 * it. No rules let everything run.
 */
export function verdictOf(rules: readonly ImageRule[], candidate: Candidate): 'yes' | 'no' | 'by-digest' {
  if (rules.length === 0) return 'yes'
  const { repository, tag, digest } = normalReference(candidate.reference)
  if (repository === '') {
    const named = (candidate.tags ?? []).map((reference) => ({ ...candidate, reference, tags: [] }))
    if (named.some((each) => verdictOf(rules, each) === 'yes')) return 'yes'
  }
  const digests = new Set([...candidate.digests, ...(digest === undefined ? [] : [digest])].map(bareDigest))
  const named = rules.filter((rule) => {
    // An id names no repository, so only its digest can let it run.
    const byName = repository === '' ? rule.digest !== undefined : rule.repository.test(repository)
    return byName && (rule.tag === undefined || (tag !== undefined && rule.tag.test(tag)))
  })
  if (named.some((rule) => rule.digest === undefined || digests.has(rule.digest))) return 'yes'
  return named.length > 0 && digests.size === 0 ? 'by-digest' : 'no'
}

export function imageForbidden(reference: string, rules: readonly ImageRule[]): NodeError {
  const { repository, tag, digest } = normalReference(reference)
  const name = `${repository}${tag === undefined ? '' : `:${tag}`}${digest === undefined ? '' : `@${digest}`}`
  const allowed = rules.map(({ text }) => text).join(', ')
  const message = `This node does not run the image ${name}: it runs ${allowed} (setting execution.images.allow); ask whoever runs the node to add it`
  return new NodeError('IMAGE_FORBIDDEN', message, {
    image: reference,
    allowed: rules.map(({ text }) => text),
  })
}

/** `**` before `*`, in one pass; everything else stands for itself. */
function patternOf(glob: string): RegExp {
  const source = glob.replaceAll(/\*\*|\*|[^*]+/g, (part) => {
    if (part === '**') return '.*'
    return part === '*' ? '[^/]*' : part.replaceAll(/[\\^$.|?+()[\]{}-]/g, '\\$&')
  })
  return new RegExp(`^${source}$`)
}
