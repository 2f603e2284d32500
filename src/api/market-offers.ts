/** What a federation has under a name, as an offer: so that nobody has to write down again what stands in the registry. */
import { NodeError } from '../base/errors.ts'
import { listingGenesisCharactersMax } from '../base/limits.ts'
import type { ListingKind } from '../marketplace/listing.ts'
import type { ApiNode } from './api-node.ts'

export interface FoundOffer {
  readonly description: string
  readonly body: Readonly<Record<string, unknown>>
}

/**
 * @throws NodeError NO_FEDERATION, TOOL_NOT_FOUND, PIPELINE_NOT_FOUND, DATASET_NOT_FOUND; DATASET_WITHHELD for a dataset of
 * which nobody is to learn; CONFLICT for a private federation; NOT_OPERATOR for a federation, since operators say whether strangers may come.
 */
export async function offerOfFederation(node: ApiNode, kind: ListingKind, name: string): Promise<FoundOffer> {
  if (!node.hasFederation) {
    const message = `This node is in no federation that would have a ${kind} ${name}; say what is offered with --file FILE (body)`
    throw new NodeError('NO_FEDERATION', message)
  }
  if (kind === 'dataset') return datasetOffer(node, name)
  if (kind === 'federation') return federationOffer(node, name)
  const { execution } = node.federation
  const item = kind === 'tool' ? execution.tools.get(name) : execution.pipelines.get(name)
  if (item === undefined) {
    const code = kind === 'tool' ? 'TOOL_NOT_FOUND' : 'PIPELINE_NOT_FOUND'
    throw new NodeError(code, `No ${kind} is named ${name} in this federation`, { name })
  }
  const { description = '', ...body } = item.value
  return { description, body }
}

/** Whoever installs a pipeline elsewhere needs to know which dataset it is, how large, and whence it can be had. */
async function datasetOffer(node: ApiNode, name: string): Promise<FoundOffer> {
  const { datasets, genesis } = node.federation
  const { id: dataset, description, policy, upstream, size } = await datasets.show(name)
  if (policy === 'local-only') {
    const message = `The dataset ${name} is local-only: nobody else learns of it, so it is not listed either`
    throw new NodeError('DATASET_WITHHELD', message, { name, policy })
  }
  const { federation } = genesis
  const source = upstream === undefined ? {} : { upstream: upstream.url, branch: upstream.branch }
  return { description, body: { federation, dataset, policy, ...source, ...size } }
}

function federationOffer(node: ApiNode, name: string): FoundOffer {
  const { genesis, members, membership } = node.federation
  const { federation, description, envelope } = genesis
  if (name !== genesis.name) {
    const message = `This federation is named ${genesis.name}, and is listed under that name`
    throw new NodeError('INVALID_INPUT', message, { name })
  }
  if (genesis.private) {
    const message = `${name} is private: its network is closed to whoever does not belong to it, so that nobody else would hear the listing; "maoctl federation invite" is how to let somebody in`
    throw new NodeError('CONFLICT', message, { name })
  }
  if (members.get(node.peerId)?.role !== 'operator') {
    const message = `Operators say whether strangers may come to ${name}, and this node is none; ask one of them to list it`
    throw new NodeError('NOT_OPERATOR', message)
  }
  // As the rules are now, whatever they were in the beginning.
  const { contacts, join } = membership.policies.state().policy
  const sealed = Buffer.from(envelope).toString('base64')
  // Without it the listing is a claim like any other; who joins checks the genesis all the same.
  const proof = sealed.length > listingGenesisCharactersMax ? {} : { genesis: sealed }
  const addresses = node.addresses().filter((address) => address.includes('/p2p/'))
  return { description, body: { federation, contacts, addresses, join, ...proof } }
}
