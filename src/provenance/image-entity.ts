import { repositoryOf, withTag } from '../execution/images/image-reference.ts'
import type { Entity } from './crate.ts'

const DOCKER_HUB = 'docker.io'

/**
 * A container image as the workflow-run terms describe it (https://w3id.org/ro/terms/workflow-run#ContainerImage).
 *
 * @param reference as the tool names it, such as `registry.example.org/lab/collect:1`.
 * @param digest `name@sha256:…` where a registry knows the image; `sha256:…`, the id of its configuration, where it
 * was made on the node that ran it.
 */
export function imageEntity(reference: string, digest: string | undefined): Entity {
  const repository = repositoryOf(reference)
  const [first = '', ...rest] = repository.split('/')
  // As Docker reads a reference: the first part is a registry when it looks like a host.
  const hasRegistry = rest.length > 0 && (first === 'localhost' || /[.:]/.test(first))
  const [named = ''] = withTag(reference).split('@')
  const tag = named.slice(repositoryOf(named).length + 1)
  const local = digest !== undefined && !digest.includes('@')
  const sha256 = digest?.split('sha256:').at(-1)
  return {
    '@id': `#image/${encodeURIComponent(digest ?? reference)}`,
    '@type': 'ContainerImage',
    additionalType: { '@id': 'https://w3id.org/ro/terms/workflow-run#DockerImage' },
    // An image that was made on its node is in no registry.
    ...(local ? {} : { registry: hasRegistry ? first : DOCKER_HUB }),
    name: hasRegistry ? rest.join('/') : repository,
    ...(tag === '' ? {} : { tag }),
    ...(sha256 === undefined ? {} : { sha256 }),
    ...(local ? { description: "Made on the node; sha256 is that of the image's configuration" } : {}),
  }
}
