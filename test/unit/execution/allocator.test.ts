import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type PipelineStep, parsePipeline } from '../../../src/execution/catalogue/pipeline.ts'
import type { EngineState } from '../../../src/execution/engines/engines.ts'
import {
  type AllocatorInput,
  type AllocatorLimits,
  type Allotment,
  allocate,
} from '../../../src/execution/queue/allocator.ts'
import type { Run } from '../../../src/execution/runs/run.ts'
import { advance, newRun, type RunTerms } from '../../../src/execution/runs/run-machine.ts'
import { seededRandom } from '../../support/seeded-random.ts'

const GIB = 1024 ** 3
const MINUTE = 60_000

type Asked = PipelineStep['resources']

const LIMITS: AllocatorLimits = {
  ...{ concurrency: 8, perOwner: 64, agingMs: MINUTE },
  defaults: { cpus: 1, memoryBytes: GIB, timeoutMs: 60 * MINUTE },
}

function engineOf(id: string, machine: Partial<EngineState> = {}): EngineState {
  return { id, up: true, cpus: 16, memoryBytes: 16 * GIB, diskBytes: 100 * GIB, gpus: [], ...machine }
}

/** A queued run of one step, which writes a branch of its own unless another is named. */
function runOf(
  id: string,
  p: { asks?: Asked; terms?: RunTerms; branch?: string; timeMs?: number; timeoutMs?: number } = {},
): Run {
  const { asks: resources, timeoutMs, timeMs = 0, terms = {} } = p
  const step = { name: p.branch ?? id, tool: 't', output_dataset: 'd', resources, timeoutMs }
  const { pipeline } = parsePipeline(JSON.parse(JSON.stringify([step])))
  return newRun({ id, pipeline: 'p', plan: pipeline.steps, trigger: { kind: 'request' }, timeMs, terms })
}

/** The same at work, since `timeMs`. */
function atWork(run: Run, allotted: Partial<Run['allocation']> = {}, timeMs = 0): Run {
  const allocation = { engine: 'local', cpus: 1, memoryBytes: GIB, diskBytes: 0, gpus: [], ...allotted }
  return { ...advance(run, 'pulling', timeMs), allocation }
}

function allot(
  p: Partial<Omit<AllocatorInput, 'limits'>> & { limits?: Partial<AllocatorLimits> },
): Allotment {
  const { limits, ...given } = p
  return allocate({
    ...{ engines: [engineOf('local')], active: [], queued: [], nowMs: 0 },
    ...given,
    limits: { ...LIMITS, ...limits },
  })
}

const started = ({ starts }: Allotment) => starts.map(({ run }) => run.id)
const why = ({ waits }: Allotment, id: string) => waits.get(id)?.why ?? ''

test('runs start in order of arrival, as many as there is room for, and the others say whose turn it is', () => {
  const queued = [runOf('a'), runOf('b'), runOf('c')]
  assert.deepEqual(started(allot({ queued, limits: { concurrency: 2 } })), ['a', 'b'])
  const full = allot({ queued, active: [atWork(runOf('x'))], limits: { concurrency: 1 } })
  assert.deepEqual(full.line, ['a', 'b', 'c'])
  assert.match(why(full, 'a'), /^it is next: run x is at work, and this node does one run at once/)
  assert.match(why(full, 'c'), /^its turn comes after 2 others/)
})

test('two runs never write one branch at once, and none overtakes an older one of its branch', () => {
  const queued = [runOf('a', { branch: 's' }), runOf('b', { branch: 's' }), runOf('e')]
  const behind = allot({ queued, active: [atWork(runOf('x', { branch: 's' }))] })
  assert.deepEqual(started(behind), ['e'])
  assert.match(why(behind, 'a'), /step d\/s is being written by run x/)
  assert.deepEqual(started(allot({ queued })), ['a', 'e'])
  assert.match(why(allot({ queued }), 'b'), /is being written by run a/)
})

