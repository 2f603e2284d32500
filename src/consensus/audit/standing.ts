/** Who may ask and be asked about a dataset, and whether this node has a part in an audit of it (protocols/audit.md §4). */
import { NodeError } from '../../base/errors.ts'
import type { Datasets } from '../../datasets/datasets.ts'
import { withheldAs, withheldText } from '../../datasets/policies.ts'
import type { Members } from '../../federation/members.ts'
import type { NamedPeer } from '../views.ts'
import type { SeenOpening } from './audit-records.ts'

export interface StandingParts {
  readonly self: string
  readonly members: Pick<Members, 'list' | 'get' | 'former'>
  readonly datasets: Pick<Datasets, 'find' | 'mayRead'>
}

type Known = NonNullable<ReturnType<Datasets['find']>>

export class Standing {
  readonly #parts: StandingParts

  constructor(parts: StandingParts) {
    this.#parts = parts
  }

  readonly nameOf = (peer: string): string => this.#parts.members.get(peer)?.name ?? peer

  /** @throws NodeError DATASET_NOT_FOUND */
  known(dataset: string): Known {
    const known = this.#parts.datasets.find(dataset)
    if (known !== undefined) return known
    throw new NodeError('DATASET_NOT_FOUND', `No dataset is named ${dataset}`, { name: dataset })
  }

  /** A dataset that this node may open an audit of. @throws NodeError DATASET_NOT_FOUND, DATASET_WITHHELD, FORBIDDEN */
  openable(dataset: string): Known {
    const { self, members, datasets } = this.#parts
    const known = this.known(dataset)
    const stays = staysWith(known)
    if (stays !== undefined) {
      const message = `There are no audits of ${dataset}: ${stays}`
      throw new NodeError('DATASET_WITHHELD', message, { dataset, policy: known.policy })
    }
    if (!datasets.mayRead(self, dataset)) {
      const message = `Only members with a grant may have ${dataset}, and this node has none; so it cannot ask what others hold`
      throw new NodeError('FORBIDDEN', message, { dataset })
    }
    if (members.get(self)?.role === 'observer') {
      throw new NodeError('FORBIDDEN', 'Observers read; an audit is asked for by members and operators')
    }
    return known
  }

  /** [A3] Members that can have heads and may read the dataset, now; peer ids, sorted. */
  electorate(dataset: string): string[] {
    const { members, datasets } = this.#parts
    return members
      .list()
      .filter(({ role, peer }) => role !== 'observer' && datasets.mayRead(peer, dataset))
      .map(({ peer }) => peer)
      .sort()
  }

  /** Members of now that were members then and are not asked: whom an opener leaves out, people are to see. */
  notAsked({ id, value }: SeenOpening): NamedPeer[] {
    const asked = new Set(value.electorate)
    const { members } = this.#parts
    return this.electorate(id.dataset)
      .filter((peer) => !asked.has(peer) && (members.get(peer)?.since ?? Infinity) < value.openedMs)
      .map((peer) => ({ peer, name: this.nameOf(peer) }))
  }

  /** [A3] Whoever was never a member cannot answer, and would keep the audit open to its end. */
  asksStrangers({ electorate }: SeenOpening['value']): boolean {
    const { members } = this.#parts
    return electorate.some((peer) => members.get(peer) === undefined && members.former(peer) === undefined)
  }

  /** Why this node takes no part, undefined when it does. */
  objection({ id, value }: SeenOpening): string | undefined {
    const { self, datasets } = this.#parts
    const known = datasets.find(id.dataset)
    if (known === undefined) return 'this node knows no such dataset'
    if (known.id !== value.dataset) return 'it is about another dataset that had this name'
    const stays = staysWith(known)
    if (stays !== undefined) return stays
    if (!datasets.mayRead(id.opener, id.dataset)) return 'whoever opened it may not have the dataset'
    if (!datasets.mayRead(self, id.dataset)) return 'this node may not have the dataset'
    if (this.asksStrangers(value)) return 'it asks somebody who was never a member here'
    return undefined
  }
}

/** Why nobody else could look into it, if so. One for members with a grant alone is audited among those. */
function staysWith(known: Known): string | undefined {
  const why = withheldAs(known)
  if (why === undefined || why === 'granted') return undefined
  return `it is ${withheldText(why)}, so nobody else could look into what a member holds`
}
