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
import { testImage } from './support/test-images.ts'

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

suite('datasets', () => {
  test('stock git clones from one node and pushes to it, and the other node tells which rows differ', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'mao-example-'))
    try {
      const script = join(import.meta.dirname, '..', 'examples', 'datasets', 'share-and-compare.sh')
      const env = { ...process.env, TMPDIR: directory }
      const { stdout } = await run('sh', [script], { env, timeout: demoTimeoutMs })
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
      const script = join(import.meta.dirname, '..', 'examples', 'compute-to-data', 'bring-the-tool.sh')
      const env = { ...process.env, TMPDIR: directory }
      const { stdout } = await run('sh', [script, image], { env, timeout: demoTimeoutMs })
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
