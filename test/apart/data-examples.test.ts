import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite, test } from 'node:test'
import { promisify } from 'node:util'
import { processesNaming } from '../support/processes-naming.ts'
import { testImage } from '../support/test-images.ts'

const run = promisify(execFile)
/** Dozens of commands, each a process of its own. */
const exampleTimeoutMs = 200_000

suite('datasets', () => {
  test('stock git clones from one node and pushes to it, and the other node tells which rows differ', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'mao-example-'))
    try {
      const script = join(import.meta.dirname, '../..', 'examples', 'datasets', 'share-and-compare.sh')
      const env = { ...process.env, TMPDIR: directory }
      const { stdout } = await run('sh', [script], { env, timeout: exampleTimeoutMs })
      assert.match(stdout, /^The dataset stations holds 1 file, at commit [0-9a-f]{10}\.$/m)
      assert.match(stdout, /^ +~ south: celsius 91\.0 → 9\.1$/m)
      assert.match(stdout, /^station,celsius\nnorth,4\.1\nsouth,9\.1\nwest,7\.7$/m)
      assert.match(
        stdout,
        /^fix-bob was at [0-9a-f]{10} and is at .* now; the members are told: the station is on fire$/m,
      )
      assert.deepEqual(await readdir(directory), [], 'files are left behind')
      assert.deepEqual(await processesNaming(directory), [], 'processes are left behind')
    } finally {
      await rm(directory, { recursive: true, force: true })
    }
  })
})

suite('compute to data', () => {
  test('a tool that is trusted by its digest reads what does not leave, and its result alone comes back', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'mao-example-'))
    try {
      const image = await testImage()
      const script = join(import.meta.dirname, '../..', 'examples', 'compute-to-data', 'bring-the-tool.sh')
      const env = { ...process.env, TMPDIR: directory }
      const { stdout } = await run('sh', [script, image], { env, timeout: exampleTimeoutMs })
      assert.match(stdout, /bob: patients does not leave this node, and does not trust the tool summary/)
      assert.match(
        stdout,
        /^patients may be read with summary at sha256:\w{64}, through the filter no-names\.$/m,
      )
      assert.match(stdout, /^ages +summary +\w+ +succeeded +\S+ +results for\.[0-9a-f]{16}\.ages-bob +\w+ /m)
      assert.match(stdout, /--at for\.[0-9a-f]{16}\.ages-bob\n2 50\n/)
      assert.match(stdout, /The data of patients stay with bob/)
      assert.doesNotMatch(stdout, /ann,|ben,/, 'raw data came out')
      assert.deepEqual(await readdir(directory), [], 'files are left behind')
      assert.deepEqual(await processesNaming(directory), [], 'processes are left behind')
    } finally {
      await rm(directory, { recursive: true, force: true })
    }
  })
})
