import { NodeError } from '../base/errors.ts'
import { isName } from '../base/names.ts'

/** What an address of the form `mao://<federation>/<dataset>` names. */
export interface DatasetAddress {
  /** Name or id; undefined for the one that the node is in. */
  readonly federation: string | undefined
  /** Names of the dataset that are meant, the likeliest first: people like to write `.git` behind it. */
  readonly datasets: readonly [string, ...string[]]
}

const FORM = 'mao://<federation>/<dataset>, or mao:///<dataset> for the federation of your node'
const ADDRESS = /^mao:\/\/([^/]*)\/([^/]+)\/?$/

/**
 * Whatever a federation, a dataset or a submodule may be called, only names come out of here: no user, port, option,
 * query or second address (stock-git.md P19). Pure.
 *
 * @throws NodeError INVALID_INPUT, which does not repeat the address: it may hold a password.
 */
export function parseAddress(text: string): DatasetAddress {
  const [, federation, dataset] = ADDRESS.exec(text) ?? []
  if (federation === undefined || dataset === undefined) throw noAddress('this is none')
  if (federation.includes('@')) throw noAddress('it takes no user and no password')
  if (federation !== '' && !isName(federation)) throw noAddress('what stands for the federation is no name')
  if (!isName(dataset)) throw noAddress('what stands for the dataset is no name')
  const bare = dataset.replace(/\.git$/, '')
  return {
    federation: federation === '' ? undefined : federation,
    datasets: bare !== dataset && isName(bare) ? [dataset, bare] : [dataset],
  }
}

function noAddress(why: string): NodeError {
  return new NodeError('INVALID_INPUT', `An address is written ${FORM}; ${why}`)
}
