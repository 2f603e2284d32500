import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { promisify } from 'node:util'
import { readDemoReport } from './support/demo-report.ts'
import { freePort } from './support/free-port.ts'
import { processesNaming } from './support/processes-naming.ts'

const run = promisify(execFile)
const DEMO = join(import.meta.dirname, '..', 'examples', 'artefact-observatory', 'demo.ts')
const demoTimeoutMs = 200_000

suite('the artefact observatory', () => {
  let directory: string
  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'mao-example-'))
  })
  after(() => rm(directory, { recursive: true, force: true }))

  /** Runs the demo with a temporary directory of its own, so that whatever it leaves can be seen. */
  const demo = (...words: string[]) => {
    const env = { ...process.env, TMPDIR: directory }
    return run(process.execPath, [DEMO, ...words], { env, timeout: demoTimeoutMs })
  }

  test('three nodes agree on the ground truth, and name the member whose collector loses entries', async () => {
    const { stdout, stderr } = await demo('--json')
    const report = readDemoReport(stdout)
    assert.match(stderr, /carol/)

    assert.deepEqual(await readdir(directory), [], 'files are left behind')
    assert.deepEqual(await processesNaming(directory), [], 'processes are left behind')
    for (const { name, peerId } of report.nodes) {
      const filter = ['ps', '-aq', '--filter', `label=mao.node=${peerId}`]
      assert.equal((await run('docker', filter)).stdout, '', `containers of ${name} are left behind`)
    }
  })

  test('a wrong word is refused before anything is started', async () => {
    await assert.rejects(demo('--jsno'), (error: { code?: number; stderr?: string }) => {
      assert.equal(error.code, 2)
      assert.match(error.stderr ?? '', /--jsno[\s\S]*usage: npm run demo/)
      return true
    })
    assert.deepEqual(await readdir(directory), [])
  })
})

suite('stock etcd clients', () => {
  test('etcdctl prints a tool that another node has just registered', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'mao-example-'))
    try {
      const port = String(await freePort())
      const script = join(import.meta.dirname, '..', 'examples', 'etcd-clients', 'watch-tools.sh')
      const env = { ...process.env, TMPDIR: directory }
      const { stdout } = await run('sh', [script, port], { env, timeout: demoTimeoutMs })
      assert.match(stdout, /^PUT\n\/tools\/collect\n\{.*"mao\/collect:1".*\}$/m)
      assert.match(stdout, /--keys-only\n\/tools\/collect\n/)
      assert.match(stdout, /lock \/local\/nightly date\n20\d\d\n/)
      assert.deepEqual(await readdir(directory), [], 'files are left behind')
      assert.deepEqual(await processesNaming(directory), [], 'processes are left behind')
    } finally {
      await rm(directory, { recursive: true, force: true })
    }
  })
})
