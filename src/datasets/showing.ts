import type { Members } from '../federation/members.ts'
import type { Collection, Item } from '../registry/collection.ts'
import { type DatasetView, viewOf } from './dataset-view.ts'
import type { Followed } from './followed.ts'
import type { GroundTruths } from './ground-truths.ts'
import type { HeadWatch } from './head-watch.ts'
import type { HeadRecord } from './heads.ts'
import type { HeldUp } from './held-up.ts'
import type { Known, KnownDatasets } from './known-datasets.ts'
import { announcedBranches, type ReplicaRecord, replicasView } from './replicas.ts'
import type { Shelf } from './shelf.ts'

export interface ShowingParts {
  readonly self: string
  readonly members: Pick<Members, 'get' | 'list' | 'isMember'>
  readonly heads: Collection<HeadRecord>
  readonly replicas: Collection<ReplicaRecord>
  readonly known: Pick<KnownDatasets, 'contested'>
  readonly watch: HeadWatch
  readonly followed: Followed
  readonly truths: GroundTruths
  readonly shelf: Shelf
  /** Why what these heads announce is not here. */
  readonly heldUp: (dataset: string, heads: readonly Item<HeadRecord>[]) => HeldUp
}

/** Datasets as people see them: what is known of them, beside what is here. */
export class Showing {
  readonly #parts: ShowingParts

  constructor(parts: ShowingParts) {
    this.#parts = parts
  }

  /** As far as its repository has been opened. */
  view(known: Known): DatasetView {
    const { self, members, watch, followed, shelf, truths } = this.#parts
    const { name, id, record, policy, owner } = known
    const nameOf = (peer: string) => members.get(peer)?.name ?? peer
    const contested = this.#parts.known.contested(name)
    const isShared = policy !== 'local-only'
    const all = isShared ? this.#parts.heads.list(`${name}/`) : []
    const heads = watch.followable(known, all)
    const held = shelf.branches(name)
    const records = isShared ? this.#parts.replicas.list(`${name}/`) : []
    return viewOf(name, {
      ...{ record, policy, heads, members, held },
      ...followed.decide(known),
      owner: nameOf(owner),
      contested: contested.map(({ author, id: other, reason }) => ({
        member: nameOf(author),
        id: other,
        reason,
      })),
      isHome: owner === self,
      truth: truths.shown(known),
      ignored: watch.ignored(known, all),
      heldUp: this.#parts.heldUp(name, heads),
      replicas: replicasView(known, records, announcedBranches(heads, members), members, { self, held }),
      equivocations: isShared ? watch.equivocations(id) : [],
    })
  }
}
