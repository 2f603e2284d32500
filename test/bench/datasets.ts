/**
 * Datasets over /mao/git/1.0.0 against git's own protocol, both from the same repositories on loopback: the member that
 * serves and `git daemon` each have a process of their own. Both end with a bare repository. Ours has checked every
 * object and path by then, which a stock clone does not do.
 */
import { clones } from './datasets-clones.ts'
import { followers, increments, smallCommits } from './datasets-following.ts'
import { largePack } from './datasets-large.ts'
import { publicData } from './datasets-public.ts'
import { openSide } from './datasets-side.ts'
import type { Bench } from './harness.ts'

const [KIB, MIB] = [1024, 1024 ** 2]

export const datasets: Bench = {
  about: 'clone, fetch and replication, against git clone git:// and git fetch',
  async run(work) {
    const side = await openSide(work)
    const many = { name: 'many', files: work.size(5_000, 500), fileBytes: 2 * KIB, commits: work.size(50, 5) }
    const big = { name: 'big', files: work.size(10, 3), fileBytes: work.size(20, 8) * MIB, commits: 1 }
    const long = { name: 'long', files: 0, fileBytes: 0, commits: work.size(2_000, 400) }
    return [
      // First, so that the replica has nothing else to follow.
      await smallCommits(side),
      ...(await clones(side, many, work.size(5, 3))),
      ...(await clones(side, big, 3)),
      ...(await clones(side, long, work.size(5, 3))),
      await increments(side, many),
      await followers(side, many),
      ...(work.quick ? [] : await largePack(side)),
      ...(await publicData(work)),
    ]
  },
}
