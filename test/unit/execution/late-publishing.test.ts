import assert from 'node:assert/strict'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { openDatabase } from '../../../src/base/database.ts'
import { isNodeError } from '../../../src/base/errors.ts'
import { silentLogger } from '../../../src/base/logger.ts'
import { parsePipeline } from '../../../src/execution/catalogue/pipeline.ts'
import { RunLogs } from '../../../src/execution/logs/logs.ts'
import type { Destination } from '../../../src/execution/publishing/destination.ts'
import { Publications } from '../../../src/execution/publishing/publications.ts'
import { publishedBefore } from '../../../src/execution/publishing/published.ts'
import { Publishers } from '../../../src/execution/publishing/publishers.ts'
import { LatePublishing } from '../../../src/execution/runs/late-publishing.ts'
import type { StepRun } from '../../../src/execution/runs/run.ts'
import { advance, newRun } from '../../../src/execution/runs/run-machine.ts'
import { RunStore } from '../../../src/execution/runs/run-store.ts'
import { eventually } from '../../support/eventually.ts'
import { temporaryDirectory } from '../../support/temporary-directory.ts'

const NOW = 1_800_000_000_000
const clock = { now: () => NOW }

/** Runs of which a crash has left the commit and not the publication; the shelf takes it, the far one never ends. */
async function desk(t: TestContext) {
  const directory = await temporaryDirectory(t)
  const database = await openDatabase(join(directory, 'db'))
  const store = new RunStore({ database, log: silentLogger })
  const tree = join(directory, 'tree')
  await mkdir(tree)
  await writeFile(join(tree, 'out.txt'), 'the output')
  const patch = { outputCommit: 'c0ffee' }
  const ids = ['r1', 'r2']
  for (const id of ids) {
    const { pipeline } = parsePipeline([
      { name: 's', tool: 't', output_dataset: 'd', publish: ['shelf', 'far'] },
    ])
    let run = newRun({ id, pipeline: 'p', plan: pipeline.steps, trigger: { kind: 'request' }, timeMs: NOW })
    for (const state of ['pulling', 'staging', 'running', 'committing'] as const) {
      run = advance(run, state, NOW)
    }
    await store.save(run)
  }
  let waits = 0
  const destinationOf = ({ prefix }: { prefix: string }): Destination => ({
    ...{ kind: 'folder', target: prefix },
    placeOf: (name) => name,
    publish: async ({ name, signal }) => {
      if (prefix === 'far') {
        waits += 1
        await new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
      }
      return { place: name, address: `${prefix}/${name}` }
    },
    remove: async () => undefined,
  })
  const settings = { kind: 'folder', directory: '/nowhere', readBack: false, withheld: false } as const
  const publishers = new Publishers({
    ...{ clock, log: silentLogger, destinationOf, isWithheld: () => false, findRun: () => undefined },
    settings: { shelf: { ...settings, prefix: 'shelf' }, far: { ...settings, prefix: 'far' } },
    publications: new Publications({ database, directory: join(directory, 'publications') }),
    ...{ sealKey: async () => undefined, onRemoved: () => undefined },
  })
  await publishers.start()
  const late = new LatePublishing({
    recovery: { unpublished: ids.map((id) => ({ id, patch })), settled: (run) => [run] },
    ...{ store, publishers, clock, log: silentLogger, timeoutMs: 60_000 },
    checkouts: { use: async () => ({ path: tree, release: () => undefined }) } as never,
    logs: new RunLogs(join(directory, 'logs')),
    queue: { withdraw: (_, action) => action() },
  })
  t.after(async () => {
    await late.stop()
    await publishers.stop()
    await database.close()
  })
  return { store, late, publishers, tree, waiting: () => waits }
}

test('who cancels a run that is published late stops that, and what is in the world stays known', async (t) => {
  const { store, late, waiting } = await desk(t)
  await late.start()
  await eventually(() => waiting() === 1, 'the second publisher was never asked')
  assert.equal(await late.cancel('r2'), true, 'its turn had not come')
  assert.equal(await late.cancel('r1'), true)
  const told = ['r1', 'r2'].map((id) => {
    const { state, code, steps } = store.get(id)
    const [{ outputCommit, published = [] } = {} as StepRun] = steps
    return [state, code, outputCommit, published.map(({ address }) => address)]
  })
  assert.deepEqual(told, [
    ['cancelled', 'CANCELLED', 'c0ffee', ['shelf/r1/s']],
    ['cancelled', 'CANCELLED', 'c0ffee', []],
  ])
  assert.equal(await late.cancel('r1'), false)
})

test('a stop leaves what is published late to the next start', async (t) => {
  const { store, late, waiting } = await desk(t)
  await late.start()
  await eventually(() => waiting() === 1, 'the second publisher was never asked')
  await late.stop()
  assert.deepEqual([store.get('r1').state, store.get('r2').state], ['committing', 'committing'])
})

test('what a first publisher took is told also where the run ends during the second', async (t) => {
  const { store, publishers, tree: directory, waiting } = await desk(t)
  const run = store.get('r1')
  const [step] = run.steps as [StepRun]
  const cut = new AbortController()
  const names = ['shelf', 'far']
  const request = { run, step: { ...step, outputCommit: 'c0ffee' }, names, directory, signal: cut.signal }
  const publishing = publishers.publish({ ...request, say: () => undefined })
  const refused = assert.rejects(publishing, (error) => {
    assert.deepEqual(
      publishedBefore(error).map(({ publisher }) => publisher),
      ['shelf'],
    )
    return isNodeError(error, 'PUBLISH_FAILED')
  })
  await eventually(() => waiting() === 1, 'the second publisher was never asked')
  cut.abort('cancelled')
  await refused
})
