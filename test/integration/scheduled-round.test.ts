import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { Node } from '../../src/node.ts'
import { eventually } from '../support/eventually.ts'
import { startTestNode } from '../support/quiet-node.ts'
import { BUSYBOX, containersLabelled, testImage } from '../support/test-images.ts'

/** Every fifteen seconds, so that a test can wait for it. */
const CRON = '*/15 * * * * *'
const MEASURE = 'echo "measured for $MAO_SLOT" > data/measured-$MAO_SLOT.txt'

const peers: string[] = []
before(() => testImage())
after(async () => {
  for (const peer of peers)
    assert.deepEqual(await containersLabelled('mao.node', peer), [], 'containers are left')
})

test('a schedule runs on every member, and the results are voted on by themselves', {
  timeout: 150_000,
}, async (t) => {
  const [alice, bob, carol] = await Promise.all(
    ['alice', 'bob', 'carol'].map((name) => startTestNode(t, name)),
  )
  assert(alice && bob && carol)
  const nodes: Node[] = [alice, bob, carol]
  peers.push(...nodes.map((node) => node.peerId))
  await alice.createFederation({ name: 'nightly' })
  for (const node of [bob, carol]) await node.join((await alice.invite()).token)
  await eventually(
    () => nodes.every((node) => node.federation.members.list().length === 3),
    'the members never knew each other',
  )
  const { datasets, execution } = alice.federation
  await datasets.add('results')
  await execution.addTool('shell', { image: BUSYBOX })
  const steps = [{ name: 'measure', tool: 'shell', cmd: ['sh', '-c', MEASURE], output_dataset: 'results' }]
  await execution.addPipeline('measuring', { steps })
  await execution.schedule({ pipeline: 'measuring', cron: CRON, round: { windowMs: 60_000 } })

  const truths = () =>
    Promise.all(nodes.map((node) => node.federation.datasets.truth('results').catch(() => undefined)))
  const agreed = async () => {
    const commits = await truths()
    return commits[0] !== undefined && new Set(commits).size === 1
  }
  await eventually(agreed, 'no ground truth came of the schedule', 120_000)
  await execution.unschedule('measuring')

  const truth = await carol.federation.consensus.truth('results')
  assert.equal(truth.signers.length, 3)
  assert.match(String(truth.round), /^results\/measure\/\d+$/)
  const slot = Number(truth.round?.split('/')[2])
  for (const node of nodes) {
    const ran = node.federation.execution
      .runs()
      .filter((run) => run.trigger.kind === 'schedule' && run.slot === slot)
    assert.deepEqual(
      ran.map((run) => run.state),
      ['succeeded'],
      `${node.name} ran once for the slot`,
    )
  }
})
