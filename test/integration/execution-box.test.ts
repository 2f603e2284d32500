/**
 * What a tool cannot do unless this node grants it, and what it is given, on the real engine (fault table, rows 21 and
 * 22). One room that grants nothing, and one that grants what an operator can.
 */
import assert from 'node:assert/strict'
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { withDeadline } from '../../src/base/wait.ts'
import { Engines, LOCAL_ENGINE } from '../../src/execution/engines/engines.ts'
import { dockerSettingsSchema } from '../../src/execution/engines/settings.ts'
import type { Run } from '../../src/execution/runs/run.ts'
import { type ExecutionRoom, openExecutionRoom } from '../support/execution-room.ts'
import { BUSYBOX, containersLabelled, removeImage, testImage } from '../support/test-images.ts'

const NUMBERED = 'mao-test/numbered-user:1'
/** Root by another spelling, and with a volume. */
const SPELT = 'mao-test/spelt-user:1'
/** Stands for a graphics card: a device of every Linux machine that no container has by itself. */
const DEVICE = '/dev/kmsg'
const MIB = 1024 ** 2

let base: string
let strict: ExecutionRoom
let granting: ExecutionRoom
before(async () => {
  base = await mkdtemp(join(tmpdir(), 'mao-box-'))
  await testImage()
  await testImage(NUMBERED, ['USER 1234:4321'])
  await testImage(SPELT, ['USER +0', 'VOLUME /scratch'])
  strict = await openExecutionRoom(join(base, 'strict'))
  const settings = { hostNetworkGranted: true, writableRootGranted: true, runTimeoutMs: 60_000 }
  const { engines } = dockerSettingsSchema.parse({ engines: { local: { capacity: { gpus: [DEVICE] } } } })
  const local = new Map([[LOCAL_ENGINE, strict.engine]])
  granting = await openExecutionRoom(join(base, 'granting'), {
    settings,
    engines: new Engines(local, { settings: new Map(Object.entries(engines)) }),
  })
  for (const room of [strict, granting]) {
    await room.execution.addTool('shell', { image: BUSYBOX })
    await room.execution.addTool('numbered', { image: NUMBERED })
    await room.execution.addTool('spelt', { image: SPELT })
    await room.datasets.add('out')
  }
})
after(async () => {
  for (const room of [strict, granting]) {
    await room.stop()
    assert.deepEqual(await containersLabelled('mao.node', room.peer), [])
  }
  await removeImage(NUMBERED)
  await removeImage(SPELT)
  await rm(base, { recursive: true, force: true, maxRetries: 3 })
})

let count = 0
async function ran(room: ExecutionRoom, script: string, step: Record<string, unknown> = {}): Promise<Run> {
  count += 1
  const name = `work-${count}`
  const cmd = ['/bin/sh', '-c', script]
  await room.execution.addPipeline(name, {
    steps: [{ name, tool: 'shell', cmd, output_dataset: 'out', ...step }],
  })
  const { id } = await room.execution.submit(name)
  return withDeadline(room.execution.finished(id), 30_000, `Run ${id}`)
}

async function logOf(room: ExecutionRoom, run: Run): Promise<string> {
  let text = ''
  for await (const piece of room.execution.logs(run.id)) text += piece
  return text
}

async function messageOf(room: ExecutionRoom, run: Run): Promise<string> {
  const repository = await room.datasets.repository('out')
  return (await repository.readCommit(run.steps[0]?.outputCommit ?? '')).message
}

/** A listener of this machine, and the command by which a tool reaches it. */
async function listening(): Promise<{ reach: string; close: () => void }> {
  const server = createServer((socket) => socket.end('reached\n'))
  await new Promise<void>((resolve) => server.listen(0, '0.0.0.0', resolve))
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  return {
    reach: `nc -w 1 127.0.0.1 ${port} </dev/null 2>/dev/null || echo nothing`,
    close: () => server.close(),
  }
}

test('a tool reaches no network, no socket, no path and no device of the machine, and gains no right', async () => {
  const { reach, close } = await listening()
  const script = [
    reach,
    'ip -o addr | grep -v "lo " || echo only itself',
    '[ -e /var/run/docker.sock ] || echo no socket',
    `[ -e ${base} ] || echo no path`,
    'ls /dev | grep -E "^(sd|vd|nvme|mem|kmsg)" || echo no device',
    'for dir in / /etc /bin /usr/src/app; do touch $dir/x 2>/dev/null && echo wrote $dir; done',
    'grep -q "^[^ ]* / [^ ]* ro" /proc/mounts && echo read-only',
    'mount -t tmpfs none /tmp 2>/dev/null || echo no mount; chroot / true 2>/dev/null || echo no chroot',
    'id -u; grep -E "^(CapEff|NoNewPrivs)" /proc/self/status | tr -d "\\t"',
  ]
  const run = await ran(strict, script.join('\n'))
  close()
  assert.equal(run.state, 'succeeded', run.reason)
  assert.deepEqual((await logOf(strict, run)).trimEnd().split('\n'), [
    ...['nothing', 'only itself', 'no socket', 'no path', 'no device', 'read-only', 'no mount', 'no chroot'],
    ...['65534', 'CapEff:0000000000000000', 'NoNewPrivs:1'],
  ])
})

