import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite, test } from 'node:test'
import { promisify } from 'node:util'
import { processesNaming } from '../support/processes-naming.ts'

const run = promisify(execFile)
/** Four nodes and some forty commands, each a process of its own. */
const exampleTimeoutMs = 300_000

suite('one of four lies', () => {
  test('the truth is what more than half found in each row, everybody sees who lied where, and a stranger can check it', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'mao-example-'))
    try {
      const script = join(import.meta.dirname, '../..', 'examples', 'consensus', 'one-liar.sh')
      const env = { ...process.env, TMPDIR: directory }
      const { stdout } = await run('sh', [script], { env, timeout: exampleTimeoutMs })
      assert.match(stdout, /^station,celsius\neast,5\.0\nnorth,4\.1\nsouth,9\.1\nwest,7\.7$/m)
      assert.match(stdout, /^decided by: +3 of 4$/m)
      // What "vote show" says of each: her own ballot, where the others signed one result.
      const signed = new Map<string, { ballot: string; result: string }>()
      for (const [, name = '', ballot = '', result = ''] of stdout.matchAll(
        /^(alice|bob|dave|carol) +(\w{10}) +[ABC] .* (\w{10})$/gm,
      ))
        signed.set(name, { ballot, result })
      assert.equal(new Set(['alice', 'bob', 'dave'].map((name) => signed.get(name)?.result)).size, 1)
      assert.equal(signed.get('carol')?.result, signed.get('carol')?.ballot)
      assert.match(stdout, /^bob +\w{10} +no, 1 difference +stations\.csv: differs in west$/m)
      assert.match(stdout, /^carol +\w{10} +no, 2 differences +stations\.csv: lacks east, differs in south$/m)
      assert.match(stdout, /^1 of 1 certificates hold, from the first on/m)
      assert.match(stdout, /^OK {2}the ground truth of stations is \w{40}/m)
      assert.deepEqual(await readdir(directory), [], 'files are left behind')
      assert.deepEqual(await processesNaming(directory), [], 'processes are left behind')
    } finally {
      await rm(directory, { recursive: true, force: true })
    }
  })
})
