import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { chmod, chown, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { promisify } from 'node:util'
import { type ErrorCode, isNodeError } from '../../src/base/errors.ts'
import { silentLogger } from '../../src/base/logger.ts'
import { DockerEngine } from '../../src/execution/engines/docker-engine.ts'
import type { ContainerSpec } from '../../src/execution/engines/engine.ts'
import { Engines } from '../../src/execution/engines/engines.ts'
import { openEngines } from '../../src/execution/engines/open-engines.ts'
import { dockerSettingsSchema } from '../../src/execution/engines/settings.ts'
import { engineContract, mark, runOn, shell, specOf } from '../support/engine-contract.ts'
import { openExecutionRoom } from '../support/execution-room.ts'
import { type SecondEngine, secondEngine } from '../support/second-engine.ts'
import { BUSYBOX } from '../support/test-images.ts'

const run = promisify(execFile)

let second: SecondEngine
let engines: Engines
let directory: string

before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'mao-far-'))
  second = await secondEngine()
  await second.docker('swarm', 'init', '--advertise-addr', '127.0.0.1')
  const { host, port, files, socketPath } = second
  const settings = dockerSettingsSchema.parse({
    engines: {
      far: { host, port, ...files, swarm: 'never' },
      swarm: { socketPath, swarmGuarded: true },
      unguarded: { socketPath },
    },
  })
  engines = await openEngines({ settings, directory, peer: 'p', log: silentLogger })
})
after(async () => {
  await engines?.stop()
  await second?.stop()
  await rm(directory, { recursive: true, force: true })
})

const docker = (...words: string[]) => second.docker(...words)
engineContract('an engine on another machine, over TLS, that does not see our files', async () => ({
  engine: engines.of('far'),
  docker,
}))
engineContract('a manager of a swarm', async () => ({ engine: engines.of('swarm'), docker }))

async function imageOf(id: string) {
  return engines.of(id).image(BUSYBOX, AbortSignal.timeout(10_000))
}

/** What one step on the far engine makes of a directory, mounted to be written. */
async function made(script: string, more: Partial<ContainerSpec> = {}): Promise<string> {
  const data = await mkdtemp(join(directory, 'data-'))
  await chown(data, 65_534, 65_534)
  await writeFile(join(data, 'old'), 'old')
  const mounts = [{ source: data, target: '/usr/src/app/data', readOnly: false }, ...(more.mounts ?? [])]
  const image = await imageOf('far')
  const { exitCode, err } = await runOn(engines.of('far'), specOf(image, shell(script), { ...more, mounts }))
  assert.deepEqual([exitCode, err], [0, ''])
  return data
}

const refusal = (code: ErrorCode, words: RegExp) => (error: Error) => {
  return isNodeError(error, code) && words.test(error.message)
}

test('files, directories and links travel to an engine and back', async () => {
  const input = join(directory, 'input.csv')
  await writeFile(input, 'a,b\n')
  const result = join(directory, 'result')
  await writeFile(result, '')
  await chmod(result, 0o666)
  const data = await made(
    'cat /srv/in/input.csv > data/copy; mkdir -p data/a/b; echo x > data/a/b/run; chmod 755 data/a/b/run; ln -s b/run data/a/link; ln data/copy data/twice; rm data/old; echo made > /srv/out/result; mkfifo /tmp/p',
    {
      mounts: [
        { source: input, target: '/srv/in/input.csv', readOnly: true },
        { source: result, target: '/srv/out/result', readOnly: false },
      ],
    },
  )
  const found = (await readdir(data, { recursive: true })).sort()
  assert.deepEqual(found, ['a', 'a/b', 'a/b/run', 'a/link', 'copy', 'twice'])
  assert.equal(await readFile(join(data, 'twice'), 'utf8'), 'a,b\n')
  assert.equal(await readFile(join(data, 'a/link'), 'utf8'), 'x\n')
  assert.equal((await stat(join(data, 'a/b/run'))).mode & 0o777, 0o755)
  assert.equal(await readFile(result, 'utf8'), 'made\n')
})

