import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { type Database, openDatabase } from '../../../src/base/database.ts'
import { isNodeError } from '../../../src/base/errors.ts'
import { silentLogger } from '../../../src/base/logger.ts'
import { withDeadline } from '../../../src/base/wait.ts'
import { mayReadLog, OPERATOR } from '../../../src/execution/logs/log-access.ts'
import { RunLogs } from '../../../src/execution/logs/logs.ts'
import { type LogWanted, RunReading } from '../../../src/execution/logs/run-reading.ts'
import { STAGES } from '../../../src/execution/runs/run.ts'
import { advance, endRun, finishStep, newRun, retryStep } from '../../../src/execution/runs/run-machine.ts'
import { RunStore } from '../../../src/execution/runs/run-store.ts'

let directory: string
let database: Database
let store: RunStore
let logs: RunLogs
let reading: RunReading
before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'mao-reading-'))
  database = await openDatabase(directory)
  store = new RunStore({ database, log: silentLogger })
  logs = new RunLogs(join(directory, 'runs'))
  reading = new RunReading({ store, logs })
})
after(async () => {
  await database.close()
  await rm(directory, { recursive: true, force: true })
})

async function begun(id: string, steps = ['one', 'two']): Promise<void> {
  const plan = steps.map((name) => {
    const step = { name, tool: 't', cmd: null, env: null, docker_socket: false }
    return { ...step, input_dataset: null, output_dataset: 'd' }
  })
  await store.save(newRun({ id, pipeline: 'p', plan, trigger: { kind: 'request' }, timeMs: 0 }))
}

async function moved(id: string, ...states: ('pulling' | 'staging' | 'running' | 'committing')[]) {
  for (const state of states) await store.save(advance(store.get(id), state, 1))
}

/** A step from its beginning to its end, which prints `text` in its algorithm. */
async function step(id: string, name: string, text: string): Promise<void> {
  await moved(id, 'pulling', 'staging')
  const log = await logs.open(id, name, 'algorithm', [])
  await moved(id, 'running')
  await log.write('stdout', Buffer.from(text))
  await log.close()
  await moved(id, 'committing')
  await store.save(finishStep(store.get(id), 2))
}

async function read(id: string, wanted: LogWanted = {}): Promise<string> {
  let text = ''
  for await (const piece of reading.text(id, wanted)) text += piece
  return text
}

test('the logs of the steps are one text, which can be read from any byte on', async () => {
  await begun('r1')
  await step('r1', 'one', 'first €\n')
  await step('r1', 'two', 'second\n')
  const whole = 'first €\nsecond\n'
  assert.deepEqual(await reading.state('r1'), { bytes: Buffer.byteLength(whole), complete: true })
  for (let from = 0; from <= Buffer.byteLength(whole) + 3; from += 1) {
    const rest: Buffer[] = []
    for await (const bytes of reading.bytes('r1', { from })) rest.push(Buffer.from(bytes))
    assert.deepEqual(Buffer.concat(rest), Buffer.from(whole).subarray(from), `from ${from}`)
  }
  assert.equal(await read('r1', { step: 'two', from: 3 }), 'ond\n')
  assert.equal(await read('r1', { stage: 'filter' }), '')
  await assert.rejects(read('r1', { step: 'three' }), (e) => isNodeError(e, 'NOT_FOUND'))
  await assert.rejects(reading.state('absent'), (e) => isNodeError(e, 'RUN_NOT_FOUND'))
})

test('a reader follows from before the first word to the end of the run, over a step that is begun again', async () => {
  await begun('r2')
  const followed = read('r2', { follow: true })
  const late = read('r2', { follow: true, from: 8 })
  const configured = read('r2', { follow: true, stage: 'configure' })
  const words = await logs.open('r2', 'one', 'configure', [])
  await words.say('an image')
  await words.close()
  await moved('r2', 'pulling', 'staging')
  const first = await logs.open('r2', 'one', 'algorithm', [])
  await moved('r2', 'running')
  await first.write('stdout', Buffer.from('half'))
  await first.close()
  await store.save(retryStep(store.get('r2'), { timeMs: 3, notBeforeMs: 4, reason: 'no engine' }))
  await step('r2', 'one', 'whole\n')
  await step('r2', 'two', 'more\n')
  await store.save(endRun(store.get('r2'), 'succeeded', { timeMs: 9 }))
  const expected = 'half[the step was begun again]\nwhole\nmore\n'
  assert.equal(await withDeadline(followed, 5_000, 'following'), expected)
  assert.equal(await withDeadline(late, 5_000, 'following from a byte'), expected.slice(8))
  assert.equal(await withDeadline(configured, 5_000, 'following the words'), 'an image\n')
})

test('a reader that leaves is let go, wherever it waits', async () => {
  await begun('r3')
  for (const open of [false, true]) {
    const log = open ? await logs.open('r3', 'one', 'algorithm', []) : undefined
    const leave = new AbortController()
    const following = read('r3', { follow: true, signal: leave.signal })
    setTimeout(() => leave.abort(), 10)
    assert.equal(await withDeadline(following, 5_000, 'leaving'), '')
    await log?.close()
  }
})

test('a run that ends in the queue ends its followers', async () => {
  await begun('r4')
  const following = read('r4', { follow: true })
  await store.save(endRun(store.get('r4'), 'cancelled', { timeMs: 1 }))
  assert.equal(await withDeadline(following, 5_000, 'following'), '')
})

test('the operator reads all logs, a member those of the tools in its own runs', () => {
  const mine = { owner: 'bob' }
  const told = (reader: string, run: { owner?: string }) =>
    STAGES.filter((stage) => mayReadLog({ reader, run, stage }))
  assert.deepEqual(told(OPERATOR, mine), [...STAGES])
  assert.deepEqual(told('bob', mine), ['algorithm', 'filter'])
  assert.deepEqual(told('carol', mine), [])
  assert.deepEqual(told('bob', {}), [], 'the runs of the node itself are the operator’s')
})
