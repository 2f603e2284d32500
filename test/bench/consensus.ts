/**
 * Consensus: from the cut-off to a certificate that everybody holds, and what members' results come to, in files, in
 * rows and in labels.
 */
import { resultOfFiles } from './consensus-files.ts'
import { rounds } from './consensus-rounds.ts'
import { resultOfRows } from './consensus-rows.ts'
import { estimates } from './consensus-statistics.ts'
import type { Row } from './figures.ts'
import type { Bench } from './harness.ts'

export const consensus: Bench = {
  about: 'cut-off to certificate; results of files, rows and labels; against etcd, git and coreutils',
  async run(work) {
    const rows: Row[] = []
    // Smallest first; each crowd is gone before the next one comes. Two cores are busy for minutes to start the largest.
    for (const count of work.quick ? [4, 10] : [4, 10, 25]) rows.push(...(await rounds(work, count)))
    rows.push(...(await resultOfFiles(work)), ...(await resultOfRows(work)))
    return [...rows, ...(await estimates(work))]
  },
}
