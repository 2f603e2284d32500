/** References of images as Docker reads them (github.com/distribution/reference). Pure. */

/** Where a name without a registry is looked for. */
export const DOCKER_HUB = 'docker.io'

/** What a reference means, with all that Docker adds by itself. */
export interface NormalReference {
  /** `docker.io`, `registry.example.org:5000`; empty for an id, which no registry knows. */
  readonly registry: string
  /** With the registry: `docker.io/library/busybox`; empty for an id. */
  readonly repository: string
  readonly tag?: string
  /** `sha256:…`: a registry's digest, or the id itself. */
  readonly digest?: string
}

const ID = /^sha256:[0-9a-f]+$/

/** The reference as Docker pulls it: without a tag or digest, all tags of a repository would be meant. */
export function withTag(reference: string): string {
  const last = reference.slice(reference.lastIndexOf('/') + 1)
  return last.includes(':') || last.includes('@') ? reference : `${reference}:latest`
}

/**
 * Of the digests by which registries know an image, that of the reference's own repository, else the first; undefined
 * where the image was made on this machine.
 */
export function digestAmong(repoDigests: readonly string[], reference: string): string | undefined {
  const repository = repositoryOf(reference)
  const own = repoDigests.find((digest) => repositoryOf(digest) === repository)
  return own ?? repoDigests.toSorted()[0]
}

/** `registry:5000/group/name:1@sha256:…` without tag and digest. */
export function repositoryOf(reference: string): string {
  const [named = ''] = reference.split('@')
  const slash = named.lastIndexOf('/')
  const colon = named.indexOf(':', slash + 1)
  return colon === -1 ? named : named.slice(0, colon)
}

/** `busybox` is `docker.io/library/busybox:latest`; `sha256:…` alone is the id of an image on this machine. */
export function normalReference(reference: string): NormalReference {
  if (ID.test(reference)) return { registry: '', repository: '', digest: reference }
  const [named = '', digest] = reference.split('@')
  const written = repositoryOf(named)
  const tag = named === written ? undefined : named.slice(written.length + 1)
  const repository = normalRepository(written)
  return {
    registry: repository.slice(0, repository.indexOf('/')),
    repository,
    ...(tag === undefined && digest === undefined ? { tag: 'latest' } : tag === undefined ? {} : { tag }),
    ...(digest === undefined ? {} : { digest }),
  }
}

/** The first part is a registry only where it has a dot or a port or is `localhost`. */
export function normalRepository(written: string): string {
  const slash = written.indexOf('/')
  const first = written.slice(0, Math.max(slash, 0))
  if (first === 'index.docker.io') return normalRepository(`${DOCKER_HUB}${written.slice(slash)}`)
  if (first === DOCKER_HUB && written.indexOf('/', slash + 1) === -1) {
    return `${DOCKER_HUB}/library/${written.slice(slash + 1)}`
  }
  if (/[.:]/.test(first) || first === 'localhost') return written
  return slash === -1 ? `${DOCKER_HUB}/library/${written}` : `${DOCKER_HUB}/${written}`
}

/** The `sha256:…` of `name@sha256:…`, or the text itself. */
export function bareDigest(digest: string): string {
  return digest.slice(digest.lastIndexOf('@') + 1)
}
