import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isNodeError, NodeError } from '../../../../src/base/errors.ts'
import { engineLookLifeMs } from '../../../../src/base/limits.ts'
import { engineError, startError } from '../../../../src/execution/engines/docker-errors.ts'
import type { ContainerEngine } from '../../../../src/execution/engines/engine.ts'
import { Engines } from '../../../../src/execution/engines/engines.ts'
import { volumeMounts } from '../../../../src/execution/engines/image-volumes.ts'
import { dockerSettingsSchema } from '../../../../src/execution/engines/settings.ts'
import { jobState } from '../../../../src/execution/engines/swarm-job.ts'

const FACTS = {
  ...{ kind: 'docker' as const, version: '1', cpus: 8, memoryBytes: 1_000, machines: 1 },
  network: { bridge: 'ready' as const },
}

/** An engine that is looked at, and nothing else. */
function engine(facts: () => Promise<typeof FACTS>): ContainerEngine {
  return { sharesFiles: true, facts } as Partial<ContainerEngine> as ContainerEngine
}

test('an engine has what its machine has, or what the operator says', async () => {
  const { engines: settings } = dockerSettingsSchema.parse({
    engines: {
      small: { socketPath: '/s', capacity: { cpus: 2, gpus: ['nvidia:0'] }, labels: { site: 'bern' } },
    },
  })
  const engines = new Engines(
    new Map([
      ['whole', engine(async () => FACTS)],
      ['small', engine(async () => FACTS)],
    ]),
    { settings: new Map(Object.entries(settings)), diskBytes: async () => 77 },
  )
  const [whole, small] = await engines.states()
  assert.deepEqual([whole?.cpus, whole?.memoryBytes, whole?.diskBytes, whole?.gpus], [8, 1_000, 77, []])
  assert.deepEqual([small?.cpus, small?.memoryBytes, small?.gpus], [2, 1_000, ['nvidia:0']])
  assert.deepEqual(small?.labels, { site: 'bern' })
})

test('an engine that is down is told as it was while it is looked at anew, and heard of when it returns', async () => {
  let now = 0
  let answer = async () => FACTS
  let looks = 0
  const looked = engine(() => {
    looks += 1
    return answer()
  })
  const engines = new Engines(new Map([['far', looked]]), { now: () => now })
  const heard: string[] = []
  engines.onUp((id) => heard.push(id))
  assert.equal((await engines.state('far')).up, true)
  await Promise.all([engines.states(), engines.states()])
  assert.equal(looks, 1, 'what is fresh is not looked at again')

  answer = async () => {
    throw new NodeError('ENGINE_UNAVAILABLE', 'the cable is out')
  }
  now += engineLookLifeMs + 1
  const down = await engines.state('far')
  assert.deepEqual([down.up, down.problem], [false, 'the cable is out'])

  now += engineLookLifeMs + 1
  answer = () => new Promise(() => undefined)
  assert.equal((await engines.state('far')).up, false, 'a silent engine is not waited for twice')
  assert.equal(heard.length, 0)

  const again = new Engines(new Map([['far', looked]]), { now: () => now })
  answer = async () => {
    throw new Error('down')
  }
  again.onUp((id) => heard.push(id))
  await again.look()
  answer = async () => FACTS
  await again.look()
  assert.deepEqual(heard, ['far'])
})

test('an engine nobody named is not there', async () => {
  const engines = new Engines(new Map())
  assert.throws(() => engines.of('x'), /no container engine named x/)
  await assert.rejects(engines.state('x'), /no container engine named x/)
})

test('engines on other machines are reached over TLS alone, and every engine has one address', () => {
  const files = { caFile: '/ca', certFile: '/cert', keyFile: '/key' }
  const table = [
    [{ host: '10.0.0.7', ...files }, undefined],
    [{ host: '127.0.0.1', port: 2375 }, undefined],
    [{ socketPath: '/s' }, undefined],
    [{ host: '10.0.0.7', port: 2375 }, /over TLS alone/],
    [{ host: 'docker.example.org' }, /over TLS alone/],
    [{ host: '127.0.0.1.example.org' }, /over TLS alone/],
    [{ host: '10.0.0.7', caFile: '/ca' }, /over TLS alone/],
    [{ host: '10.0.0.7', socketPath: '/s', ...files }, /a socketPath or a host/],
    [{ socketPath: '/s', ...files }, /certificates are for/],
    [{}, /a socketPath or a host/],
  ] as const
  for (const [far, complaint] of table) {
    const parsed = dockerSettingsSchema.safeParse({ engines: { far } })
    if (complaint === undefined) assert.ok(parsed.success, JSON.stringify(far))
    else assert.match(parsed.error?.message ?? 'accepted', complaint)
  }
  assert.ok(dockerSettingsSchema.safeParse({ engines: { local: { capacity: { cpus: 1 } } } }).success)
})

test('how a job of a swarm stands is told by its task', () => {
  const stands = (State: string, Err = '', ExitCode = 0) =>
    jobState({
      ...{ ID: 't', NodeID: 'n', DesiredState: 'complete' },
      Status: { State, Err, Message: '', ContainerStatus: { ContainerID: 'c', ExitCode } },
    })
  assert.deepEqual(stands('pending', 'no suitable node'), { state: 'waiting', why: 'no suitable node' })
  assert.deepEqual(stands('running'), { state: 'running' })
  assert.deepEqual(stands('complete'), { state: 'ended', exitCode: 0 })
  assert.deepEqual(stands('failed', 'task: non-zero exit (3)', 3), { state: 'ended', exitCode: 3 })
  const absent = 'starting container failed: exec: "/bin/nope": no such file or directory'
  assert.deepEqual(stands('failed', absent, 127), { state: 'not-started', why: absent })
  assert.deepEqual(stands('rejected', 'No such image: x'), { state: 'not-started', why: 'No such image: x' })
  assert.deepEqual(stands('orphaned', 'node is lost'), { state: 'gone', why: 'node is lost' })
})

test('a container that does not start is the fault of the command only where the engine says so', () => {
  const begun = (statusCode: number, message: string) => {
    const error = startError(engineError(Object.assign(new Error(message), { statusCode }), '/x'), 'c')
    assert.ok(isNodeError(error))
    return error.code
  }
  const missing = 'OCI runtime create failed: exec: "nope": executable file not found in $PATH'
  assert.equal(begun(400, missing), 'INVALID_INPUT')
  assert.equal(begun(500, 'OCI runtime create failed: exec /bin/x: exec format error'), 'INVALID_INPUT')
  assert.equal(begun(500, 'mkdir /var/lib/docker/x: no space left on device'), 'ENGINE_UNAVAILABLE')
  assert.equal(begun(404, 'No such container: c'), 'ENGINE_UNAVAILABLE')
})

test('volumes of an image are directories in memory, but where something is mounted, and not without end', () => {
  const mounts = [{ source: '/s', target: '/usr/src/app/data/', readOnly: false }]
  const of = (volumes: readonly string[]) => volumeMounts({ volumes, mounts, memoryBytes: 1_000 })
  const places = of(['/data/', '/data', 'cache', '/usr/src/app/data', '/tmp', '/a/../b']).map(
    (one) => one.Target,
  )
  assert.deepEqual(places, ['/data', '/cache', '/b'])
  assert.deepEqual(of(['/x'])[0]?.TmpfsOptions, { SizeBytes: 500, Mode: 0o1777 })
  const many = Array.from({ length: 33 }, (_, index) => `/v${index}`)
  assert.throws(
    () => of(many),
    (error) => isNodeError(error, 'FORBIDDEN') && /33 volumes/.test(error.message),
  )
})
