/**
 * A token below operator does a member's work, also where the node is an operator of its federation. All members obey
 * an operator's record over other members' claims to a name, and its tombstone buries them (keyspace.md [K11], [K13]):
 * that is the word of the node's operators, and is said with a token for operators. The registry cannot tell who asked.
 */
import type { Context } from 'hono'
import { NodeError } from '../base/errors.ts'
import { includes, type Scope } from '../identity/scopes.ts'
import type { Entry } from '../registry/watchers.ts'
import type { ApiNode } from './api-node.ts'

export interface Say {
  readonly scope: Scope
  /** Whether the node is an operator of the federation. */
  readonly isOperator: boolean
  /** Whether a peer is this node, under the key that it has now or one that it had. */
  readonly isSelf: (peer: string) => boolean
  readonly claims: readonly Pick<Entry, 'author' | 'buried'>[]
}

/** Whose claim a write would bury or outrank without the right to: the author, or undefined. Pure. */
export function overruled({ scope, isOperator, isSelf, claims }: Say): string | undefined {
  if (!isOperator || includes(scope, 'operator')) return undefined
  return claims.find(({ author, buried }) => buried !== true && !isSelf(author))?.author
}

/** To be asked before a name of the federation is written or taken back in somebody's name. @throws NodeError FORBIDDEN */
export function demandSay(c: Context, node: ApiNode, key: string): void {
  const { registry, members } = node.federation
  const other = overruled({
    scope: c.get('principal').scope,
    isOperator: members.get(node.peerId)?.role === 'operator',
    isSelf: (peer) => members.presentOf(peer) === node.peerId,
    claims: registry.claims(key),
  })
  if (other === undefined) return
  const owner = members.get(members.presentOf(other))?.name ?? other
  const message = `${key} is claimed by ${owner}, and this node is an operator, whose word counts before that: it takes a token for operators (maoctl token create --scope operator)`
  throw new NodeError('FORBIDDEN', message, { key, owner, needed: 'operator' })
}
