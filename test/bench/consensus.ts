/**
 * Consensus: from the cut-off to a certificate that everybody holds, and what members' results come to, in files, in
 * rows and in labels.
 */
import { resultOfFiles } from './consensus-files.ts'
import { estimates } from './consensus-statistics.ts'
import type { Bench } from './harness.ts'

export const consensus: Bench = {
  about: 'cut-off to certificate; results of files, rows and labels; against etcd, git and coreutils',
  async run(work) {
    return [...(await resultOfFiles(work)), ...(await estimates(work))]
  },
}
