import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { processesNaming } from '../support/processes-naming.ts'

const run = promisify(execFile)
/** Dozens of commands, each a process of its own. */
const exampleTimeoutMs = 300_000

test('a clone proves the truths of three members with no node left, and an older truth shown as the present one is found out', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'mao-example-'))
  try {
    const script = join(import.meta.dirname, '../..', 'examples', 'verify-truth', 'verify.sh')
    const env = { ...process.env, TMPDIR: directory }
    const { stdout } = await run('sh', [script], { env, timeout: exampleTimeoutMs })
    assert.match(
      stdout,
      /^2 of 2 certificates hold, from the first on; \d+ signed records say who voted when\.$/m,
    )
    assert.match(stdout, /^2 {2}[0-9a-f]{40} {2}stations\/measure\/\d+ {2}3 of 3: /m)
    assert.match(stdout, /^OK {2}the ground truth of stations is [0-9a-f]{40}, in maob[a-z2-7]+$/m)
    assert.match(stdout, /^NOT HELD at height 2 \[T1\]: the branch ground-truth is at [0-9a-f]{40}$/m)
    assert.match(stdout, /^\(exit code 1\)$/m)
    assert.deepEqual(await readdir(directory), [], 'files are left behind')
    assert.deepEqual(await processesNaming(directory), [], 'processes are left behind')
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
})
