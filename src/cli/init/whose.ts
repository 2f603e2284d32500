/**
 * Whose listing is meant (protocols/marketplace.md §8 [M10]): one's own, else what a member lists, else a stranger's; and
 * a stranger's only where somebody has named the stranger, which `--yes` does not.
 */
import type { ListingView } from '../../api/market-views.ts'
import { NodeError } from '../../base/errors.ts'
import type { Questions } from '../ask.ts'
import { timeText } from '../output.ts'

/** Who lists something. */
export type Lister = Pick<ListingView, 'author' | 'standing' | 'member' | 'heardMs'>

const STANDINGS: readonly Lister['standing'][] = ['own', 'member', 'stranger']

/** Of those that list one name, the nearest to this node. Pure. */
export function nearest<T extends Pick<Lister, 'standing'>>(listers: readonly T[]): T[] {
  const standing = STANDINGS.find((each) => listers.some((lister) => lister.standing === each))
  return listers.filter((lister) => lister.standing === standing)
}

/** Who it is, as people are to read it before they agree. Pure. */
export function listerText({ author, standing, member, heardMs }: Lister): string {
  if (standing === 'own') return 'this node'
  const since = `known here since ${timeText(heardMs)}`
  return standing === 'member'
    ? `the member ${member ?? author} (${author}), ${since}`
    : `${author}, no member of this federation, ${since}`
}

/**
 * Has a person say that a stranger is meant who was not named.
 *
 * @param what such as `the tool count`.
 * @param flag names the stranger where nobody is there.
 * @throws NodeError CONFLICT naming the flag, CANCELLED
 */
export async function meant(
  questions: Questions,
  { what, flag, lister }: { what: string; flag: string; lister: Lister },
): Promise<void> {
  if (lister.standing !== 'stranger') return
  const words = `${what} is listed by ${listerText(lister)}`
  if (!questions.arePut) {
    throw new NodeError('CONFLICT', `${words}; if that is whom you mean, say so with ${flag}`, { flag })
  }
  const isMeant = await questions.yes({ flag, message: `${words}. Is that whom you mean?`, default: false })
  if (!isMeant) throw new NodeError('CANCELLED', 'Nothing was changed')
}
