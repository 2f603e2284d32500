import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { isNodeError } from '../../src/base/errors.ts'
import type {
  ContainerEnd,
  ContainerEngine,
  ContainerSpec,
  EngineImage,
} from '../../src/execution/engines/engine.ts'
import { BUSYBOX } from './test-images.ts'

export const LABEL = 'mao-test.engine'
export const MIB = 1024 ** 2
export const mark = `${process.pid}-${Date.now()}`

/** One engine under the contract. */
export interface EngineUnderTest {
  readonly engine: ContainerEngine
  /** The docker program, talking to it. */
  docker(...words: string[]): Promise<string>
}

let count = 0
/** A specification of nothing but the box. */
export function specOf(
  image: EngineImage,
  command: readonly string[] | null,
  more: Partial<ContainerSpec> = {},
) {
  count += 1
  const spec: ContainerSpec = {
    name: `mao-test-${mark}-${count}`,
    imageId: image.id,
    command,
    environment: {},
    labels: { [LABEL]: mark },
    mounts: [],
    user: '65534:65534',
    memoryBytes: 64 * MIB,
    cpus: 1,
    pids: 64,
    groups: [],
    network: 'none',
    rootReadOnly: true,
    devices: [],
    ...more,
  }
  return spec
}

export interface Ran extends ContainerEnd {
  out: string
  err: string
}

/** Runs a container to its end, within 20 s, and removes it whatever becomes of it. */
export async function runOn(engine: ContainerEngine, spec: ContainerSpec): Promise<Ran> {
  const id = await engine.create(spec)
  try {
    const text = { stdout: '', stderr: '' }
    await engine.start(id, async (stream, bytes) => {
      text[stream] += Buffer.from(bytes).toString()
    })
    const end = await engine.wait(id, AbortSignal.timeout(20_000))
    return { ...end, out: text.stdout, err: text.stderr }
  } finally {
    await engine.remove(id)
  }
}

export const shell = (script: string) => ['/bin/sh', '-c', script]

