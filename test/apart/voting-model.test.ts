import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { temporaryDirectory } from '../support/temporary-directory.ts'

const run = promisify(execFile)
const MODEL = join(import.meta.dirname, '../model/vote-once.pml')
const TIMEOUT_MS = 300_000

/** Searches through all states of the model. @returns what spin's verifier says. */
async function search(directory: string, ...defines: string[]): Promise<string> {
  const options = { cwd: directory, timeout: TIMEOUT_MS, maxBuffer: 16 * 1024 * 1024 }
  try {
    await run('spin', [...defines.map((one) => `-D${one}`), '-a', MODEL], options)
    await run('gcc', ['-O2', '-w', '-DSAFETY', '-DHC4', '-o', 'pan', 'pan.c'], options)
  } catch (error) {
    const { code } = error as { code?: unknown }
    if (code === 'ENOENT')
      throw new Error('spin and gcc are needed: apt-get install spin gcc', { cause: error })
    throw error
  }
  // [-E] Members that have nothing left to sign are no error.
  const { stdout } = await run(join(directory, 'pan'), ['-E', '-m10000'], options)
  return stdout
}

/** States that were looked at, and whether the assertion was ever broken. */
function found(told: string): { states: number; errors: number } {
  const states = /([0-9]+) states, stored/.exec(told)?.[1]
  const errors = /errors: ([0-9]+)/.exec(told)?.[1]
  assert.ok(states !== undefined && errors !== undefined, told)
  assert.doesNotMatch(told, /max search depth too small|out of memory|resource limit/i)
  return { states: Number(states), errors: Number(errors) }
}

test('whatever is seen when, and whatever the liar signs: no two results of one height are certified', async (t) => {
  const directory = await temporaryDirectory(t)
  for (const defines of [['NULLS'], ['SAME', 'NULLS']]) {
    const { states, errors } = found(await search(directory, ...defines))
    t.diagnostic(`${defines.join(' ')}: ${states} states`)
    assert.equal(errors, 0, `the rules allow two certificates (${defines.join(' ')})`)
    assert.ok(states > 100_000, 'the model hardly moves')
  }
})

test('without the lock, or without the order of views, the model has two certificates; with them it has one', async (t) => {
  const directory = await temporaryDirectory(t)
  for (const mutation of ['NOLOCK', 'NOORDER', 'REACH']) {
    assert.ok(found(await search(directory, mutation)).errors > 0, `${mutation} went unnoticed`)
  }
})
