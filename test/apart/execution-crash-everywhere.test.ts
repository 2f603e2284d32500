/**
 * A node is killed at every transition of a run, on both sides of it: the moment before the transition is stored, when
 * all that the one before it allowed has been done, and the moment after, when nothing of it has been. Real database,
 * real engine, real git. Whatever the moment, the next start comes to one truthful end.
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { cp, mkdir, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { after, before, test } from 'node:test'
import { withDeadline } from '../../src/base/wait.ts'
import { isEnded, type Run } from '../../src/execution/runs/run.ts'
import { eventually } from '../support/eventually.ts'
import { type ExecutionRoom, openExecutionRoom, shelfIn } from '../support/execution-room.ts'
import { assertLawful } from '../support/run-laws.ts'
import { BUSYBOX, containersLabelled, testImage } from '../support/test-images.ts'

const PROCESS = join(import.meta.dirname, '../support/execution-process.ts')
/** A run of one step with a filter passes them in this order; the last but one stores that the step is done. */
const PASSED = [
  ...['queued', 'pulling', 'staging', 'running', 'filtering', 'committing', 'committing', 'succeeded'],
] as const
/** Two at a time, each with a node of its own: they would clear away each other's containers. */
const LANES = 2
/** Refuses to write what is there, as a good tool does: whoever did the work twice would fail. */
const WRITE_ONCE = 'set -e; [ ! -e data/$MAO_SLOT ]; echo $MAO_SLOT > data/$MAO_SLOT'

let base: string
before(async () => {
  base = await mkdtemp(join(tmpdir(), 'mao-everywhere-'))
  await testImage()
})
after(() => rm(base, { recursive: true, force: true, maxRetries: 3 }))

function shelfOf(directory: string): string {
  return `${directory}.shelf`
}

async function prepare(directory: string): Promise<string> {
  const room = await openExecutionRoom(directory, shelfIn(shelfOf(directory)))
  await room.execution.addTool('shell', { image: BUSYBOX })
  await room.datasets.add('out')
  const cmd = ['/bin/sh', '-c', WRITE_ONCE]
  const filter = { tool: 'shell', cmd: ['true'] }
  const steps = [{ name: 'work', tool: 'shell', cmd, filter, output_dataset: 'out', publish: ['shelf'] }]
  await room.execution.addPipeline('work', { steps })
  await room.stop()
  return room.peer
}

interface Moment {
  readonly side: 'before' | 'after'
  readonly save: number
  /** The next life is killed too, on that side of its first transition, which is the recovery's. */
  readonly again?: 'before' | 'after'
}

/** What must have become of the run that was cut at that moment. */
function expected({ side, save }: Moment): string[] {
  // The last transition that is on the disk.
  const stored = side === 'after' ? save : save - 1
  if (stored === 0) return []
  if (stored === 1) return ['succeeded']
  // The commit is made once the first `committing` has been stored, and it names the run.
  const committed = stored > 6 || (stored === 6 && side === 'before')
  return committed ? ['succeeded'] : ['lost', 'succeeded']
}

async function killAt({ side, save, again }: Moment, directory: string): Promise<void> {
  await killed(`${side}:${save}`, PASSED[save - 1] ?? '', [directory, 'work'])
  if (again !== undefined) await killed(`${again}:1`, 'lost', [directory])
}

async function killed(when: string, state: string, args: readonly string[]): Promise<void> {
  const child = spawn(process.execPath, [PROCESS, ...args], {
    env: { ...process.env, MAO_TEST_KILL: when, MAO_TEST_SHELF: shelfOf(args[0] ?? '') },
    stdio: ['ignore', 'pipe', 'inherit'],
    signal: AbortSignal.timeout(60_000),
  })
  const said = await text(child.stdout)
  assert.match(said, new RegExp(`^killed ${state}$`, 'm'), `not killed at ${when}: ${said}`)
}

async function assertRecovered(room: ExecutionRoom, moment: Moment): Promise<void> {
  const { execution, datasets, peer } = room
  const where = `killed ${moment.side} ${PASSED[moment.save - 1]} (${moment.save}, ${moment.again ?? 'once'})`
  await eventually(() => execution.runs().every(isEnded), `${where}: a run did not end`, 30_000)
  const runs = execution.runs()
  const told = JSON.stringify(runs.map(({ state, reason }) => [state, reason]))
  assert.deepEqual(
    runs.map(({ state }) => state),
    expected(moment),
    `${where}: ${told}`,
  )
  for (const run of runs) assertLawful(run)
  const [first, again] = runs
  if (again !== undefined) assert.deepEqual(again.trigger, { kind: 'repeat', of: (first as Run).id })
  const repository = await datasets.repository('out')
  const head = await repository.resolve('work-alice')
  const commits = head === undefined ? [] : await repository.log(head, 10)
  assert.equal(commits.length, runs.length === 0 ? 0 : 1, `${where}: commits on the branch`)
  assert.deepEqual(await containersLabelled('mao.node', peer), [], `${where}: containers are left`)
}

test('killed at every transition, a run ends once, and nothing of it is done twice or left behind', {
  timeout: 240_000,
}, async () => {
  const moments = PASSED.flatMap((_, index): Moment[] => [
    { side: 'before', save: index + 1 },
    { side: 'after', save: index + 1 },
  ])
  const running = PASSED.indexOf('running') + 1
  for (const again of ['before', 'after'] as const) moments.push({ side: 'after', save: running, again })
  const lane = async (lane: number) => {
    const template = join(base, `lane-${lane}`)
    await prepare(template)
    for (;;) {
      const moment = moments.shift()
      if (moment === undefined) return
      const directory = join(base, `${moment.side}-${moment.save}-${moment.again ?? 'once'}`)
      await cp(template, directory, { recursive: true })
      await mkdir(shelfOf(directory))
      await killAt(moment, directory)
      const room = await openExecutionRoom(directory, shelfIn(shelfOf(directory)))
      try {
        await assertRecovered(room, moment)
      } finally {
        await withDeadline(room.stop(), 20_000, 'stopping')
      }
      assert.deepEqual(await readdir(join(directory, 'staging')), [], 'directories of a step are left')
      const shelved = await readdir(shelfOf(directory), { recursive: true })
      const manifests = shelved.filter((path) => path.endsWith('manifest.json'))
      assert.equal(manifests.length, expected(moment).length === 0 ? 0 : 1, `published: ${shelved}`)
    }
  }
  await Promise.all(Array.from({ length: LANES }, (_, index) => lane(index)))
})
