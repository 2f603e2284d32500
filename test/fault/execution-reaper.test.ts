import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { promisify } from 'node:util'
import { silentLogger } from '../../src/base/logger.ts'
import { DockerEngine } from '../../src/execution/engines/docker-engine.ts'
import { NODE_LABEL, RUN_LABEL } from '../../src/execution/engines/engine.ts'
import { Engines, LOCAL_ENGINE } from '../../src/execution/engines/engines.ts'
import { Reaper } from '../../src/execution/runs/reaper.ts'
import type { Run } from '../../src/execution/runs/run.ts'
import { advance, endRun, newRun } from '../../src/execution/runs/run-machine.ts'
import { engineDoor } from '../support/engine-door.ts'
import { eventually } from '../support/eventually.ts'
import { DOCKER_SOCKET } from '../support/execution-room.ts'
import { containersLabelled, testImage } from '../support/test-images.ts'

async function docker(args: readonly string[]): Promise<string> {
  return (await promisify(execFile)('docker', args)).stdout
}

const PEER = `peer-${process.pid}`
let base: string
let image: string
before(async () => {
  base = await mkdtemp(join(tmpdir(), 'mao-reaper-'))
  image = await testImage()
})
after(async () => {
  for (const id of await containersLabelled(NODE_LABEL, PEER)) await docker(['rm', '-f', id])
  await rm(base, { recursive: true, force: true })
})

let count = 0
/** A container as a step of `run` leaves it, by its id. */
async function left(run: string): Promise<string> {
  const labels = ['--label', `${NODE_LABEL}=${PEER}`, '--label', `${RUN_LABEL}=${run}`]
  count += 1
  return (await docker(['create', '--name', `mao-${run}-${count}`, ...labels, image, 'true'])).trim()
}

function runNamed(id: string): Run {
  const step = { name: 's', tool: 't', cmd: null, env: null, docker_socket: false }
  const plan = [{ ...step, input_dataset: null, output_dataset: 'd' }]
  return advance(newRun({ id, pipeline: 'p', plan, trigger: { kind: 'request' }, timeMs: 0 }), 'pulling', 1)
}

const on = (engine: string) => ({ engine, gpus: [], cpus: 1, memoryBytes: 1, diskBytes: 1 })

async function leftNow(): Promise<string[]> {
  return containersLabelled(NODE_LABEL, PEER)
}

test('what an earlier life left is removed from every engine, also from one that comes back later, and nothing of this life', async (t) => {
  const door = await engineDoor(t, join(base, 'far.sock'))
  await door.shut()
  const runs = [runNamed(`cut-${process.pid}`)]
  const engines = new Engines(
    new Map([
      [LOCAL_ENGINE, new DockerEngine({ socketPath: join(base, 'none.sock') })],
      ['far', new DockerEngine({ socketPath: door.socketPath })],
    ]),
  )
  const told: string[] = []
  const log = {
    ...silentLogger,
    warn: (_: unknown, text?: string) => told.push(text ?? ''),
  } as typeof silentLogger
  const reaper = new Reaper({ engines, peer: PEER, store: { list: () => runs }, intervalMs: 50, log })
  await left(`cut-${process.pid}`)
  await reaper.start()
  t.after(() => reaper.stop())
  assert.equal((await leftNow()).length, 1, 'no engine answers yet')
  // The run that was cut is told as lost by now, and another one is at work.
  const atWork: Run = { ...runNamed(`now-${process.pid}`), allocation: on('far') }
  runs.splice(0, 1, endRun(runs[0] as Run, 'lost', { timeMs: 2 }), atWork)
  const kept = await left(atWork.id)
  await door.open()
  await eventually(async () => (await leftNow()).length === 1, 'the container was not removed')
  assert.ok(kept.startsWith((await leftNow())[0] as string))
  // Tried again elsewhere, it leaves nothing here that would go on beside it.
  runs[1] = { ...atWork, allocation: on(LOCAL_ENGINE) }
  await eventually(async () => (await leftNow()).length === 0, 'the earlier try was not removed')
  runs[1] = atWork
  await left(atWork.id)
  runs[1] = endRun(atWork, 'errored', { timeMs: 3 })
  await eventually(
    async () => (await leftNow()).length === 0,
    'the other one was not removed when its run ended',
  )
  assert.equal(told.filter((text) => /may be left/.test(text)).length, 2, 'each silence is told once')
})

test('at start a container goes whatever the store says of its run, since nothing is at work yet', async (t) => {
  const runs = [runNamed(`start-${process.pid}`)]
  const engines = new Engines(new Map([[LOCAL_ENGINE, new DockerEngine({ socketPath: DOCKER_SOCKET })]]))
  const reaper = new Reaper({ engines, peer: PEER, store: { list: () => runs }, log: silentLogger })
  t.after(() => reaper.stop())
  await left(`start-${process.pid}`)
  await reaper.start()
  assert.deepEqual(await leftNow(), [])
})