test('a run that waits to begin a step again holds its branches, and one that has not begun does not', () => {
  const begun = { ...atWork(runOf('a', { branch: 's' })), state: 'queued' as const, notBeforeMs: 5_000 }
  const held = allot({ queued: [begun, runOf('b', { branch: 's' })] })
  assert.deepEqual(started(held), [])
  assert.match(why(held, 'a'), /1970-01-01T00:00:05Z/)
  const fresh = runOf('a', { branch: 's', terms: { notBeforeMs: 5_000 } })
  assert.deepEqual(started(allot({ queued: [fresh, runOf('b', { branch: 's' })] })), ['b'])
})

test('a run that does not fit says what is missing, and what it is that holds it', () => {
  const active = [atWork(runOf('x'), { memoryBytes: 14 * GIB })]
  const queued = [runOf('big', { asks: { memoryBytes: 8 * GIB } })]
  assert.equal(
    why(allot({ queued, active }), 'big'),
    'waits for 8 GiB of memory: 2 GiB of memory of 16 GiB of memory free on local while run x is at work',
  )
})

test('what no engine has can never run, what a silent engine has waits for it', () => {
  const queued = [runOf('g', { asks: { gpus: 2 } })]
  const never = allot({ queued })
  assert.equal(never.waits.get('g')?.kind, 'never')
  assert.match(why(never, 'g'), /asks for 2 GPUs, and the engines of this node have at most 0 GPUs/)
  const far = engineOf('far', { up: false, problem: 'no route to it', gpus: ['/dev/a', '/dev/b'] })
  const silent = allot({ queued, engines: [engineOf('local'), far] })
  assert.equal(silent.waits.get('g')?.kind, 'engine')
  assert.match(why(silent, 'g'), /engine far does not answer: no route to it/)
})

test('devices are given one by one, and left to those who ask for them', () => {
  const engines = [engineOf('local', { gpus: ['/dev/a', '/dev/b', '/dev/c'] }), engineOf('plain')]
  const queued = [runOf('p'), runOf('q', { asks: { gpus: 2 } }), runOf('r', { asks: { gpus: 1 } })]
  const { starts } = allot({ queued, engines })
  const given = starts.map(({ run, allocation }) => [run.id, allocation.engine, ...allocation.gpus])
  assert.deepEqual(given, [
    ['p', 'plain'],
    ['q', 'local', '/dev/a', '/dev/b'],
    ['r', 'local', '/dev/c'],
  ])
})

test('small runs fill the gaps before a large one that waits, and never keep it waiting', () => {
  const large = runOf('large', { asks: { memoryBytes: 12 * GIB } })
  const active = [atWork(runOf('x', { timeoutMs: 30 * MINUTE }), { memoryBytes: 10 * GIB })]
  const long = runOf('long', { asks: { memoryBytes: 5 * GIB }, timeoutMs: 50 * MINUTE })
  const short = runOf('short', { asks: { memoryBytes: 5 * GIB }, timeoutMs: 20 * MINUTE })
  const slim = runOf('slim', { asks: { memoryBytes: GIB }, timeoutMs: 50 * MINUTE })
  const after = (run: Run) => allot({ active, queued: [large, { ...run, id: `z-${run.id}` }] })
  assert.deepEqual(started(after(long)), [])
  assert.match(why(after(long), 'z-long'), /would delay run large, for which local is kept .*T00:30:00Z/)
  assert.deepEqual(started(after(short)), ['z-short'])
  assert.deepEqual(started(after(slim)), ['z-slim'])
})

test('a higher priority goes first; that of another member moves its own runs alone', () => {
  const line = (...queued: Run[]) => allot({ queued, limits: { concurrency: 1 } }).line
  assert.deepEqual(line(runOf('a'), runOf('b', { terms: { priority: 5 } })), ['b', 'a'])
  const theirs = (id: string, priority: number) => runOf(id, { terms: { owner: 'peer', priority } })
  assert.deepEqual(line(runOf('a'), theirs('b', 100)), ['a', 'b'])
  assert.deepEqual(line(theirs('a', 0), theirs('b', 100)), ['b', 'a'])
  assert.deepEqual(line(theirs('a', -5), runOf('b')), ['b', 'a'])
})