test('what would lie elsewhere, lead elsewhere, or be too much, is not brought back', async () => {
  await assert.rejects(made('ln -s /etc/passwd data/out'), refusal('PATH_UNSAFE', /link to \/etc\/passwd/))
  await assert.rejects(made('ln -s ../../x data/up'), refusal('PATH_UNSAFE', /"data\/up"/))
  await assert.rejects(made('mkfifo data/pipe'), refusal('PATH_UNSAFE', /fifo/))
  const script = 'head -c 3000000 /dev/zero > data/a; head -c 3000000 /dev/zero > data/b'
  await assert.rejects(made(script, { outputBytesMax: 5 * 1000 ** 2 }), refusal('TOO_LARGE', /outputBytes/))
  const left = await docker('volume', 'ls', '--quiet')
  assert.equal(left, '', 'volumes are left')
})

test('a step whose volumes hold too much is killed while it is at work', async () => {
  const data = await mkdtemp(join(directory, 'big-'))
  await writeFile(join(data, 'big'), Buffer.alloc(3_000_000))
  const mounts = [{ source: data, target: '/usr/src/app/data', readOnly: false }]
  const spec = specOf(await imageOf('far'), shell('sleep 60'), { mounts, outputBytesMax: 1_000_000 })
  await assert.rejects(runOn(engines.of('far'), spec), refusal('TOO_LARGE', /more than 1000000 bytes/))
})

test('an engine on another machine is not given a socket of this one', async () => {
  const mounts = [{ source: second.socketPath, target: '/var/run/docker.sock', readOnly: false }]
  const spec = specOf(await imageOf('far'), null, { mounts })
  await assert.rejects(engines.of('far').create(spec), refusal('FORBIDDEN', /engine local/))
})

test('what is left on an engine is found by its label and removed with its volumes, in any order', async () => {
  const data = await mkdtemp(join(directory, 'left-'))
  const mounts = [{ source: data, target: '/usr/src/app/data', readOnly: false }]
  const labels = { 'mao-test.left': 'far' }
  const spec = specOf(await imageOf('far'), shell('sleep 60'), { mounts, labels })
  const id = await engines.of('far').create(spec)
  await engines.of('far').start(id, async () => undefined)
  // Another life of the node knows nothing of it.
  const { host, port, files } = second
  const parts = { directory, peer: 'p', log: silentLogger }
  const settings = dockerSettingsSchema.parse({ engines: { far: { host, port, ...files } } })
  const later = (await openEngines({ settings, ...parts })).of('far')
  const left = await later.find('mao-test.left', 'far')
  assert.equal(left.length, 2)
  for (const container of left.reverse()) await later.remove(container)
  assert.deepEqual(await later.find('mao-test.left', 'far'), [])
  assert.equal(await docker('volume', 'ls', '--quiet'), '')
})

test('a step is a job of the swarm only where the swarm can hold it to its box', async () => {
  const image = await imageOf('swarm')
  const kinds = new Map((await engines.look()).map(({ id, kind, note }) => [id, { kind, note }]))
  assert.equal(kinds.get('swarm')?.kind, 'swarm')
  assert.equal(kinds.get('unguarded')?.kind, 'docker')
  assert.match(kinds.get('unguarded')?.note ?? '', /manages a swarm.*does not vouch.*swarmGuarded/)
  const idOn = async (engine: string, more: Partial<ContainerSpec> = {}) => {
    const id = await engines.of(engine).create(specOf(image, shell('true'), more))
    await engines.of(engine).remove(id)
    return id
  }
  assert.match(await idOn('swarm'), /^swarm:mao-test-/)
  for (const id of [
    await idOn('unguarded'),
    await idOn('swarm', { network: 'host' }),
    await idOn('swarm', { devices: ['/dev/null'] }),
    await idOn('swarm', { groups: ['7'] }),
    await idOn('swarm', { holdsSecrets: true }),
  ]) {
    assert.match(id, /^[0-9a-f]{64}$/)
  }
})

test('a job that a crash left is found by its label, ended and removed', async () => {
  const labels = { 'mao-test.left': 'swarm' }
  const spec = specOf(await imageOf('swarm'), shell('sleep 60'), { labels })
  const id = await engines.of('swarm').create(spec)
  await engines.of('swarm').start(id, async () => undefined)
  assert.match(await docker('service', 'ls'), /mao-test-.*replicated job/)
  const settings = dockerSettingsSchema.parse({
    engines: { swarm: { socketPath: second.socketPath, swarmGuarded: true } },
  })
  const later = (await openEngines({ settings, directory, peer: 'p', log: silentLogger })).of('swarm')
  assert.deepEqual(await later.find('mao-test.left', 'swarm'), [id])
  await later.remove(id)
  assert.equal(await docker('ps', '--all', '--quiet'), '')
  assert.equal(await docker('service', 'ls', '--quiet'), '')
})

