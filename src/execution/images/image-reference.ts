/** The reference as Docker pulls it: without a tag or digest, all tags of a repository would be meant. Pure. */
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

/** `registry:5000/group/name:1@sha256:…` without tag and digest. Pure. */
export function repositoryOf(reference: string): string {
  const [named = ''] = reference.split('@')
  const slash = named.lastIndexOf('/')
  const colon = named.indexOf(':', slash + 1)
  return colon === -1 ? named : named.slice(0, colon)
}