test('between owners whoever had least goes next, and a backlog keeps nobody else waiting', () => {
  const queued = ['a1', 'a2', 'a3'].map((id) => runOf(id, { terms: { owner: 'a' } }))
  queued.push(runOf('b1', { terms: { owner: 'b' } }))
  assert.deepEqual(allot({ queued, limits: { concurrency: 1 } }).line, ['a1', 'b1', 'a2', 'a3'])
  const usage = new Map([['a', { amount: 60 * MINUTE, atMs: 0 }]])
  assert.deepEqual(allot({ queued, usage, limits: { concurrency: 1 } }).line, ['b1', 'a1', 'a2', 'a3'])
  const { starts, waits } = allot({ queued, limits: { perOwner: 1 } })
  assert.deepEqual(
    starts.map(({ run }) => run.id),
    ['a1', 'b1'],
  )
  assert.equal(waits.get('a2')?.kind, 'owner')
})

test('waiting raises a priority, up to the highest that anybody asks for', () => {
  const old = runOf('a', { terms: { priority: -50 } })
  const fresh = runOf('b', { timeMs: 60 * MINUTE })
  const line = (nowMs: number, other: Run) =>
    allot({ queued: [old, other], nowMs, limits: { concurrency: 1 } }).line
  assert.deepEqual(line(20 * MINUTE, runOf('b')), ['a', 'b'].toReversed())
  assert.deepEqual(line(60 * MINUTE, fresh), ['a', 'b'])
})

const SEEDS = Number(process.env.MAO_TEST_SEED ?? 0) || 0

/** Random runs on random engines, until all have ended; every allotment on the way is looked at. */
function simulate(seed: number): void {
  const random = seededRandom(seed)
  const upTo = (most: number) => Math.floor(random() * (most + 1))
  const engines = Array.from({ length: 1 + upTo(2) }, (_, index) => {
    const gpus = Array.from({ length: upTo(3) }, (_each, device) => `/dev/gpu${device}`)
    return engineOf(`e${index}`, { cpus: 1 + upTo(7), memoryBytes: (2 + upTo(14)) * GIB, gpus })
  })
  const limits = { ...LIMITS, concurrency: 1 + upTo(5), perOwner: 1 + upTo(3) }
  let [nowMs, made, looks] = [0, 0, 0]
  let [queued, active]: [Run[], Run[]] = [[], []]
  const ends = new Map<string, number>()
  const [total, ended] = [40, new Set<string>()]
  const newcomer = () => {
    made += 1
    const asks = {
      cpus: 0.5 + upTo(6),
      memoryBytes: (1 + upTo(12)) * GIB,
      gpus: upTo(9) === 0 ? 1 + upTo(1) : 0,
    }
    const terms = {
      owner: ['node', 'p', 'q'][upTo(2)] as string,
      priority: upTo(9) === 0 ? upTo(200) - 100 : 0,
    }
    const timeoutMs = (1 + upTo(30)) * MINUTE
    const branch = `s${upTo(12)}`
    return runOf(String(made).padStart(4, '0'), { asks, terms, branch, timeoutMs, timeMs: nowMs })
  }
  while (ended.size < total) {
    looks += 1
    assert.ok(looks < 10_000, 'the simulation never ended: a run starves')
    // Half of the runs come at once, and the others while those are at work.
    while (made < total && (made < total / 2 || upTo(3) === 0)) queued.push(newcomer())
    const input = { engines, active, queued, limits, nowMs }
    const result = allocate(input)
    const shuffled = allocate({ ...input, queued: queued.toSorted(() => random() - 0.5) })
    assert.deepEqual(shuffled.starts, result.starts, 'the order in which runs are given matters')
    assert.deepEqual(shuffled.waits, result.waits)
    check(input, result)
    for (const { run, allocation } of result.starts) {
      active.push(atWork(run, allocation, nowMs))
      ends.set(run.id, nowMs + Math.ceil(random() * (run.plan[0]?.timeoutMs ?? 0)))
    }
    const begun = new Set(result.starts.map(({ run }) => run.id))
    const hopeless = queued.filter(({ id }) => result.waits.get(id)?.kind === 'never')
    for (const { id } of hopeless) ended.add(id)
    queued = queued.filter((run) => !begun.has(run.id) && !hopeless.includes(run))
    nowMs = active.length === 0 ? nowMs + MINUTE : Math.min(...active.map(({ id }) => ends.get(id) ?? 0))
    for (const { id } of active.filter((run) => (ends.get(run.id) ?? 0) <= nowMs)) ended.add(id)
    active = active.filter(({ id }) => !ended.has(id))
  }
}

