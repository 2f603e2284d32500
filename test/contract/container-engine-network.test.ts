import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { promisify } from 'node:util'
import { isNodeError } from '../../src/base/errors.ts'
import { DockerConnection } from '../../src/execution/engines/docker-connection.ts'
import { DockerEngine } from '../../src/execution/engines/docker-engine.ts'
import type { ContainerSpec } from '../../src/execution/engines/engine.ts'
import { Engines } from '../../src/execution/engines/engines.ts'
import { NetworkGuard, type NetworkGuardParts } from '../../src/execution/engines/network-guard.ts'
import { eventually } from '../support/eventually.ts'
import { openExecutionRoom } from '../support/execution-room.ts'
import { type Neighbourhood, neighbourhood } from '../support/neighbourhood.ts'
import { BUSYBOX, testImage } from '../support/test-images.ts'

const run = promisify(execFile)
const MIB = 1024 ** 2
const mark = `${process.pid}-${Date.now()}`
const LABEL = 'mao-test.network'
const connection = DockerConnection.local('/var/run/docker.sock')

let around: Neighbourhood
let imageId: string
const guards: NetworkGuard[] = []

function guardFor(peer: string, more: Partial<NetworkGuardParts> = {}): NetworkGuard {
  const bridge = { barredRanges: [], nameservers: [] }
  const parts = {
    connection,
    engine: 'local',
    peer: `${peer}-${mark}`,
    bridge,
    isLocal: true,
    isVouched: false,
  }
  const guard = new NetworkGuard({ ...parts, ...more })
  guards.push(guard)
  return guard
}

before(async () => {
  await testImage()
  around = await neighbourhood()
  imageId = (await new DockerEngine({ connection }).image(BUSYBOX, AbortSignal.timeout(10_000))).id
})
after(async () => {
  const engine = new DockerEngine({ connection })
  for (const id of await engine.find(LABEL, mark)) await engine.remove(id)
  await around.remove()
  for (const guard of guards) await guard.remove()
  for (const guard of guards) await run('docker', ['network', 'rm', guard.network]).catch(() => undefined)
  assert.deepEqual(await rules(), [], 'rules are left')
})

/** Rules of the guards of this test. */
async function rules(): Promise<string[]> {
  const { stdout } = await run('iptables', ['-w', '5', '-S'])
  const ids = guards.map(({ network }) => network.slice('mao-'.length))
  return stdout
    .split('\n')
    .filter((line) => ids.some((id) => line.includes(`MAO-F-${id}`) || line.includes(`MAO-I-${id}`)))
}

let count = 0
function spec(script: string, network: ContainerSpec['network']): ContainerSpec {
  count += 1
  return {
    ...{ name: `mao-net-${mark}-${count}`, imageId, command: ['/bin/sh', '-c', script], network },
    ...{ environment: {}, labels: { [LABEL]: mark }, mounts: [], user: '65534:65534', groups: [] },
    ...{ memoryBytes: 64 * MIB, cpus: 1, pids: 64, rootReadOnly: true, devices: [] },
  }
}

async function said(
  engine: DockerEngine,
  script: string,
  network: ContainerSpec['network'],
): Promise<string> {
  const id = await engine.create(spec(script, network))
  let out = ''
  await engine.start(id, async (_, bytes) => {
    out += Buffer.from(bytes).toString()
  })
  await engine.wait(id, AbortSignal.timeout(30_000))
  await engine.remove(id)
  return out
}

/** Who of the neighbourhood answers a container. */
async function reached(engine: DockerEngine, network: ContainerSpec['network']): Promise<string[]> {
  const tries = Object.entries(around.pages).map(
    ([who, page]) =>
      `(printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc -w 1 ${page} 2>/dev/null | grep -q reached && echo ${who}) &`,
  )
  const out = await said(engine, `${tries.join('\n')}\nwait`, network)
  return out.trim().split('\n').filter(Boolean).sort()
}

test('a bridged step reaches the world, and neither its neighbours nor this machine; without a network, nothing', async () => {
  const guard = guardFor('alice')
  const engine = new DockerEngine({ connection, guard })
  await engine.checkNetwork('bridge')
  assert.deepEqual(await reached(engine, 'bridge'), ['world'])
  assert.deepEqual(await reached(engine, 'none'), [])
  assert.deepEqual((await guard.state()).bridge, 'guarded')

  // All of them are there to be reached: it is the rules that keep them out.
  const open = new DockerEngine({ connection, guard: guardFor('vouched', { isVouched: true }) })
  assert.deepEqual(await reached(open, 'bridge'), [
    'lan',
    'lan10',
    'machine',
    'machineLan',
    'metadata',
    'world',
  ])
})

test('steps on the bridge do not reach each other, and have no IPv6', async () => {
  const engine = new DockerEngine({ connection, guard: guardFor('alice') })
  const serving = await engine.create(spec('ip -4 -o addr show eth0; httpd -f -p 8080 -h /tmp', 'bridge'))
  let out = ''
  await engine.start(serving, async (_, bytes) => {
    out += Buffer.from(bytes).toString()
  })
  const address = () => /inet ([\d.]+)/.exec(out)?.[1]
  await eventually(() => address() !== undefined, 'the first step never told its address')
  const other = await said(
    engine,
    `printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc -w 1 ${address()} 8080; ping -c 1 -W 1 ${address()}; ip -6 addr show eth0; echo end`,
    'bridge',
  )
  assert.doesNotMatch(other, /404|bytes from|inet6/)
  assert.match(other, /^end$/m)
  await engine.remove(serving)
})

