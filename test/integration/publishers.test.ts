import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { chmod, mkdir, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { openDatabase } from '../../src/base/database.ts'
import { isNodeError } from '../../src/base/errors.ts'
import { silentLogger } from '../../src/base/logger.ts'
import { parsePipeline } from '../../src/execution/catalogue/pipeline.ts'
import { destinationOf } from '../../src/execution/publishing/destinations.ts'
import { type Publication, Publications } from '../../src/execution/publishing/publications.ts'
import { publishedBefore } from '../../src/execution/publishing/published.ts'
import { Publishers } from '../../src/execution/publishing/publishers.ts'
import { publishersSchema } from '../../src/execution/publishing/settings.ts'
import type { Run, StepRun } from '../../src/execution/runs/run.ts'
import { newRun } from '../../src/execution/runs/run-machine.ts'
import { eventually } from '../support/eventually.ts'
import { startIpfsServer } from '../support/ipfs-server.ts'
import { S3_KEYS, startS3Server } from '../support/s3-server.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

const never = new AbortController().signal
const DAY_MS = 86_400_000
const FILES = {
  'table.csv': 'a,b\n1,2\n',
  'plots/fig (1) é.svg': '<svg/>',
  'plots/deep/raw.bin': 'x'.repeat(70_000),
}

interface Room {
  publishers: Publishers
  publications: Publications
  removed: Publication[]
  clock: { nowMs: number }
  output: string
  publish(names: string[], run?: Partial<Run>): ReturnType<Publishers['publish']>
  /** The same node in its next life. */
  restart(settings?: Record<string, unknown>): Promise<void>
}

/** A node's publishers with an output that is to be published. */
async function openRoom(t: TestContext, settings: Record<string, unknown>): Promise<Room> {
  const directory = await temporaryDirectory(t)
  const database = await openDatabase(directory)
  const clock = { nowMs: Date.parse('2026-01-01T00:00:00Z') }
  const variables: Record<string, string> = {
    KEY_ID: S3_KEYS.accessKeyId,
    KEY: S3_KEYS.secretAccessKey,
    TOKEN: 'tok',
  }
  const credential = async (variable: string) => variables[variable] ?? ''
  const removed: Publication[] = []
  const opened: Publishers[] = []
  const open = async (wanted: Record<string, unknown>) => {
    const makes = { credential, upstreams: undefined as never, directory, self: undefined as never }
    const publications = new Publications({ database, directory: join(directory, 'publications') })
    const publishers = new Publishers({
      settings: publishersSchema.parse(wanted),
      publications,
      destinationOf: (each) => destinationOf(each, makes),
      sealKey: async (variable, value) => {
        variables[variable] = value
      },
      isWithheld: (dataset) => dataset.startsWith('private'),
      findRun: () => undefined,
      onRemoved: (each) => removed.push(each),
      ...{ clock: { now: () => clock.nowMs }, log: silentLogger },
    })
    opened.push(publishers)
    await publishers.start()
    return { publishers, publications }
  }
  const output = join(directory, 'output')
  for (const [path, content] of Object.entries(FILES)) {
    await mkdir(join(output, path, '..'), { recursive: true })
    await writeFile(join(output, path), content)
  }
  const room: Room = {
    ...(await open(settings)),
    ...{ removed, clock, output },
    publish: (names, change = {}) => {
      const { run, step } = ranOnce(names, change)
      return room.publishers.publish({
        run,
        step,
        names,
        directory: output,
        signal: never,
        say: () => undefined,
      })
    },
    restart: async (changed = settings) => {
      // Two lives at once would both sweep.
      await room.publishers.stop()
      Object.assign(room, await open(changed))
    },
  }
  t.after(async () => {
    for (const each of opened) await each.stop()
    await database.close()
  })
  return room
}

function ranOnce(publish: string[], change: Partial<Run> = {}): { run: Run; step: StepRun } {
  const { pipeline } = parsePipeline([{ name: 'plot', tool: 'plotter', output_dataset: 'plots', publish }])
  const run = {
    ...newRun({
      id: 'run-1',
      pipeline: 'weekly',
      plan: pipeline.steps,
      trigger: { kind: 'request' },
      timeMs: 1,
    }),
    ...change,
  }
  const [first] = run.steps
  return { run, step: { ...(first as StepRun), digest: 'sha256:abc', outputCommit: 'c'.repeat(40) } }
}

function sha256(content: string | Buffer): string {
  return createHash('sha256').update(content).digest('hex')
}

/** The manifest says of every file what it hashes to; so it is looked at with what lies there. */
async function assertWhole(read: (path: string) => Promise<Buffer | undefined>, manifestSha256: string) {
  const text = await read('manifest.json')
  assert.ok(text !== undefined, 'there is no manifest')
  assert.equal(sha256(text), manifestSha256)
  const manifest = JSON.parse(text.toString())
  assert.deepEqual(
    [manifest.run, manifest.step, manifest.tool, manifest.digest],
    ['run-1', 'plot', 'plotter', 'sha256:abc'],
  )
  assert.equal(manifest.commit, 'c'.repeat(40))
  assert.deepEqual(
    manifest.files.map(({ path }: { path: string }) => path),
    Object.keys(FILES).toSorted(),
  )
  for (const { path, bytes, sha256: told } of manifest.files) {
    const content = await read(path)
    assert.ok(content !== undefined, `${path} is not there`)
    assert.deepEqual([content.length, sha256(content)], [bytes, told], path)
  }
}

async function refused(promise: Promise<unknown>) {
  const error = await promise.then(
    () => assert.fail('it was published'),
    (thrown: unknown) => thrown,
  )
  if (isNodeError(error)) return error
  throw error
}

// Most of their time they rest before they try again.
describe('publishers', { concurrency: 4 }, () => {
  test('a folder gets every file and a manifest, keeps them as long as it was told, and gives back no more than it got', async (t) => {
    const folder = await temporaryDirectory(t)
    const room = await openRoom(t, {
      shelf: {
        kind: 'folder',
        directory: folder,
        prefix: 'results/lab',
        keepMs: DAY_MS,
        publicUrl: 'https://lab.example.org/',
      },
    })
    await symlink('table.csv', join(room.output, 'latest.csv'))
    const [published] = await room.publish(['shelf'])
    assert.ok(published !== undefined)
    assert.equal(published.address, 'https://lab.example.org/results/lab/run-1/plot/')
    assert.deepEqual([published.files, published.bytes], [3, 70_000 + 6 + 8])
    const place = join(folder, 'results/lab/run-1/plot')
    await assertWhole((path) => readFile(join(place, path)), published.manifestSha256)
    assert.match(await readFile(join(place, 'manifest.json'), 'utf8'), /"latest.csv"/)
    // Twice is once.
    const [again] = await room.publish(['shelf'])
    assert.equal(again?.address, published.address)
    assert.deepEqual(await readdir(join(folder, 'results/lab/run-1')), ['plot'])

    // Somebody else's file beside ours, and its directory, stay.
    await writeFile(join(place, 'plots/note.txt'), 'mine')
    room.clock.nowMs += DAY_MS
    await room.restart()
    await eventually(() => room.removed.length > 0, 'what had expired was not removed')
    assert.deepEqual(await readdir(place, { recursive: true }), ['plots', 'plots/note.txt'])
    assert.equal(room.removed[0]?.removedMs, room.clock.nowMs)
    assert.equal(room.publishers.publications()[0]?.state, 'removed')
    // A later life tells again what is gone.
    const told = room.removed.length
    await room.restart()
    assert.equal(room.removed.length, told + 1)
  })

  test('a publisher that is not there is told before the run, and one that fails does not keep it from the others', async (t) => {
    const folder = await temporaryDirectory(t)
    const room = await openRoom(t, {
      shelf: { kind: 'folder', directory: folder },
      gone: { kind: 'folder', directory: join(folder, 'not-mounted') },
      vault: { kind: 'folder', directory: folder, prefix: 'vault', withheld: true },
    })
    const { run } = ranOnce(['shelf'])
    const [plan] = run.plan
    assert.ok(plan !== undefined)
    assert.throws(() => room.publishers.check(['shelf', 'shelve']), {
      code: 'PUBLISHER_NOT_FOUND',
      message: /it has shelf, gone, vault/,
    })
    room.publishers.check(['shelf', 'gone'], plan)
    const withheld = { ...plan, inputs: [{ dataset: 'private-notes' }] }
    assert.throws(() => room.publishers.check(['vault', 'shelf'], withheld), {
      code: 'FORBIDDEN',
      message: /private-notes.* to shelf;/,
    })
    room.publishers.check(['vault'], withheld)
    const refusedError = await refused(room.publish(['shelf'], { plan: [withheld] }))
    assert.equal(refusedError.code, 'FORBIDDEN')

    const error = await refused(room.publish(['gone', 'shelf']))
    assert.equal(error.code, 'PUBLISH_FAILED')
    assert.match(
      error.message,
      /not published by gone \(The folder .* is not there; make or mount it.*though by others/,
    )
    assert.deepEqual(
      publishedBefore(error).map(({ publisher }) => publisher),
      ['shelf'],
    )
    assert.deepEqual(await readdir(join(folder, 'run-1/plot')), ['manifest.json', 'plots', 'table.csv'])
    // A folder that cannot be written leaves no part of it.
    if (process.getuid?.() !== 0) {
      await rm(join(folder, 'run-1'), { recursive: true })
      await chmod(folder, 0o500)
      assert.equal((await refused(room.publish(['shelf']))).code, 'PUBLISH_FAILED')
    }
  })

  test('what a crash left half-published is removed at the next start; a publisher that leads elsewhere loses nothing', async (t) => {
    const folder = await temporaryDirectory(t)
    const settings = { shelf: { kind: 'folder', directory: folder } }
    const room = await openRoom(t, settings)
    await room.publish(['shelf'])
    const id = 'run-1-plot-shelf'
    // The same as after a kill between the last byte and the note that it is all there.
    const { publications } = room
    await room.publishers.stop()
    await publications.save({ ...publications.get(id), state: 'writing' })
    const elsewhere = await temporaryDirectory(t)
    await mkdir(join(elsewhere, 'run-1/plot'), { recursive: true })
    await writeFile(join(elsewhere, 'run-1/plot/table.csv'), 'not ours')
    await room.restart({ shelf: { kind: 'folder', directory: elsewhere } })
    await eventually(() => room.publishers.publications()[0]?.problem !== undefined, 'it was not tried')
    assert.match(room.publishers.publications()[0]?.problem ?? '', /leads to .* now; set it as it was/)
    await assert.rejects(room.publishers.remove(id), { code: 'CONFLICT' })
    assert.equal(await readFile(join(elsewhere, 'run-1/plot/table.csv'), 'utf8'), 'not ours')
    await room.restart()
    await eventually(() => room.removed.length > 0, 'what a crash left was not removed')
    assert.deepEqual(await readdir(folder), [])
    await assert.rejects(room.publishers.remove('run-2-plot-shelf'), { code: 'NOT_FOUND' })
  })

  test('S3: objects are signed, whole and read back; trouble that passes is waited for, and ours alone are deleted', async (t) => {
    const s3 = await startS3Server(t, 'results')
    const at = {
      kind: 's3',
      endpoint: s3.url,
      region: 'eu-central-1',
      bucket: 'results',
      accessKeyVariable: 'KEY_ID',
    }
    const room = await openRoom(t, {
      cloud: { ...at, prefix: 'lab', secretKeyVariable: 'KEY' },
      locked: { ...at, secretKeyVariable: 'TOKEN' },
      nowhere: { ...at, bucket: 'nobody', secretKeyVariable: 'KEY' },
    })
    s3.failing = { status: 503, times: 1 }
    const [published] = await room.publish(['cloud'])
    assert.equal(published?.address, 's3://results/lab/run-1/plot/')
    await assertWhole((path) => s3.get('results', `lab/run-1/plot/${path}`), published?.manifestSha256 ?? '')
    // The manifest is there only when all else is.
    const puts = s3.heard.filter((line) => line.startsWith('PUT'))
    assert.match(puts.at(-1) ?? '', /manifest\.json$/)
    assert.equal(puts.length, 5)

    const locked = await refused(room.publish(['locked']))
    assert.match(locked.message, /403 SignatureDoesNotMatch; check the keys/)
    const nowhere = await refused(room.publish(['nowhere']))
    assert.match(nowhere.message, /404 NoSuchBucket; check its endpoint and bucket/)
    // A bad disk behind the server comes to light, however often it is tried.
    s3.spoiled = (path) => path.endsWith('table.csv')
    const spoiled = await refused(room.publish(['cloud'], { id: 'run-2' }))
    assert.match(spoiled.message, /was sent with the SHA-256 .*, and reads as/)
    s3.spoiled = undefined

    await s3.put('results', 'lab/run-1/plot/others.txt', 'not ours')
    await room.publishers.remove('run-1-plot-cloud')
    await eventually(async () => (await s3.keys('results')).length === 1, 'a failed publication was left')
    assert.deepEqual(await s3.keys('results'), ['lab/run-1/plot/others.txt'])
    assert.equal(room.removed[0]?.run, 'run-1')
  })

  test('S3 that is away ends the publication after a few tries', async (t) => {
    const room = await openRoom(t, {
      away: {
        kind: 's3',
        endpoint: 'http://127.0.0.1:1',
        bucket: 'results',
        accessKeyVariable: 'KEY_ID',
        secretKeyVariable: 'KEY',
      },
    })
    const error = await refused(room.publish(['away']))
    assert.equal(error.code, 'PUBLISH_FAILED')
    assert.match(error.message, /away \(http:\/\/127\.0\.0\.1:1 cannot be reached/)
  })

  test('IPFS: a directory is added, read back and pinned; a pin of somebody else stays', async (t) => {
    const ipfs = await startIpfsServer(t)
    ipfs.token = 'tok'
    const room = await openRoom(t, {
      web: {
        kind: 'ipfs',
        api: ipfs.url,
        tokenVariable: 'TOKEN',
        publicGateway: 'https://gateway.example.org/',
        keepMs: DAY_MS,
      },
      open: { kind: 'ipfs', api: ipfs.url },
    })
    const [published] = await room.publish(['web'])
    const [, cid = ''] =
      /^https:\/\/gateway\.example\.org\/ipfs\/(bafy[a-z2-7]+)\/$/.exec(published?.address ?? '') ?? []
    assert.deepEqual([...ipfs.pins], [cid])
    await assertWhole(async (path) => ipfs.content.get(`${cid}/${path}`), published?.manifestSha256 ?? '')
    // Directories stand before what is in them, and all below one together.
    assert.deepEqual(
      ipfs.parts.map(({ path }) => path),
      [...['manifest.json', 'plots', 'plots/deep', 'plots/deep/raw.bin', 'plots/fig (1) é.svg', 'table.csv']],
    )
    assert.match((await refused(room.publish(['open'], { id: 'run-2' }))).message, /403 - Forbidden/)
    ipfs.forgetful = true
    assert.match((await refused(room.publish(['web'], { id: 'run-3' }))).message, /did not add all files/)
    ipfs.forgetful = false

    // Published once more, as after a crash, it is another directory, for its time is in it: the first is let go.
    room.clock.nowMs += 1
    const [again] = await room.publish(['web'])
    assert.notEqual(again?.address, published?.address)
    assert.equal(ipfs.pins.size, 1)
    await room.publishers.remove('run-1-plot-web')
    assert.equal(ipfs.pins.size, 0)
    await room.publishers.remove('run-1-plot-web')

    // Pinned by somebody else before: published, and not ours to unpin.
    const pinned = { has: ipfs.pins.has.bind(ipfs.pins) }
    ipfs.pins.has = () => true
    await room.publish(['web'], { id: 'run-4' })
    ipfs.pins.has = pinned.has
    assert.equal(room.publishers.publications().find(({ run }) => run === 'run-4')?.isOurs, false)
    assert.ok(!ipfs.heard.slice(-1).includes('pin/add'))
    await room.publishers.remove('run-4-plot-web')
    assert.equal(ipfs.heard.filter((command) => command === 'pin/rm').length, 2)
  })

  test('keys are taken only for what a publisher asks for', async (t) => {
    const room = await openRoom(t, {
      cloud: {
        kind: 's3',
        endpoint: 'http://127.0.0.1:1',
        bucket: 'results',
        accessKeyVariable: 'KEY_ID',
        secretKeyVariable: 'KEY',
      },
    })
    await room.publishers.setKey('KEY', 'new')
    await assert.rejects(room.publishers.setKey('OTHER', 'x'), {
      code: 'NOT_FOUND',
      message: /they name KEY_ID, KEY/,
    })
    await assert.rejects(room.publishers.setKey('KEY', ''), { code: 'INVALID_INPUT' })
    assert.deepEqual(room.publishers.list(), [
      { name: 'cloud', kind: 's3', target: 'http://127.0.0.1:1/results', prefix: '' },
    ])
    for (const wrong of [
      { kind: 'folder', directory: 'relative' },
      { kind: 'folder', directory: '/x', prefix: '../up' },
      {
        kind: 's3',
        endpoint: 'http://x',
        bucket: 'Not A Bucket',
        accessKeyVariable: 'A',
        secretKeyVariable: 'B',
      },
    ])
      assert.ok(!publishersSchema.safeParse({ it: wrong }).success, JSON.stringify(wrong))
  })
})
