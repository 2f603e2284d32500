import assert from 'node:assert/strict'
import { chmod, chown, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { systemClock } from '../../../src/base/clock.ts'
import { isNodeError, NodeError } from '../../../src/base/errors.ts'
import { silentLogger } from '../../../src/base/logger.ts'
import type { DatasetView } from '../../../src/datasets/dataset-view.ts'
import type { Repository } from '../../../src/datasets/git/repository.ts'
import { advance, finishStep, newRun } from '../../../src/execution/runs/run-machine.ts'
import { type StagedDatasets, Staging } from '../../../src/execution/steps/staging.ts'
import { temporaryDirectory } from '../../support/temporary-directory.ts'

interface Shelf {
  truth?: string
  /** Branches here, and those that this node once announced. */
  held?: Record<string, string>
  announced?: Record<string, string>
}

/** Datasets whose commits hold one file, `commit`, with their own id in it. */
function datasetsOf(shelves: Record<string, Shelf>, fetched: string[] = []): StagedDatasets {
  const shelf = (name: string): Shelf => {
    const found = shelves[name]
    if (found === undefined) throw new NodeError('DATASET_NOT_FOUND', `No dataset is named ${name}`)
    return found
  }
  const repository = (name: string): Partial<Repository> => ({
    listFiles: async () => [],
    fileSizes: async () => new Map(),
    resolve: async (branch) => shelf(name).held?.[branch],
    checkout: async (commit, directory) => writeFile(join(directory, 'commit'), commit),
  })
  return {
    truth: async (name) => shelf(name).truth,
    ensureCommit: async (_, commit) => {
      fetched.push(commit)
    },
    repository: async (name) => repository(name) as Repository,
    show: async (name) => {
      const branches = Object.entries(shelf(name).announced ?? {}).map(([branch, commit]) => {
        return { branch, commit, member: 'alice', announced: true, present: false }
      })
      return { name, branches } as unknown as DatasetView
    },
  }
}

function runOf(...steps: { name: string; input?: string; output: string }[]) {
  const plan = steps.map(({ name, input = null, output }) => {
    return {
      name,
      tool: 't',
      cmd: null,
      env: null,
      docker_socket: false,
      input_dataset: input,
      output_dataset: output,
    }
  })
  return newRun({ id: 'run', pipeline: 'p', plan, trigger: { kind: 'request' }, timeMs: 1 })
}

const checkouts = {
  use: async (): Promise<never> => assert.fail('no step here has an input'),
}
const around = { checkouts, freeBytesMin: () => 0, clock: systemClock, log: silentLogger }
const never = new AbortController().signal

test('a step reads the ground truth, or what its own run has made of the dataset by then', async (t) => {
  const fetched: string[] = []
  const datasets = datasetsOf({ raw: { truth: 'agreed' }, made: { truth: 'old' } }, fetched)
  const staging = new Staging({ datasets, directory: await temporaryDirectory(t), ...around })
  let run = runOf({ name: 'a', input: 'raw', output: 'made' }, { name: 'b', input: 'made', output: 'end' })
  const input = (index: number) =>
    staging.chooseInput(run, run.steps[index] as (typeof run.steps)[number], never)
  assert.deepEqual(await input(0), { commit: 'agreed', from: 'ground-truth' })
  assert.deepEqual(fetched, ['agreed'])
  for (const state of ['pulling', 'staging', 'running', 'committing'] as const) run = advance(run, state, 2)
  run = finishStep(run, 3, { outputCommit: 'new' })
  assert.deepEqual(await input(1), { commit: 'new', from: 'this-run' })
})

test('a dataset on which nothing was agreed cannot be read yet', async (t) => {
  const staging = new Staging({
    datasets: datasetsOf({ raw: {} }),
    directory: await temporaryDirectory(t),
    ...around,
  })
  const run = runOf({ name: 'a', input: 'raw', output: 'made' })
  const [step] = run.steps
  assert.ok(step !== undefined)
  await assert.rejects(staging.chooseInput(run, step, never), (error: Error) => {
    return isNodeError(error, 'NOT_FOUND') && /raw has no ground truth yet/.test(error.message)
  })
})

test("a step goes on from its own branch, also where this node's copy was lost", async (t) => {
  const fetched: string[] = []
  const shelves = {
    here: { held: { 'a-alice': 'held' }, announced: { 'a-alice': 'older' } },
    lost: { announced: { 'a-alice': 'gone' } },
    fresh: {},
  }
  const directory = await temporaryDirectory(t)
  const staging = new Staging({ datasets: datasetsOf(shelves, fetched), directory, ...around })
  const found: Record<string, string[]> = {}
  for (const output of ['here', 'lost', 'fresh']) {
    const run = runOf({ name: 'a', output })
    const [step] = run.steps
    assert.ok(step !== undefined)
    const place = { run, step, input: undefined, branch: 'a-alice', user: '65534:65534', signal: never }
    const staged = await staging.prepare(place)
    const files = await readdir(staged.data)
    found[output] = await Promise.all(files.map((file) => readFile(join(staged.data, file), 'utf8')))
    assert.equal((await stat(join(staged.data, '..'))).mode & 0o777, 0o700)
    await staged.remove()
  }
  assert.deepEqual(found, { here: ['held'], lost: ['gone'], fresh: [] })
  assert.deepEqual(fetched, ['gone'])
  assert.deepEqual(await readdir(directory), [])
})

test('what another member asked for begins with nothing, whatever its branch holds', async (t) => {
  const shelves = { here: { held: { 'a-alice': 'held' }, announced: { 'a-alice': 'older' } } }
  const directory = await temporaryDirectory(t)
  const staging = new Staging({ datasets: datasetsOf(shelves), directory, ...around })
  const run = { ...runOf({ name: 'a', output: 'here' }), owner: 'peer01' }
  const step = run.steps[0] as (typeof run.steps)[number]
  const place = { run, step, input: undefined, branch: 'a-alice', user: '65534:65534', signal: never }
  const staged = await staging.prepare(place)
  assert.deepEqual(await readdir(staged.data), [])
  await staged.remove()
})

const NOBODY = 65_534

/** Does it as a user whom modes bind: they do not bind root. Directories made before are given to that user. */
async function asNobody<T>(directory: string, action: () => Promise<T>): Promise<T> {
  if (process.geteuid?.() !== 0) return action()
  await chown(directory, NOBODY, NOBODY)
  process.seteuid?.(NOBODY)
  try {
    return await action()
  } finally {
    process.seteuid?.(0)
  }
}

async function closedDirectories(place: string): Promise<void> {
  const deep = join(place, 'shut', 'in', 'out')
  await mkdir(deep, { recursive: true })
  await writeFile(join(deep, 'file'), 'x')
  for (const path of [deep, join(place, 'shut', 'in'), join(place, 'shut')]) await chmod(path, 0)
}

test('directories that a tool has shut behind it are removed all the same', async (t) => {
  const base = await temporaryDirectory(t)
  await asNobody(base, async () => {
    const directory = join(base, 'staging')
    const staging = new Staging({ datasets: datasetsOf({ fresh: {} }), directory, ...around })
    await staging.clear()
    const run = runOf({ name: 'a', output: 'fresh' })
    const step = run.steps[0] as (typeof run.steps)[number]
    const user = `${process.geteuid?.()}:${process.getegid?.()}`
    const staged = await staging.prepare({
      run,
      step,
      input: undefined,
      branch: 'a-alice',
      user,
      signal: never,
    })
    await closedDirectories(staged.data)
    await staged.remove()
    assert.deepEqual(await readdir(directory), [])

    // As after a crash in the middle of the step.
    await closedDirectories(directory)
    await staging.clear()
    assert.deepEqual(await readdir(directory), [])
    assert.deepEqual(await readdir(base), ['staging'])
  })
})

test('what is not to be removed is moved aside, and the node goes on', {
  skip: process.geteuid?.() !== 0,
}, async (t) => {
  const base = await temporaryDirectory(t)
  const directory = join(base, 'staging')
  const foreign = join(directory, 'of-root')
  await mkdir(join(foreign, 'file'), { recursive: true })
  await chown(directory, NOBODY, NOBODY)
  await asNobody(base, async () => {
    const staging = new Staging({ datasets: datasetsOf({}), directory, ...around })
    await staging.clear()
    assert.deepEqual(await readdir(directory), [])
    const [, aside = ''] = (await readdir(base)).sort()
    assert.match(aside, /^staging-left-\d+$/)
    assert.deepEqual(await readdir(join(base, aside)), ['of-root'])
  })
})
