import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { z } from 'zod'
import { maoctl } from './maoctl.ts'
import type { NodeProcess } from './node-process.ts'

const run = promisify(execFile)
const gitTimeoutMs = 20_000
const outputBytesMax = 16 * 1024 ** 2

/** One file of which a member's copy lacks rows that the ground truth has. */
export interface LostRows {
  member: string
  file: string
  /** First cells of the lost rows: the packages' names. */
  names: string[]
  /** Rows in the ground truth. */
  of: number
}

/**
 * Clones a dataset with stock git and compares the named files row by row: the nodes say which files differ, git shows
 * in what.
 */
export async function lostRows(parts: {
  node: NodeProcess
  dataset: string
  directory: string
  differing: readonly { member: string; branch: string; files: readonly string[] }[]
  signal: AbortSignal
}): Promise<LostRows[]> {
  const { node, dataset, directory, differing, signal } = parts
  await maoctl(node, ['dataset', 'clone', dataset, directory], z.looseObject({}), signal)
  const show = async (branch: string, file: string) => {
    const words = ['-C', directory, 'show', `origin/${branch}:${file}`]
    const { stdout } = await run('git', words, { signal, timeout: gitTimeoutMs, maxBuffer: outputBytesMax })
    return stdout.trimEnd().split('\n').slice(1)
  }
  const found: LostRows[] = []
  for (const { member, branch, files } of differing) {
    for (const file of files) {
      const [agreed, own] = await Promise.all([show('ground-truth', file), show(branch, file)])
      const kept = new Set(own)
      const names = agreed.filter((row) => !kept.has(row)).map((row) => row.split(',')[0] ?? '')
      if (names.length > 0) found.push({ member, file, names, of: agreed.length })
    }
  }
  return found
}
