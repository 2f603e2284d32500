import { TextDecoder } from 'node:util'
import type { Registry } from '../../registry/registry.ts'

/** Where records say something of commits of one dataset: below its name, or under it. */
const BELOW = ['/heads/', '/rounds/', '/ballots/']
const UNDER = ['/dataset/', '/truth/']
/** A longer one is the hash of something else. */
const COMMIT = /(?<![0-9a-f])[0-9a-f]{40}(?![0-9a-f])/g

/**
 * Every commit that a record about a dataset names: heads, rounds and ballots as long as the registry keeps them, the
 * truth's certificate, and what any claim to the name says it began with. The values are searched as text: what another
 * version of this program writes there is kept as well, and what is no commit keeps nothing (dataset-upkeep.md Q6).
 */
export function namedCommits(registry: Pick<Registry, 'list' | 'claims'>, dataset: string): string[] {
  const decoder = new TextDecoder()
  const keys = BELOW.flatMap((prefix) => registry.list(`${prefix}${dataset}/`).map(({ key }) => key))
  const found = new Set<string>()
  for (const key of [...keys, ...UNDER.map((prefix) => prefix + dataset)]) {
    for (const { value } of registry.claims(key))
      for (const [oid] of decoder.decode(value).matchAll(COMMIT)) found.add(oid)
  }
  return [...found]
}