/** Nothing is given twice, everybody is told, and nothing stands idle that the first in line could use. */
function check(
  { engines, active, queued, limits }: AllocatorInput,
  { starts, waits, line }: Allotment,
): void {
  const given = [...active.map(({ allocation }) => allocation), ...starts.map(({ allocation }) => allocation)]
  for (const engine of engines) {
    const here = given.filter((allocation) => allocation?.engine === engine.id)
    const sum = (of: 'cpus' | 'memoryBytes') => here.reduce((all, each) => all + (each?.[of] ?? 0), 0)
    assert.ok(sum('cpus') <= engine.cpus + 1e-6, `${engine.id} gives more processors than it has`)
    assert.ok(sum('memoryBytes') <= engine.memoryBytes, `${engine.id} gives more memory than it has`)
    const devices = here.flatMap((allocation) => allocation?.gpus ?? [])
    assert.equal(new Set(devices).size, devices.length, 'a device was given twice')
    for (const device of devices) assert.ok(engine.gpus.includes(device))
  }
  assert.ok(given.length <= limits.concurrency)
  assert.equal(starts.length + waits.size, queued.length)
  assert.equal(line.length, queued.length)
  const writers = [...active, ...starts.map(({ run }) => run)].map(({ plan }) => plan[0]?.name)
  assert.equal(new Set(writers).size, writers.length, 'two runs write one branch')
  // Where nothing is at work, whatever can run at all does.
  const able = queued.some(({ id }) => waits.get(id)?.kind !== 'never')
  if (given.length === 0) assert.equal(able, false, 'everything is free and nothing starts')
  // The first in line waits for nothing but what is really not there.
  const first = line.slice(starts.length).find((id) => waits.get(id)?.kind !== 'never')
  if (first !== undefined) {
    assert.doesNotMatch(waits.get(first)?.why ?? '', /would delay/, 'the first in line makes room for nobody')
  }
}

test('whatever comes, nothing is given twice, nothing usable stands idle, and every run has its turn', () => {
  for (let seed = SEEDS; seed < SEEDS + 60; seed += 1) {
    try {
      simulate(seed)
    } catch (cause) {
      throw new Error(`MAO_TEST_SEED=${seed}: ${cause instanceof Error ? cause.message : cause}`, { cause })
    }
  }
})

test('a large run has its turn while small ones come without end', () => {
  const large = runOf('0000', { asks: { memoryBytes: 16 * GIB } })
  let [active, nowMs, count]: [Run[], number, number] = [[], 0, 0]
  const small = () => {
    count += 1
    const terms = { owner: `p${count % 5}` }
    return runOf(String(count).padStart(4, '0'), { terms, timeoutMs: 10 * MINUTE, timeMs: nowMs })
  }
  active = [small(), small(), small()].map((run) => atWork(run, {}, 0))
  let usage = new Map([['node', { amount: 600 * MINUTE, atMs: 0 }]])
  for (let look = 0; look < 2_000; look += 1) {
    const queued = [large, small(), small()]
    const { starts } = allot({ active, queued, nowMs, usage, limits: { concurrency: 4 } })
    if (starts.some(({ run }) => run === large)) return
    for (const { run, allocation } of starts) active.push(atWork(run, allocation, nowMs))
    nowMs += 3 * MINUTE
    const [oldest, ...rest] = active
    active = rest
    const owner = oldest?.owner ?? 'node'
    const had = usage.get(owner)?.amount ?? 0
    usage = new Map(usage).set(owner, { amount: had + MINUTE, atMs: nowMs })
  }
  assert.fail('the large run starves')
})