test('what is not granted is refused before anything is done, by the name of the setting', async () => {
  const asked: [Record<string, unknown>, RegExp][] = [
    [{ network: 'host' }, /execution\.hostNetworkGranted/],
    [{ root: 'writable' }, /execution\.writableRootGranted/],
    [{ docker_socket: true }, /execution\.dockerSocketGranted/],
    [{ resources: { memoryBytes: 65 * MIB } }, /at most 67108864 \(setting execution\.memoryBytes/],
  ]
  for (const [step, reason] of asked) {
    const run = await ran(strict, 'echo must not run', step)
    assert.deepEqual([run.state, run.code], ['rejected', 'FORBIDDEN'], run.reason)
    assert.match(run.reason ?? '', reason)
    assert.deepEqual(
      run.transitions.map(({ state }) => state),
      ['queued', 'rejected'],
    )
  }
})

test('what the operator grants is there where a step asks for it, and stands in the run and in the commit', async () => {
  const { reach, close } = await listening()
  const script = `${reach}; grep -q "^[^ ]* / [^ ]* rw" /proc/mounts && echo root can be written; echo $MAO_RUN_ID > data/run`
  const asking = await ran(granting, script, { network: 'host', root: 'writable', tool: 'shell' })
  const silent = await ran(granting, script)
  close()
  assert.equal(asking.state, 'succeeded', asking.reason)
  assert.equal(silent.state, 'succeeded', silent.reason)
  assert.match(await logOf(granting, asking), /^reached\nroot can be written\n$/)
  assert.equal(await logOf(granting, silent), 'nothing\n')
  const shown = asking.steps[0]?.granted
  assert.deepEqual([shown?.network, shown?.root], ['host', 'writable'])
  const said = await messageOf(granting, asking)
  for (const trailer of ['Network: host', 'Root: writable', 'User: 65534:65534', `Memory-Bytes: ${64 * MIB}`])
    assert.match(said, new RegExp(`^${trailer}$`, 'm'))
  assert.match(await messageOf(granting, silent), /^Network: none$/m)
})

test('a device is there for the step that asks for one, while it is set apart for its run', async () => {
  const look = `ls ${DEVICE} 2>/dev/null || echo no device; date +%N > data/time`
  const asking = await ran(granting, look, { resources: { gpus: 1 } })
  assert.equal(asking.state, 'succeeded', asking.reason)
  assert.equal(await logOf(granting, asking), `${DEVICE}\n`)
  assert.deepEqual(asking.steps[0]?.granted?.devices, [DEVICE])
  assert.match(await messageOf(granting, asking), new RegExp(`^Devices: ${DEVICE}$`, 'm'))
  assert.equal(await logOf(granting, await ran(granting, look)), 'no device\n')
})

test('a step gets as little as it asks for: memory, processes, output and time', async () => {
  const little = { memoryBytes: 16 * MIB, pids: 8, cpus: 0.5, diskBytes: MIB }
  const shown = 'cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/pids.max 2>/dev/null'
  const old = 'cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/pids/pids.max'
  const run = await ran(strict, `${shown} || ${old}`, { resources: little, timeoutMs: 5_000 })
  assert.equal(await logOf(strict, run), `${16 * MIB}\n8\n`)
  assert.equal(run.steps[0]?.granted?.timeoutMs, 5_000)

  const hungry = await ran(strict, 'dd if=/dev/zero of=/dev/null bs=32M count=1', { resources: little })
  assert.equal(hungry.state, 'oom-killed', `twice the memory: ${hungry.reason}`)
  const filling = await ran(strict, 'head -c 2000000 /dev/zero > data/big', { resources: little })
  assert.deepEqual([filling.state, filling.code], ['failed', 'TOO_LARGE'], filling.reason)
  assert.match(filling.reason ?? '', /more than 1048576 bytes.*resources\.diskBytes/)
  const sleeping = await ran(strict, 'sleep 60', { timeoutMs: 1_000 })
  assert.equal(sleeping.state, 'timed-out')
  for (const { id } of [hungry, filling, sleeping])
    assert.deepEqual(await containersLabelled('mao.run', id), [])
})

test("an image's own user owns its output, and the node commits and removes what that user shut away", async () => {
  const script = [
    'id -u; stat -c %u:%g data; umask 077; mkdir data/shut; echo kept > data/shut/file',
    'chmod 400 data/shut/file; chmod 500 data/shut',
  ].join('\n')
  const first = await ran(strict, script, { name: 'numbered', tool: 'numbered' })
  assert.equal(first.state, 'succeeded', first.reason)
  assert.equal(await logOf(strict, first), '1234\n1234:4321\n')
  assert.equal(first.steps[0]?.granted?.user, '1234:4321')
  assert.match(await messageOf(strict, first), /^User: 1234:4321$/m)
  assert.deepEqual(await readdir(join(base, 'strict/staging')), [])
  const again = await ran(strict, 'cat data/shut/file; echo more >> data/shut/file', {
    ...{ name: 'numbered', tool: 'numbered' },
  })
  assert.equal(again.state, 'succeeded', again.reason)
  assert.equal(await logOf(strict, again), 'kept\n')
  assert.equal((await stat(join(base, 'strict/staging'))).uid, process.getuid?.())
})

test('an image gets neither root by another name nor, by its volumes, a disk without a bound', async () => {
  const fill = 'head -c 100000000 /dev/zero > /scratch/fill; echo filled $?; stat -c %s /scratch/fill'
  const look =
    'exec 2>&1; id -u; id -g; grep " /scratch " /proc/mounts; cp /bin/busybox /scratch/b; /scratch/b true'
  const run = await ran(strict, `${look}; ${fill}`, { tool: 'spelt', resources: { memoryBytes: 48 * MIB } })
  const [uid, gid, mount = '', ...rest] = (await logOf(strict, run)).trimEnd().split('\n')
  assert.deepEqual([uid, gid, run.steps[0]?.granted?.user], ['65534', '65534', '65534:65534'])
  assert.match(mount, /^tmpfs \/scratch tmpfs rw,nosuid,nodev,noexec.*size=24576k/)
  assert.match(rest.join(' '), /Permission denied.*filled 1 \d{7,8}$/)
  assert.ok(Number(rest.at(-1)) < 24 * MIB, rest.at(-1))
})
