/** Images built by a node on the real engine: from files, git and datasets; how builds end, and what is left of them. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { after, before, describe, test } from 'node:test'
import { promisify } from 'node:util'
import { pack } from 'tar-stream'
import { openDatabase, table } from '../../src/base/database.ts'
import { isNodeError } from '../../src/base/errors.ts'
import { StopStack } from '../../src/base/lifecycle.ts'
import { type Build, isBuildEnd, newBuild } from '../../src/execution/images/build.ts'
import type { Builds } from '../../src/execution/images/builds.ts'
import { eventually } from '../support/eventually.ts'
import { type ExecutionRoom, openExecutionRoom, SETTINGS } from '../support/execution-room.ts'
import { startGitHttpServer } from '../support/git-http-server.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { BUSYBOX, testImage } from '../support/test-images.ts'
import { upstreamRepository } from '../support/upstream-repository.ts'

const run = promisify(execFile)
const mark = `mao-build-${process.pid}`

type Entries = Readonly<Record<string, string | { link: string }>>

function tarOf(files: Entries): AsyncIterable<Uint8Array> {
  const archive = pack()
  for (const [name, content] of Object.entries(files)) {
    if (typeof content === 'string') archive.entry({ name }, content)
    else archive.entry({ name, type: 'symlink', linkname: content.link })
  }
  archive.finalize()
  return Readable.from(archive) as AsyncIterable<Uint8Array>
}

async function ended(builds: Builds, id: string): Promise<Build> {
  await eventually(() => isBuildEnd(builds.get(id).state), `build ${id} never ended`, 60_000)
  return builds.get(id)
}

async function logOf(builds: Builds, id: string): Promise<string> {
  const pieces: Buffer[] = []
  for await (const piece of builds.log(id, { follow: true, signal: AbortSignal.timeout(30_000) })) {
    pieces.push(piece)
  }
  return Buffer.concat(pieces).toString()
}

async function isAtWork(command: string): Promise<boolean> {
  const { stdout } = await run('docker', ['ps', '--no-trunc', '--format', '{{.Command}}'])
  return stdout.includes(command)
}

const SERVICE = [
  `FROM ${BUSYBOX}`,
  'LABEL eudat.gef.service.name="Word Count" eudat.gef.service.version="1.0"',
  'LABEL eudat.gef.service.input.1.name="corpus" eudat.gef.service.input.1.path="/data/corpus"',
  'LABEL eudat.gef.service.output.1.name="counts" eudat.gef.service.output.1.path="/data/counts"',
].join('\n')

describe('builds', () => {
  const cleaning = new StopStack()
  const suite = { after: (action: () => unknown) => cleaning.push('part', async () => void (await action())) }
  let room: ExecutionRoom
  let directory: string
  const builds = () => room.execution.imaging.builds

  before(async () => {
    await testImage()
    directory = await temporaryDirectory(suite as never)
    // Nothing stays that is not needed, once it is looked at.
    const images = { ...SETTINGS.images, keepBytes: 0, keepUnusedMs: 0, recentMs: 0 }
    room = await openExecutionRoom(directory, { settings: { images } })
    cleaning.push('room', () => room.stop())
    cleaning.push('images', async () => void (await room.execution.imaging.sweep.sweep()))
  })
  after(() => cleaning.unwind())

  test('files become an image, recorded by what it was made of and by its id', async () => {
    const files = {
      Dockerfile: `FROM ${BUSYBOX}\nCOPY . /kept/\nRUN cat /kept/data/a.txt && echo ${mark}`,
      'data/a.txt': 'hello',
      'data/link': { link: 'a.txt' },
      'left/out.txt': 'not wanted',
      'left/in.txt': 'wanted',
      '.dockerignore': 'left\n!left/in.txt\nDockerfile',
    }
    const queued = await builds().submitFiles(tarOf(files), { tag: `${mark}:files` })
    assert.equal(queued.state, 'queued')
    const log = await logOf(builds(), queued.id)
    const build = await ended(builds(), queued.id)
    assert.equal(build.state, 'succeeded', build.reason)
    assert.match(log, /Step 1\/3 : FROM[\s\S]*hello[\s\S]*\[succeeded\]\n$/)
    assert.match(build.image ?? '', /^sha256:[0-9a-f]{64}$/)
    assert.deepEqual(
      build.bases?.map(({ reference }) => reference),
      [BUSYBOX],
    )
    assert.equal(build.source.kind === 'upload' && build.source.files, 6)
    const { stdout } = await run('docker', ['run', '--rm', `${mark}:files`, 'find', '/kept', '-type', 'f'])
    assert.deepEqual(stdout.trim().split('\n').sort(), [
      '/kept/.dockerignore',
      '/kept/data/a.txt',
      '/kept/left/in.txt',
    ])
    const brought = await room.execution.imaging.sweep.list()
    const own = brought.find(({ image }) => image.id === build.image)
    assert.deepEqual([own?.image.how, own?.image.references], ['built', [`${mark}:files`]])
    // The same files have the same digest, however they were packed; the files themselves are gone.
    const again = await builds().submitFiles(tarOf(files), { tag: `${mark}:files` })
    assert.deepEqual(again.source, queued.source)
    assert.equal((await ended(builds(), again.id)).image, build.image)
    await assert.rejects(run('ls', [builds().contextOf(queued.id)]))
  })

  test('a labelled image that was built is a tool, and stays the one that it is', async () => {
    const { services } = room.execution.imaging
    const make = async (more: string) => {
      const made = await builds().submitFiles(tarOf({ Dockerfile: `${SERVICE}\n${more}` }), {
        tag: `${mark}:wc`,
      })
      return (await ended(builds(), made.id)).image as string
    }
    const signal = AbortSignal.timeout(30_000)
    const image = await make(`ENV WHICH=first-${mark}`)
    const inspected = await services.inspect(`${mark}:wc`, signal)
    assert.deepEqual([inspected.fixed, inspected.service?.inputs[0]?.type], [image, 'url'])
    const tool = await services.register(`${mark}:wc`, {}, signal)
    assert.deepEqual([tool.name, tool.value.image, tool.value.service?.digest], ['word-count', image, image])
    // Again the same is no change; another image in the same version is refused.
    await services.register(image, {}, signal)
    await make(`ENV WHICH=second-${mark}`)
    const other = services.register(`${mark}:wc`, { name: 'other' }, signal)
    await assert.rejects(other, (error) => isNodeError(error, 'CONFLICT'))
    // A pipeline that does not give what the service asks for is refused with all that it lacks.
    await room.datasets.add('words')
    const step = { name: 'count', tool: 'word-count', output_dataset: 'words' }
    await assert.rejects(
      room.execution.addPipeline('lacking', [step]),
      (error) => isNodeError(error, 'INVALID_INPUT') && /step count: the input "corpus"/.test(error.message),
    )
    const inputs = [{ name: 'corpus', url: 'https://example.org/corpus.txt' }]
    await room.execution.addPipeline('whole', [{ ...step, inputs }])
    await assert.rejects(services.inspect(BUSYBOX, AbortSignal.abort()))
    assert.equal((await services.inspect(BUSYBOX, signal)).service, undefined)
    await assert.rejects(services.register(BUSYBOX, {}, signal), (error) =>
      isNodeError(error, 'INVALID_INPUT'),
    )
  })

  test('a build that fails says so with its log, and what it left is this node’s to remove', async () => {
    const dockerfile = `FROM ${BUSYBOX}\nENV X=${mark}-fails\nRUN echo before && exit 7`
    const { id } = await builds().submitFiles(tarOf({ Dockerfile: dockerfile }), {})
    const build = await ended(builds(), id)
    assert.deepEqual([build.state, build.code], ['failed', 'BUILD_FAILED'])
    assert.equal(build.reason, 'The build failed: the command "echo before && exit 7" ended with exit code 7')
    assert.match(await logOf(builds(), id), /before[\s\S]*\[failed: /)
    const left = await room.execution.imaging.sweep.list()
    assert(left.some(({ image }) => image.how === 'built' && image.references.length === 0))
  })

  test('a build is cancelled while it waits and while it works, and its container goes', async () => {
    const sleeping = `FROM ${BUSYBOX}\nENV X=${mark}\nRUN echo asleep && sleep 300`
    const first = await builds().submitFiles(tarOf({ Dockerfile: sleeping }), {})
    const second = await builds().submitFiles(tarOf({ Dockerfile: sleeping }), {})
    assert.equal((await builds().cancel(second.id)).state, 'cancelled')
    const containers = () => isAtWork('sleep 300')
    await eventually(containers, 'the build never slept')
    const cancelled = await builds().cancel(first.id)
    assert.deepEqual([cancelled.state, cancelled.code], ['cancelled', undefined])
    await eventually(async () => !(await containers()), 'the container of the build stayed')
    assert.equal((await builds().cancel(first.id)).state, 'cancelled')
  })

  test('a build reaches nothing unless the node grants it, and begins only with what may run here', async () => {
    const build = async (dockerfile: string, more: Entries = {}) => {
      const { id } = await builds().submitFiles(tarOf({ Dockerfile: dockerfile, ...more }), {})
      return ended(builds(), id)
    }
    const links = await build(`FROM ${BUSYBOX}\nRUN test "$(ls /sys/class/net)" = lo`)
    assert.equal(links.state, 'succeeded', links.reason)
    const added = await build('FROM scratch\nADD http://127.0.0.1:9/x /x')
    assert.deepEqual([added.state, added.code], ['failed', 'FORBIDDEN'])
    const missing = await build('FROM mao-test/there-is-no-such:1')
    assert.deepEqual([missing.state, missing.code], ['failed', 'IMAGE_NOT_FOUND'])
    const escaping = await build('FROM scratch', { Other: 'x' })
    assert.equal(escaping.state, 'failed')
    const none = await builds().submitFiles(tarOf({ Dockerfile: { link: '/etc/passwd' } }), {})
    assert.match((await ended(builds(), none.id)).reason ?? '', /is, or leads through, a link/)
    const memory = await build(
      `FROM ${BUSYBOX}\nRUN cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max; true`,
    )
    assert.match(await logOf(builds(), memory.id), new RegExp(`^${SETTINGS.builds.memoryBytes}$`, 'm'))
  })

  test('what cannot be a build is refused at the door', async () => {
    const refused = (code: string) => (error: unknown) => isNodeError(error) && error.code === code
    const dockerfile = { Dockerfile: 'FROM scratch' }
    await assert.rejects(builds().submitFiles(tarOf({ '../x': 'y' }), {}), refused('PATH_UNSAFE'))
    await assert.rejects(builds().submitFiles(tarOf({}), {}), refused('INVALID_INPUT'))
    await assert.rejects(builds().submitFiles(tarOf(dockerfile), { tag: BUSYBOX }), refused('CONFLICT'))
    await assert.rejects(
      builds().submitFiles(tarOf(dockerfile), { dockerfile: '../Dockerfile' }),
      refused('INVALID_INPUT'),
    )
    await assert.rejects(builds().submitGit('file:///etc', {}), refused('INVALID_INPUT'))
    await assert.rejects(builds().submitGit('http://192.0.2.1/x.git', {}), refused('FORBIDDEN'))
    await assert.rejects(builds().submitGit('https://x.org/y.git#-x', {}), refused('INVALID_INPUT'))
  })

  test('a git reference is fetched, and the commit that it was is recorded', async () => {
    const repository = await upstreamRepository(suite as never)
    const server = await startGitHttpServer(suite as never, { root: repository.root, tls: false })
    const url = `${server.url}/data.git`
    const commit = await repository.commit({
      'image/Dockerfile': `FROM ${BUSYBOX}\nCOPY version /version\nRUN cat /version`,
      'image/version': `one of ${mark}`,
      '.gitattributes': 'image export-ignore',
    })
    await repository.git('tag', 'v1', commit)
    await repository.commit({ 'image/version': `two of ${mark}` })
    const tip = await repository.tip()
    for (const [reference, wanted] of [
      [`${url}#v1:image`, commit],
      [`${url}#main:image`, tip],
      [`${url}#:image`, tip],
    ] as const) {
      const { id } = await builds().submitGit(reference, { noCache: true })
      const build = await ended(builds(), id)
      assert.equal(build.state, 'succeeded', build.reason)
      assert.match(await logOf(builds(), id), wanted === commit ? /one of/ : /two of/)
      assert.equal(build.source.kind === 'git' && build.source.commit, wanted)
    }
    const missing = await builds().submitGit(`${url}#there-is-none`, {})
    assert.equal((await ended(builds(), missing.id)).code, 'NOT_FOUND')
  })

  test('the files of a dataset are a source too, at the commit that is agreed on', async () => {
    const { stdout: made } = await run('mktemp', ['-d', join(directory, 'files-XXXXXX')])
    const from = made.trim()
    await run('sh', ['-c', `printf 'FROM ${BUSYBOX}\\nENV X=${mark}-dataset\\n' > ${from}/Dockerfile`])
    await room.datasets.importDirectory('recipes', from)
    const { id } = await builds().submitDataset({ dataset: 'recipes' }, {})
    const build = await ended(builds(), id)
    assert.equal(build.state, 'succeeded', build.reason)
    assert.match(build.source.kind === 'dataset' ? build.source.commit : '', /^[0-9a-f]{40}$/)
  })

  test('a collection removes all that builds left but what is needed, and nothing of others', async () => {
    const { sweep } = room.execution.imaging
    const ids = async () => new Set((await room.engine.images.list()).map(({ id }) => id))
    const all = await ids()
    const planned = await sweep.sweep({ dryRun: true })
    assert.deepEqual(await ids(), all)
    const tool = room.execution.tools.get('word-count')?.value.image as string
    const going = new Set(planned.removed.map(({ image }) => image.id))
    assert(!going.has(tool) && going.size > 5)
    const kept = (await sweep.list()).find(({ image }) => image.id === tool)
    assert.match(kept?.needed ?? '', /tool or run/)
    await sweep.sweep()
    const left = await ids()
    // What the tool's image is made of stays with it. Images of tests that run beside this one come and go meanwhile.
    const gone = [...all].filter((id) => going.has(id) && !left.has(id))
    assert(gone.length > 5, `${gone.length} went`)
    const others = await room.engine.images.inspect(BUSYBOX)
    assert(others !== undefined && !going.has(others.id), 'an image of others went')
    assert(left.has(tool))
    await room.execution.tools.remove('word-count')
    await sweep.sweep()
    const last = await ids()
    assert.deepEqual(
      [...going, tool].filter((id) => last.has(id)),
      [],
    )
    assert.deepEqual(await sweep.list(), [])
  })

  test('builds that waited go on after a restart, and one that was cut is lost', async () => {
    const place = await temporaryDirectory(suite as never)
    const first = await openExecutionRoom(place)
    const sleeping = `FROM ${BUSYBOX}\nENV X=${mark}-cut\nRUN sleep 301`
    const before = first.execution.imaging.builds
    const cut = await before.submitFiles(tarOf({ Dockerfile: sleeping }), {})
    const waiting = await before.submitFiles(tarOf({ Dockerfile: 'FROM scratch\nENV A=1' }), {})
    await eventually(() => isAtWork('sleep 301'), 'the build never began')
    await first.stop()
    assert.equal(before.get(cut.id).state, 'lost')
    assert.equal(before.get(waiting.id).state, 'queued')
    // As a crash leaves it: the last thing that was written is that it had begun.
    const database = await openDatabase(place)
    const source = { kind: 'upload' as const, sha256: 'x', files: 1, bytes: 1 }
    const crashed = newBuild({ id: 'b-0-x', source, dockerfile: 'D', tag: 'x', noCache: false }, 1)
    await table<Build>(database, 'builds').put('b-0-x', { ...crashed, state: 'building' })
    await database.close()
    const builds = { ...SETTINGS.builds, timeoutMs: 1_000, contextBytes: 2_000, contextEntries: 3 }
    const images = { ...SETTINGS.images, keepBytes: 0, keepUnusedMs: 0, recentMs: 0 }
    const second = await openExecutionRoom(place, { settings: { builds, images } })
    try {
      const after = second.execution.imaging.builds
      assert.equal(after.get('b-0-x').state, 'lost')
      const went = await ended(after, waiting.id)
      assert.equal(went.state, 'succeeded', went.reason)
      assert.equal(await second.engine.images.remove(went.tag), true)
      // The settings of this node hold what it builds.
      const slow = await after.submitFiles(tarOf({ Dockerfile: sleeping }), {})
      const { state, code } = await ended(after, slow.id)
      assert.deepEqual([state, code], ['failed', 'TIMED_OUT'])
      const tooLarge = (error: unknown) => isNodeError(error, 'TOO_LARGE')
      await assert.rejects(after.submitFiles(tarOf({ a: 'x'.repeat(2_001) }), {}), tooLarge)
      await assert.rejects(after.submitFiles(tarOf({ a: '', b: '', c: '', d: '' }), {}), tooLarge)
      await eventually(async () => !(await isAtWork('sleep 301')), 'the container of the build stayed')
      await eventually(async () => {
        await second.execution.imaging.sweep.sweep()
        return (await second.execution.imaging.sweep.list()).length === 0
      }, 'what the builds brought stayed')
    } finally {
      await second.stop()
    }
  })
})
