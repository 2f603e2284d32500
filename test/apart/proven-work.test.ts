import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { ReliabilityView } from '../../src/api/reliability-routes.ts'
import type { ScheduleDetails } from '../../src/api/schedule-views.ts'
import { scheduledRuns } from '../../src/bridges.ts'
import { isEnded } from '../../src/execution/runs/run.ts'
import { type Person, startPerson } from '../support/dataset-people.ts'
import { eventually } from '../support/eventually.ts'
import { BUSYBOX, containersLabelled, testImage } from '../support/test-images.ts'

/** So often that a test can wait for it. */
const CRON = '*/10 * * * * *'
const MEASURE = 'echo "measured for $MAO_SLOT" > data/measured-$MAO_SLOT.txt'
const WAIT_MS = 150_000

const peers: string[] = []
before(() => testImage())
after(async () => {
  for (const peer of peers)
    assert.deepEqual(await containersLabelled('mao.node', peer), [], 'containers are left')
})

/** The slots that a node ran. */
function ranAt({ node }: Person): number[] {
  const runs = node.federation.execution.runs().filter(({ trigger }) => trigger.kind === 'schedule')
  return runs.map(({ slot }) => slot).sort()
}

/** The slot that a node left to others last. */
function sparedAt({ node }: Person): number | undefined {
  return node.federation.execution.timetable.show('measuring').lastSpared?.slot
}

test('after two results that all agree on, one member runs a slot for three, who sign it and are told why they did not run', {
  timeout: 300_000,
}, async (t) => {
  const [alice, bob, carol] = await Promise.all(['alice', 'bob', 'carol'].map((name) => startPerson(t, name)))
  assert(alice && bob && carol)
  const people = [alice, bob, carol]
  peers.push(...people.map(({ node }) => node.peerId))
  await alice.node.createFederation({ name: 'nightly' })
  for (const { node } of [bob, carol]) await node.join((await alice.node.invite()).token)
  const known = () => people.every(({ node }) => node.federation.members.list().length === 3)
  await eventually(known, 'the members never knew each other')

  const { datasets, execution } = alice.node.federation
  await datasets.add('results')
  await datasets.edit('results', {
    truth: { all: { method: { name: 'identical' }, adaptive: { proven: 2, checks: 1_000 } } },
  })
  await execution.addTool('shell', { image: BUSYBOX })
  const steps = [{ name: 'measure', tool: 'shell', cmd: ['sh', '-c', MEASURE], output_dataset: 'results' }]
  await execution.addPipeline('measuring', { steps })
  await execution.schedule({ pipeline: 'measuring', cron: CRON, round: { windowMs: 5_000 } })

  /** Members look at a slot with what they know by then: one that held the last truth too late ran it by itself. */
  const alone = () =>
    alice.node.federation.consensus.rounds('results').find(({ state, slot, ballots }) => {
      const ran = people.filter((each) => ranAt(each).includes(slot))
      const isAlone = ballots.length === 1 && ran.length === 1
      return state === 'decided' && isAlone && people.some((each) => sparedAt(each) === slot)
    })
  await eventually(() => alone() !== undefined, 'no slot was ever run by one member alone', WAIT_MS)
  const round = alone()
  assert(round !== undefined)
  const idle = people.find((each) => sparedAt(each) === round.slot) as Person
  await execution.timetable.pause('measuring', true)
  const [ballot] = round.ballots
  assert.deepEqual(
    people.filter((person) => ranAt(person).includes(round.slot)).map(({ node }) => node.peerId),
    [ballot?.peer],
    'who handed it in has run it, and nobody else',
  )
  assert.equal(round.votes.length, 3, 'all have signed it')
  const { isSlot } = scheduledRuns(execution)
  assert.equal(isSlot?.(round), true)
  assert.equal(isSlot?.({ ...round, slot: round.slot + 1_000 }), false, 'nobody chooses a slot')
  assert.equal(isSlot?.({ ...round, step: 'another' }), false)

  const shown = await idle.told<ScheduleDetails>('schedule', 'show', 'measuring')
  assert.equal(shown.lastSpared?.kind, 'proven')
  const text = await idle.type('schedule', 'show', 'measuring')
  assert.match(text.stdout, /last left to others: .*\(proven\): (alice|bob|carol) runs it for all/)

  // What came of it is the same wherever it is asked, and says what it rests on.
  const resting = ({ node: { federation: rooms } }: Person) =>
    rooms.execution.runs().every(isEnded) &&
    rooms.consensus.rounds('results').every(({ state }) => state === 'decided' || state === 'undecided')
  const adopted = async () => {
    if (!people.every(resting)) return false
    const truths = people.map(({ node }) => node.federation.consensus.truth('results'))
    const views = await Promise.all(truths)
    return views.every((view) => view.adopted && view.commit === views[0]?.commit)
  }
  await eventually(adopted, 'not everybody holds the last result', WAIT_MS)
  const views = await Promise.all(people.map((each) => each.told<ReliabilityView>('reliability', 'list')))
  assert.deepEqual(views[1], views[0])
  assert.deepEqual(views[2], views[0])
  assert.deepEqual(
    views[0]?.members.map(({ name, counted, agreed, steps }) => [name, agreed === counted, steps.length]),
    ['alice', 'bob', 'carol'].map((name) => [name, true, 1]),
  )
  for (const { steps } of views[0]?.members ?? []) {
    const [step] = steps
    assert(step !== undefined && step.counted >= 2, 'a result of one counts for nobody')
    assert.deepEqual(step.proven, { is: true, needed: 2 })
    assert.equal(step.reliability, (step.agreed + 1) / (step.counted + 2))
  }
  const carols = await alice.type('reliability', 'show', 'carol')
  assert.match(carols.stdout, /results: +agreed in (\d+) of \1\n/)
  assert.match(carols.stdout, /results +measure +\d+ +\d+ +\d+ +\d\d\.\d % +- +yes/)
  assert.notEqual((await alice.type('reliability', 'show', 'nobody')).exit, 0)
})
