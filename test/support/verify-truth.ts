import { execFile } from 'node:child_process'
import { join } from 'node:path'

export const VERIFIER = join(import.meta.dirname, '../../examples/verify-truth/verify-truth.mjs')

export interface Verdict {
  readonly exit: number
  readonly said: string
}

/** The stand-alone verifier, as somebody without a node runs it: nothing is in its surroundings but PATH. */
export function verifyTruth(...words: string[]): Promise<Verdict> {
  return run(process.execPath, VERIFIER, ...words)
}

/** The same in another language. */
export function verifyTruthInPython(...words: string[]): Promise<Verdict> {
  return run('python3', join(VERIFIER, '../verify_truth.py'), ...words)
}

function run(program: string, ...words: string[]): Promise<Verdict> {
  return new Promise((resolve) => {
    const options = { env: { PATH: process.env.PATH ?? '' }, timeout: 60_000 }
    execFile(program, words, options, (error, stdout, stderr) => {
      const exit = error === null ? 0 : typeof error.code === 'number' ? error.code : -1
      resolve({ exit, said: stdout + stderr })
    })
  })
}
