import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { trailerOf } from '../../src/execution/runs/commit-message.ts'
import { rankFor } from '../../src/execution/schedules/claims.ts'
import type { Node } from '../../src/node.ts'
import { eventually } from '../support/eventually.ts'
import { startTestNode } from '../support/quiet-node.ts'
import { BUSYBOX, containersLabelled, testImage } from '../support/test-images.ts'

const CRON = '*/3 * * * * *'
const MEASURE = 'echo "measured for $MAO_SLOT" > data/measured-$MAO_SLOT.txt'
const TAKE_OVER_MS = 5_000

const peers: string[] = []
before(() => testImage())
after(async () => {
  for (const peer of peers)
    assert.deepEqual(await containersLabelled('mao.node', peer), [], 'containers are left')
})

/** Slots of a pipeline that runs here were for, each with its state. */
const ranAt = (node: Node, pipeline: string) =>
  node.federation.execution
    .runs()
    .filter((run) => run.pipeline === pipeline && run.trigger.kind === 'schedule')
    .map(({ slot, state }) => ({ slot, state }))

/** A rule that fires at one second of the day, soon. */
function onceIn(ms: number): string {
  const at = new Date(Date.now() + ms)
  return `${at.getUTCSeconds()} ${at.getUTCMinutes()} ${at.getUTCHours()} * * *`
}

test('so many members as are wanted run each slot for the federation, and another takes over from one that is gone', {
  timeout: 120_000,
}, async (t) => {
  const nodes = await Promise.all(['alice', 'bob', 'carol'].map((name) => startTestNode(t, name)))
  const [alice, bob, carol] = nodes as [Node, Node, Node]
  peers.push(...nodes.map((node) => node.peerId))
  await alice.createFederation({ name: 'nightly' })
  for (const node of [bob, carol]) await node.join((await alice.invite()).token)
  const all = () => nodes.every((node) => node.federation.members.list().length === 3)
  await eventually(all, 'the members never knew each other')
  const { datasets, execution } = alice.federation
  await datasets.add('results')
  await execution.addTool('shell', { image: BUSYBOX })
  const step = { tool: 'shell', output_dataset: 'results' }
  await execution.addPipeline('quick', { steps: [{ name: 'measure', cmd: ['sh', '-c', MEASURE], ...step }] })
  await execution.addPipeline('twice', { steps: [{ name: 'weigh', cmd: ['sh', '-c', MEASURE], ...step }] })
  await execution.addPipeline('slow', { steps: [{ name: 'wait', cmd: ['sleep', '300'], ...step }] })
  const scope = 'once' as const

  await execution.schedule({ pipeline: 'quick', cron: CRON, scope, takeOverMs: TAKE_OVER_MS })
  const done = () =>
    nodes.flatMap((node) => ranAt(node, 'quick')).filter(({ state }) => state === 'succeeded').length
  const two = { scope: { k: 2 }, cron: onceIn(3_000) }
  await execution.schedule({ pipeline: 'twice', ...two, takeOverMs: TAKE_OVER_MS })
  const doneTwice = () =>
    nodes.filter((node) => ranAt(node, 'twice').some(({ state }) => state === 'succeeded'))
  await eventually(() => done() >= 2 && doneTwice().length >= 2, 'the slots were not run', 40_000)
  await execution.unschedule('quick')
  const [weighed] = nodes.flatMap((node) => ranAt(node, 'twice'))
  const wanted = rankFor({ pipeline: 'twice', slot: weighed?.slot ?? 0 }, peers).slice(0, 2)
  const weighers = nodes.filter((node) => ranAt(node, 'twice').length > 0).map(({ peerId }) => peerId)
  assert.deepEqual(weighers.toSorted(), wanted.toSorted(), 'the first two in rank run it, and nobody else')
  const slots = nodes.flatMap((node) => ranAt(node, 'quick')).map(({ slot }) => slot)
  assert.equal(new Set(slots).size, slots.length, `a slot was run twice: ${slots}`)
  const [slot] = slots as [number]
  const claims = () => alice.federation.registry.list(`/claims/quick/${slot}/`)
  assert.equal(claims().length, 1)
  const [claimed] = rankFor({ pipeline: 'quick', slot }, peers)
  assert.equal(claims()[0]?.author, claimed, 'it was run by the first in rank')
  const runner = nodes.find(({ peerId }) => peerId === claimed) as Node
  const run = runner.federation.execution.runs().find((each) => each.slot === slot)
  const claimNow = () => JSON.parse(Buffer.from(claims()[0]?.value ?? []).toString())
  // The word that it is done goes round after the run has ended.
  await eventually(() => claimNow().state === 'done', 'the claim was never told as done')
  const claim = claimNow()
  assert.equal(claim.run, run?.id)
  const repository = await runner.federation.datasets.repository('results')
  const { message } = await repository.readCommit(String(run?.steps[0]?.outputCommit))
  assert.equal(trailerOf(message, 'Run-Identity'), claim.identity)
  assert.equal(trailerOf(message, 'Slot'), String(slot))

  // A rule that fires once: whoever claims that slot is stopped in the middle of its run.
  const cron = onceIn(3_000)
  await execution.schedule({ pipeline: 'slow', cron, scope, takeOverMs: TAKE_OVER_MS })
  const atWork = () => nodes.filter((node) => ranAt(node, 'slow').some(({ state }) => state === 'running'))
  await eventually(() => atWork().length > 0, 'nobody ran the slot', 20_000)
  const [victim, ...others] = atWork()
  assert.deepEqual(others, [], 'one of them runs it')
  const gone = { peerId: victim?.peerId }
  await victim?.stop()
  const left = nodes.filter((node) => node !== victim)
  const [survivor] = left as [Node]
  const second = () => left.filter((node) => ranAt(node, 'slow').some(({ state }) => state === 'running'))
  await eventually(() => second().length > 0, 'nobody took over', 30_000)
  assert.equal(second().length, 1, 'one member took over')
  const [shown] = survivor.federation.execution.timetable.show('slow').slots
  assert.deepEqual(
    shown?.claims.map(({ peer }) => peer).toSorted(),
    [gone.peerId, second()[0]?.peerId].toSorted(),
  )
})
