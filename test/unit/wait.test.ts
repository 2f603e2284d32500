import assert from 'node:assert/strict'
import { test } from 'node:test'
import { delay } from '../../src/base/wait.ts'
import { spawnProgram } from '../support/child-process.ts'

const WAIT = JSON.stringify(new URL('../../src/base/wait.ts', import.meta.url).href)

test('a program that only waits waits to the end, and one that has had enough ends at once', async (t) => {
  const program = (body: string) =>
    spawnProgram(t, process.execPath, [
      '--input-type=module',
      '--eval',
      `import { delay } from ${WAIT}; ${body}`,
    ]).ended
  const patient = await program("await delay(20); console.log('to the end')")
  assert.deepEqual([patient.code, patient.stdout], [0, 'to the end\n'])
  const hasty = await program(
    "const enough = new AbortController(); delay(1e9, enough.signal).catch(() => undefined); enough.abort(new Error('enough'))",
  )
  assert.equal(hasty.code, 0)
  await assert.rejects(delay(1e9, AbortSignal.abort(new Error('enough'))), /enough/)
})
