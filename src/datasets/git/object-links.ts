import { isNodeError, messageOf, NodeError } from '../../base/errors.ts'
import { DIRECTORY_MODE, decodeCommit, decodeTree } from './git-objects.ts'

/** An object by its id, and the type it has to have there. */
export type Link = [oid: string, type: string]

/** What an object refers to, and so has to be here as well. @throws NodeError PACK_REJECTED, PATH_UNSAFE */
export function referred(oid: string, type: string, bytes: Uint8Array): Link[] {
  try {
    if (type === 'blob') return []
    if (type === 'tree') {
      return decodeTree(oid, bytes).map((entry) => [
        entry.oid,
        entry.mode === DIRECTORY_MODE ? 'tree' : 'blob',
      ])
    }
    if (type === 'commit') {
      const { tree, parents } = decodeCommit(oid, bytes)
      return [[tree, 'tree'], ...parents.map((parent): Link => [parent, 'commit'])]
    }
  } catch (cause) {
    if (isNodeError(cause, 'PATH_UNSAFE')) throw cause
    throw new NodeError('PACK_REJECTED', messageOf(cause), { oid }, { cause })
  }
  throw new NodeError('PACK_REJECTED', `The object ${oid} is a ${type}; datasets hold none`, { oid })
}
