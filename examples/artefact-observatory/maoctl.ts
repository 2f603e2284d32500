import { spawn } from 'node:child_process'
import type { z } from 'zod'
import { MAOCTL, type NodeProcess } from './node-process.ts'

const commandTimeoutMs = 60_000

/**
 * Runs one `maoctl` command at a node, as a person would, and reads its JSON.
 *
 * @throws Error with what the command said when it fails.
 */
export async function maoctl<T>(
  node: Pick<NodeProcess, 'data'>,
  words: readonly string[],
  schema: z.ZodType<T>,
  signal: AbortSignal,
): Promise<T> {
  const child = spawn(process.execPath, [MAOCTL, '--json', '--data', node.data, ...words], {
    stdio: ['ignore', 'pipe', 'pipe'],
    signal: AbortSignal.any([signal, AbortSignal.timeout(commandTimeoutMs)]),
  })
  let [said, complained] = ['', '']
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    said += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    complained += text
  })
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', resolve)
  })
  if (code !== 0) throw new Error(`maoctl ${words.join(' ')} ended with ${code}: ${complained.trim()}`)
  return schema.parse(JSON.parse(said))
}