test('a run is placed on the engine that is up, and its result is a commit here', async () => {
  const nobody = new DockerEngine({ socketPath: join(directory, 'no.sock') })
  const source = await mkdtemp(join(directory, 'source-'))
  await writeFile(join(source, 'one.csv'), '1\n2\n')
  for (const name of ['far', 'swarm']) {
    const both = new Map([
      ['local', nobody],
      [name, engines.of(name)],
    ])
    const room = await openExecutionRoom(join(directory, `node-${name}`), { engines: new Engines(both) })
    try {
      await room.datasets.importDirectory('source', source)
      await room.datasets.add('sums')
      await room.execution.addTool('sum', { author: 'tests', image: BUSYBOX })
      const cmd = shell(
        'echo adding; n=0; while read x; do n=$((n+x)); done < input/one.csv; echo $n > data/sum',
      )
      const step = {
        name: 'sum',
        tool: 'sum',
        cmd,
        env: null,
        input_dataset: 'source',
        output_dataset: 'sums',
      }
      await room.execution.addPipeline('add', { steps: [step] })
      const { id } = await room.execution.submit('add')
      const run = await room.execution.finished(id, AbortSignal.timeout(30_000))
      assert.equal(run.state, 'succeeded', run.reason)
      assert.equal(run.allocation?.engine, name)
      const repository = await room.datasets.repository('sums')
      const files = await repository.listFiles(run.steps[0]?.outputCommit ?? '')
      assert.deepEqual(
        files.map(({ path }) => path),
        ['sum'],
      )
    } finally {
      await room.stop()
    }
  }
  assert.equal(await docker('ps', '--all', '--quiet'), '')
  assert.equal(await docker('volume', 'ls', '--quiet'), '')
})

test('an engine that goes away in the middle is told of, delays no other, and is heard of when it returns', async () => {
  const far = engines.of('far')
  const spec = specOf(await imageOf('far'), shell("trap 'exit 0' TERM; sleep 60 & wait"))
  const id = await far.create(spec)
  await far.start(id, async () => undefined)
  const waiting = assert.rejects(far.wait(id, AbortSignal.timeout(30_000)), (error: Error) => {
    return isNodeError(error, 'ENGINE_UNAVAILABLE')
  })
  await engines.look()
  const back = new Promise<string>((resolve) => engines.onUp(resolve))
  await second.kill()
  await waiting
  const states = new Map((await engines.look()).map((state) => [state.id, state]))
  assert.equal(states.get('local')?.up, true)
  assert.equal(states.get('far')?.up, false)
  assert.match(states.get('far')?.problem ?? '', /11\.11\.12\.2:2376.*docker\.engines/)
  await second.start()
  await engines.look()
  assert.ok(['far', 'swarm', 'unguarded'].includes(await back))
  await far.remove(id)
  assert.deepEqual(await far.find('mao-test.engine', mark), [])
})

test('whoever has no certificate is not let in, and plain connections to another machine are refused', async () => {
  const { host, port, files } = second
  const { caFile } = files
  const strangers = {
    caFile,
    certFile: join(directory, 'self.pem'),
    keyFile: join(directory, 'self-key.pem'),
  }
  const words = 'req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=stranger'
  await run('openssl', [...words.split(' '), '-keyout', strangers.keyFile, '-out', strangers.certFile])
  const settings = dockerSettingsSchema.parse({ engines: { far: { host, port, ...strangers } } })
  const stranger = await openEngines({ settings, directory, peer: 'p', log: silentLogger })
  await assert.rejects(stranger.of('far').ping(), refusal('ENGINE_UNAVAILABLE', /11\.11\.12\.2/))
  const plain = dockerSettingsSchema.safeParse({ engines: { far: { host, port } } })
  assert.match(plain.error?.message ?? '', /over TLS alone/)
})
