import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite, test } from 'node:test'
import { promisify } from 'node:util'
import { processesNaming } from '../support/processes-naming.ts'

const run = promisify(execFile)
/** Some forty commands, each a process of its own. */
const exampleTimeoutMs = 200_000

suite('joining', () => {
  test('every way into a federation: alone, invited, approved, through an open door, with a key, from a listing', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'mao-example-'))
    try {
      const script = join(import.meta.dirname, '../..', 'examples', 'joining', 'all.sh')
      const env = { ...process.env, TMPDIR: directory }
      const { stdout } = await run('sh', [script], { env, timeout: exampleTimeoutMs })
      assert.match(stdout, /^our role: +operator$/m)
      assert.match(stdout, /^\w{10} +bob +member +used by bob /m)
      assert.match(stdout, /^bob +open +\S+ \S+ +bob@lab\.example +we collect too /m)
      assert.match(stdout, /^bob is an observer now\.$/m)
      assert.match(stdout, /^This node is an observer of market-square\.$/m)
      assert.match(stdout, /^federation: ward \(private\)$/m)
      assert.match(stdout, /--listing observatory --wait\nThis node is an observer of observatory\.$/m)
      assert.deepEqual(await readdir(directory), [], 'files are left behind')
      assert.deepEqual(await processesNaming(directory), [], 'processes are left behind')
    } finally {
      await rm(directory, { recursive: true, force: true })
    }
  })

  test('two nodes are set up wholly by flags, and one comes in by an invitation', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'mao-example-'))
    try {
      const script = join(import.meta.dirname, '../..', 'examples', 'joining', 'install-by-flags.sh')
      const env = { ...process.env, TMPDIR: directory, NO_COLOR: '1' }
      const { stdout } = await run('sh', [script], { env, timeout: exampleTimeoutMs })
      assert.match(stdout, /^The federation lab exists, and this node is its operator\.$/m)
      assert.match(stdout, /^This node is a member of lab, with 1 other\.$/m)
      assert.match(stdout, /^bob +member /m)
      assert.deepEqual(await readdir(directory), [], 'files are left behind')
      assert.deepEqual(await processesNaming(directory), [], 'processes are left behind')
    } finally {
      await rm(directory, { recursive: true, force: true })
    }
  })
})