/** What every engine does, whatever it is made of. */
export function engineContract(name: string, open: () => Promise<EngineUnderTest>): void {
  describe(name, () => {
    let engine: ContainerEngine
    let docker: EngineUnderTest['docker']
    let image: EngineImage
    let directory: string

    before(async () => {
      ;({ engine, docker } = await open())
      image = await engine.image(BUSYBOX, AbortSignal.timeout(10_000))
      directory = await mkdtemp(join(tmpdir(), 'mao-engine-'))
    })
    after(async () => {
      for (const id of await engine.find(LABEL, mark)) await engine.remove(id)
      const left = await docker('ps', '--all', '--quiet', '--filter', `label=${LABEL}=${mark}`)
      assert.equal(left, '', 'containers are left')
      assert.equal(await docker('volume', 'ls', '--quiet', '--filter', `label=${LABEL}=${mark}`), '')
      await rm(directory, { recursive: true, force: true })
    })
    const spec = (command: readonly string[] | null, more?: Partial<ContainerSpec>) =>
      specOf(image, command, more)
    const ran = (command: readonly string[], more?: Partial<ContainerSpec>) =>
      runOn(engine, spec(command, more))

    test('a container runs, both its outputs are heard apart, and its exit code is kept', async () => {
      const end = await ran(shell('echo out; echo err >&2; exit 7'))
      assert.deepEqual(end, { exitCode: 7, oomKilled: false, out: 'out\n', err: 'err\n' })
    })

    test('what labels and volumes its image has gives no right over other containers, and no disk', async () => {
      const [other, free] = [`mao-test-${mark}-other`, `not-of-mao-${mark}`]
      const labelled = `mao-test/labelled-${mark}:1`
      const labels = [`LABEL mao.files-of=${other} ${LABEL}=${mark}`]
      for (const container of [other, free]) {
        await docker('create', '--name', container, '--network', 'none', BUSYBOX, 'true')
      }
      try {
        await docker('commit', '--change', labels.join('\n'), other, labelled)
        await docker('rm', free)
        await docker('create', '--name', free, '--network', 'none', labelled, 'true')
        const own = await engine.image(labelled, AbortSignal.timeout(10_000))
        const look = shell(
          'grep " /scratch " /proc/mounts; head -c 100000000 /dev/zero > /scratch/x || echo full',
        )
        const { out } = await runOn(engine, specOf(own, look, { volumes: ['/scratch', '/tmp'] }))
        assert.match(out, /^tmpfs \/scratch tmpfs rw,nosuid,nodev,noexec.*size=32768k.*\nfull\n$/)
        assert.match(await docker('ps', '--all', '--format', '{{.Names}}'), new RegExp(`^${other}$`, 'm'))
        assert.deepEqual(await engine.find(LABEL, mark), [])
      } finally {
        await docker('rm', '--force', other, free)
        await docker('image', 'rm', labelled)
      }
    })

    test('what it is given is there, and no more', async () => {
      const [input, data] = [join(directory, 'in'), join(directory, 'out')]
      await mkdir(input)
      await mkdir(data, { mode: 0o777 })
      await writeFile(join(input, 'a'), 'given')
      await writeFile(join(data, 'raw'), 'taken away where it is seen a second time')
      const mounts = [
        { source: input, target: '/usr/src/app/input', readOnly: true },
        { source: data, target: '/usr/src/app/data', readOnly: false },
        { source: data, target: '/data/outputs', readOnly: false },
      ]
      // The directory is made under this process's umask.
      const { exitCode, out } = await ran(
        shell(
          'id -u; echo $WORD; cat input/a; echo; cp input/a data/b && echo copied; touch input/x || echo read only; rm /data/outputs/raw',
        ),
        { mounts, environment: { WORD: 'two words' }, user: '0:0' },
      )
      assert.equal(exitCode, 0)
      assert.equal(out, '0\ntwo words\ngiven\ncopied\nread only\n')
      assert.equal(await readFile(join(data, 'b'), 'utf8'), 'given')
      await assert.rejects(readFile(join(data, 'raw')), { code: 'ENOENT' })
    })

    test('the box is closed: no root file system, no capability, no network, but a /tmp', async () => {
      const { out } = await ran(
        shell(
          'touch /file || echo read only; echo x > /tmp/x && echo tmp; grep -E "CapEff|CapBnd|NoNewPrivs" /proc/self/status; ls /sys/class/net; ls /var/run/docker.sock || echo no socket',
        ),
      )
      assert.match(out, /^read only\ntmp\n/)
      assert.match(out, /CapEff:\s+0000000000000000/)
      assert.match(out, /CapBnd:\s+0000000000000000/)
      assert.match(out, /NoNewPrivs:\s+1/)
      assert.match(out, /\nlo\nno socket\n$/)
    })

    test('a container cannot reach the network, not even this machine', async () => {
      const { out } = await ran(
        shell(
          'wget -T 2 -q -O - http://172.17.0.1:1/ || echo unreachable; ping -c 1 -W 1 1.1.1.1 > /dev/null || echo silent',
        ),
      )
      assert.equal(out, 'unreachable\nsilent\n')
    })

    test('a process beyond the memory limit is killed and named', async () => {
      const first = await ran(shell('exec tail /dev/zero'), { memoryBytes: 16 * MIB })
      assert.deepEqual([first.exitCode, first.oomKilled], [137, true])
      // A moment more: of what ends at once, Docker may not hear why.
      const child = await ran(shell('tail /dev/zero; sleep 0.2; exit 0'), { memoryBytes: 16 * MIB })
      assert.deepEqual([child.exitCode, child.oomKilled], [0, true])
    })

    /** Passes some time without a new process, which there is no room for. */
    const COUNT = 'n=0; while [ $n -lt 300000 ]; do n=$((n+1)); done'

    test('a fork bomb meets its limit and the machine does not', async () => {
      const { out, err } = await ran(shell(`bomb() { bomb | bomb & }; (bomb) & ${COUNT}; echo still here`), {
        pids: 24,
      })
      assert.match(err, /can't fork/)
      assert.equal(out, 'still here\n')
    })

    test('a killed container ends, and killing or removing what is gone is no error', async () => {
      const id = await engine.create(spec(shell('sleep 60')))
      await engine.start(id, async () => undefined)
      const waiting = engine.wait(id, AbortSignal.timeout(20_000))
      await engine.kill(id)
      assert.equal((await waiting).exitCode, 137)
      await engine.kill(id)
      await engine.remove(id)
      await engine.remove(id)
      await engine.kill(id)
    })

    test('waiting can be given up; the container does not notice', async () => {
      const id = await engine.create(spec(shell('sleep 60')))
      await engine.start(id, async () => undefined)
      await assert.rejects(engine.wait(id, AbortSignal.abort(new Error('enough'))), /enough/)
      await engine.remove(id)
    })

    test('a command that is not in the image does not start', async () => {
      const id = await engine.create(spec(['/bin/nope']))
      await assert.rejects(
        engine.start(id, async () => undefined),
        (error: Error) => {
          return isNodeError(error, 'INVALID_INPUT') && /does not start: .*\/bin\/nope/.test(error.message)
        },
      )
      await engine.remove(id)
    })

    test('an image that is nowhere is not found, and the message says what to do', async () => {
      const missing = engine.image('mao-test/there-is-no-such:1', AbortSignal.timeout(30_000))
      await assert.rejects(missing, (error: Error) => {
        return (
          isNodeError(error, 'IMAGE_NOT_FOUND') &&
          /there-is-no-such:1 is not on this machine/.test(error.message)
        )
      })
    })

    test('an image made here is known by its own id, under every name', async () => {
      assert.match(image.digest, /^sha256:[0-9a-f]{64}$/)
      const other = `mao-test/other-${mark}:latest`
      await docker('tag', BUSYBOX, other)
      try {
        const named = await engine.image(`mao-test/other-${mark}`, AbortSignal.timeout(10_000))
        assert.deepEqual(named, image)
      } finally {
        await docker('image', 'rm', '--force', other)
      }
    })

    test('a tool that prints faster than it is read is slowed down, and nothing is lost', async () => {
      const id = await engine.create(spec(shell('head -c 20000000 /dev/zero')))
      let bytes = 0
      await engine.start(id, async (_, chunk) => {
        bytes += chunk.length
        if (bytes < 1_000_000) await new Promise((resolve) => setTimeout(resolve, 1))
      })
      await engine.wait(id, AbortSignal.timeout(20_000))
      await engine.remove(id)
      assert.equal(bytes, 20_000_000)
    })
  })
}
