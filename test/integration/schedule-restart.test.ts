import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { identityOf } from '../../src/execution/runs/run.ts'
import { claimSchema } from '../../src/execution/schedules/claim.ts'
import { decodeJson } from '../../src/registry/collection.ts'
import { eventually } from '../support/eventually.ts'
import { type ExecutionRoom, openExecutionRoom } from '../support/execution-room.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { BUSYBOX, containersLabelled, testImage } from '../support/test-images.ts'

let peer = ''
before(() => testImage())
after(async () => assert.deepEqual(await containersLabelled('mao.node', peer), [], 'containers are left'))

const claimOf = ({ registry }: ExecutionRoom, slot: number) => {
  const entry = registry.get(`/claims/work/${slot}/${peer}`)
  return entry === undefined ? undefined : claimSchema.parse(decodeJson(entry.value))
}

test('a node that comes back goes on with the slot that it had claimed, under the same identity', {
  timeout: 60_000,
}, async (t) => {
  const directory = join(await temporaryDirectory(t), 'node')
  const room = await openExecutionRoom(directory)
  peer = room.peer
  let stopped = false
  t.after(async () => stopped || (await room.stop()))
  await room.datasets.add('results')
  await room.execution.addTool('shell', { image: BUSYBOX })
  // The first time it takes for ever, as long as the node lives; the second time there is a mark from outside.
  const script = 'if [ -n "$SECOND" ]; then date > data/done; else sleep 300; fi'
  const step = { name: 'wait', tool: 'shell', cmd: ['sh', '-c', script], output_dataset: 'results' }
  await room.execution.addPipeline('work', { steps: [step] })
  await room.execution.schedule({ pipeline: 'work', cron: '*/2 * * * * *', scope: 'once' })
  const running = () => room.execution.runs().find(({ state }) => state === 'running')
  await eventually(() => running() !== undefined, 'the slot was not run')
  await room.execution.timetable.pause('work', true)
  const first = running()
  assert(first !== undefined)
  const { slot } = first
  await eventually(() => claimOf(room, slot)?.state === 'running', 'the claim does not say so')
  const before = claimOf(room, slot)
  assert.equal(before?.identity, identityOf(first))
  await room.stop()
  stopped = true

  const environment = { shell: { SECOND: 'yes' } }
  const again = await openExecutionRoom(directory, { settings: { environment } })
  t.after(() => again.stop())
  await eventually(() => claimOf(again, slot)?.state === 'done', 'the slot was not run to its end')
  const after = claimOf(again, slot)
  assert.equal(after?.identity, before?.identity, 'the repetition stands for the same')
  const runs = again.execution.runs().filter((run) => run.slot === slot)
  assert.deepEqual(
    runs.map(({ state, trigger }) => [state, trigger.kind]),
    [
      ['lost', 'schedule'],
      ['succeeded', 'repeat'],
    ],
  )
  assert.equal(after?.run, runs[1]?.id)
  const [shown] = again.execution.timetable.show('work').slots.filter((each) => each.slot === slot)
  assert.deepEqual(
    shown?.claims.map(({ state, counts }) => [state, counts]),
    [['done', true]],
  )
})
