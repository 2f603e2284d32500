/** What members say that they hold of a dataset (protocols/dataset-heads.md §6). */
import { createHash } from 'node:crypto'
import { z } from 'zod'
import type { Members } from '../federation/members.ts'
import type { Item } from '../registry/collection.ts'
import { datasetIdSchema } from './dataset-record.ts'
import type { ReplicasView } from './dataset-view.ts'
import { foreignBranches, type HeadRecord } from './heads.ts'
import type { Known } from './known-datasets.ts'

export const REPLICAS_PREFIX = '/replicas/'

/** `/replicas/<dataset>/<peer>`: only that peer may write it. */
export const replicaSchema = z.object({
  /** Id of the dataset. */
  dataset: datasetIdSchema,
  /** SHA-256 over where the announced branches are that it holds, hex. */
  state: z.string().regex(/^[0-9a-f]{64}$/),
  /** Whether it holds all that was announced. */
  complete: z.boolean(),
  /** On its disk. */
  bytes: z.number().int().nonnegative(),
})
export type ReplicaRecord = z.infer<typeof replicaSchema>

/** Where branches are, as one hash: two members that hold the same give the same. */
export function stateOf(branches: Iterable<readonly [string, string]>): string {
  const lines = [...branches].map(([branch, commit]) => `${branch} ${commit}\n`).sort()
  return createHash('sha256').update(lines.join('')).digest('hex')
}

/** All branches that the heads of a dataset announce, each by its owner. */
export function announcedBranches(
  heads: readonly Item<HeadRecord>[],
  members: Pick<Members, 'get' | 'list'>,
): Map<string, string> {
  const names = members.list().map(({ name }) => name)
  const announced = new Map<string, string>()
  for (const { value, entry } of heads) {
    const name = members.get(entry.author)?.name
    if (name === undefined) continue
    const foreign = foreignBranches(value, name, names)
    for (const [branch, commit] of Object.entries(value.branches)) {
      if (!foreign.includes(branch)) announced.set(branch, commit)
    }
  }
  return announced
}

/** What this node has to say of its copy; undefined when it holds nothing of what was announced. */
export function reportOf(
  id: string,
  announced: ReadonlyMap<string, string>,
  held: ReadonlyMap<string, string>,
): Omit<ReplicaRecord, 'bytes'> | undefined {
  const here = [...announced].filter(([branch, commit]) => held.get(branch) === commit)
  const complete = here.length === announced.size
  if (here.length === 0 && !(complete && held.size > 0)) return undefined
  return { dataset: id, state: stateOf(here), complete }
}

/**
 * Who holds a dataset (dataset-heads.md H24). The owner's own copy is the dataset and no replica of it.
 *
 * @param own what this node holds, which it knows before it tells the others.
 */
export function replicasView(
  known: Pick<Known, 'id' | 'name' | 'owner' | 'record'>,
  records: readonly Item<ReplicaRecord>[],
  announced: ReadonlyMap<string, string>,
  members: Pick<Members, 'get'>,
  own: { readonly self: string; readonly held: ReadonlyMap<string, string> },
): ReplicasView {
  const now = stateOf(announced)
  const ownReport = reportOf(known.id, announced, own.held)
  const told = records.flatMap(({ value, entry }) => {
    const member = members.get(entry.author)
    if (member === undefined || value.dataset !== known.id) return []
    const { bytes } = value
    const { complete, state } = (entry.author === own.self ? ownReport : undefined) ?? value
    const isOwner = entry.author === known.owner
    return [{ isOwner, view: { member: member.name, complete, current: complete && state === now, bytes } }]
  })
  const replicas = told.filter(({ isOwner }) => !isOwner).map(({ view }) => view)
  const wanted = known.record.replicas
  return {
    ...(wanted === undefined ? {} : { wanted }),
    actual: replicas.filter(({ complete }) => complete).length,
    current: replicas.filter(({ current }) => current).length,
    members: told.map(({ view }) => view),
  }
}