test('rules that a firewall has forgotten stand again before the next start, and while steps run', async () => {
  const guard = guardFor('alice')
  const engine = new DockerEngine({ connection, guard })
  await guard.ensure()
  const whole = await rules()
  const lose = async () => {
    for (const jump of (await rules()).filter((rule) => rule.includes(' -j MAO-'))) {
      await run('iptables', ['-w', '5', ...jump.replace('-A ', '-D ').split(' ')])
    }
    for (const chain of whole.filter((rule) => rule.startsWith('-N '))) {
      await run('iptables', ['-w', '5', '-F', chain.slice(3)])
    }
  }
  await lose()
  assert.deepEqual(await reached(engine, 'bridge'), ['world'])
  assert.deepEqual(await rules(), whole)
  await lose()
  await guard.keep()
  assert.deepEqual(await rules(), whole)
  await guard.ensure()
  assert.deepEqual(await rules(), whole, 'rules that stand are not set twice')

  // Somebody lets everything pass before our rules are asked.
  await run('iptables', ['-w', '5', '-I', 'DOCKER-USER', '1', '-s', '127.77.0.0/16', '-j', 'ACCEPT'])
  try {
    assert.deepEqual(await reached(engine, 'bridge'), ['world'])
    const { stdout } = await run('iptables', ['-w', '5', '-S', 'DOCKER-USER'])
    const lines = stdout.split('\n')
    const [ours, theirs] = ['MAO-F-', '127.77'].map((word) => lines.findIndex((line) => line.includes(word)))
    assert.ok((ours as number) < (theirs as number), stdout)
  } finally {
    await run('iptables', ['-w', '5', '-D', 'DOCKER-USER', '-s', '127.77.0.0/16', '-j', 'ACCEPT'])
  }
})

test('rules and network go with the node, but not from under a step', async () => {
  const guard = guardFor('carol')
  const engine = new DockerEngine({ connection, guard })
  const id = await engine.create(spec('sleep 60', 'bridge'))
  await engine.start(id, async () => undefined)
  const mine = async () => (await rules()).filter((rule) => rule.includes(guard.network.slice('mao-'.length)))
  const before = await mine()
  await assert.rejects(guard.remove(), /active endpoints/)
  assert.deepEqual(await mine(), before)
  await engine.remove(id)
  await guard.remove()
  assert.deepEqual(await mine(), [])
  await assert.rejects(run('docker', ['network', 'inspect', guard.network]))
})

test('where the rules cannot be set, a bridge is refused with what to do', async () => {
  const engine = new DockerEngine({ connection, guard: guardFor('dora', { isLocal: false, engine: 'far' }) })
  for (const refused of [() => engine.checkNetwork('bridge'), () => engine.create(spec('true', 'bridge'))]) {
    await assert.rejects(refused(), (error: Error) => {
      assert.ok(isNodeError(error, 'FORBIDDEN'), String(error))
      assert.match(error.message, /another machine.*docker\.engines\.far\.networkGuarded: true/)
      const { commands } = error.data as { commands: string[] }
      assert.match(commands.join('\n'), /-d 192\.168\.0\.0\/16 -j REJECT/)
      assert.match(commands.at(-1) ?? '', /^iptables -w 5 -I INPUT 1 -i mao/)
      return true
    })
  }
  await engine.checkNetwork('none')
})

test('the commands for operators make the same rules as the node', async () => {
  const guard = guardFor('erin')
  await guard.ensure()
  const byNode = await rules()
  await guard.remove()
  const refused = guardFor('erin', { isLocal: false })
  const { commands = [] } = await refused.state()
  for (const command of commands) await run('/bin/sh', ['-c', command])
  assert.deepEqual((await rules()).sort(), byNode.sort())
})

test('a step of a pipeline gets a bridge where it is guarded, and is refused before the run where it is not', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'mao-bridge-'))
  t.after(() => rm(directory, { recursive: true, force: true }))
  const address = around.pages.world
  const cmd = [
    '/bin/sh',
    '-c',
    `printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc -w 1 ${address} | grep reached > data/page`,
  ]
  for (const [guard, state] of [
    [guardFor('frank'), 'succeeded'],
    [guardFor('frank', { isLocal: false }), 'rejected'],
  ] as const) {
    const engines = new Engines(new Map([['local', new DockerEngine({ connection, guard })]]))
    const room = await openExecutionRoom(join(directory, state), { engines })
    try {
      await room.datasets.add('pages')
      await room.execution.addTool('fetch', { author: 'tests', image: BUSYBOX })
      const step = { name: 'get', tool: 'fetch', cmd, env: null, network: 'bridge' }
      const datasets = { input_dataset: null, output_dataset: 'pages' }
      await room.execution.addPipeline('pages', { steps: [{ ...step, ...datasets }] })
      const { id } = await room.execution.submit('pages')
      const run = await room.execution.finished(id, AbortSignal.timeout(20_000))
      assert.equal(run.state, state, run.reason)
      if (state === 'rejected') assert.match(run.reason ?? '', /networkGuarded: true/)
    } finally {
      await room.stop()
    }
  }
})
