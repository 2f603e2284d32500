import { ruleOf } from '../federation/keyspace.ts'
import type { Entry } from '../registry/watchers.ts'

/**
 * Whether somebody has to look at who claims a key. Where operators have a say each, the last one counts (keyspace.md
 * K9): that several spoke of one member is no contest.
 */
export function isContested({ key, contested }: Pick<Entry, 'key' | 'contested'>): boolean {
  return contested && ruleOf(key)?.writers === 'claims'
}
