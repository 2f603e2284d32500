import type { DatasetView } from '../../datasets/dataset-view.ts'
import type { Member } from '../../federation/members.ts'
import type { Offer } from './offer.ts'
import type { Candidate } from './placement.ts'

export interface CandidateFacts {
  readonly online: (peer: string) => boolean
  readonly offer: (peer: string) => Offer | undefined
  readonly datasets: readonly Pick<DatasetView, 'name' | 'createdBy' | 'livesAt' | 'replicas' | 'branches'>[]
}

/** Members as places for runs. Pure. */
export function candidatesOf(
  members: readonly Pick<Member, 'peer' | 'name'>[],
  facts: CandidateFacts,
): Candidate[] {
  const { online, offer, datasets } = facts
  const byName = new Map(datasets.map((dataset) => [dataset.name, dataset]))
  return members.map(({ peer, name }) => {
    const dataOf = (dataset: string) => {
      const known = byName.get(dataset)
      return known !== undefined && isHeldBy(known, name)
    }
    return { peer, name, online: online(peer), offer: offer(peer), holds: dataOf }
  })
}

/** By its own word (replicas), or because it founded the dataset and so has the first copy. */
function isHeldBy(dataset: CandidateFacts['datasets'][number], member: string): boolean {
  if (dataset.livesAt !== undefined) return dataset.livesAt === member
  if (dataset.createdBy === member) return true
  return dataset.replicas.members.some((replica) => replica.member === member && replica.complete)
}
