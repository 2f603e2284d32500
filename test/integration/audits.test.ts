import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { type ErrorCode, isNodeError } from '../../src/base/errors.ts'
import {
  AUDIT_WAIT_MS,
  type AuditNode,
  ended,
  joinAuditor,
  MovableClock,
  partsIn,
  restartAuditor,
  result,
  startAuditors,
} from '../support/audit-node.ts'
import { meet } from '../support/dataset-node.ts'
import { eventually } from '../support/eventually.ts'

const coded = (code: ErrorCode) => (error: unknown) => isNodeError(error, code)
const FOUND = { 'packages.csv': 'a,1\nb,2\n', 'control-1.csv': '2\n' }
const LOST = { 'packages.csv': 'a,1\n', 'extra.txt': 'mine\n' }
const MINUTE_MS = 60_000

/** The parts that are the same at all who hold the same. */
const shared = (node: AuditNode, id: string) => {
  const { report, members, next } = node.audits.show(id)
  return { report, members, next }
}

async function answeredBy(node: AuditNode, id: string, names: readonly string[]): Promise<void> {
  const have = () => {
    const audit = node.audits.list('data').find((each) => each.id === id)
    return names.every((name) => audit?.members.some((each) => each.name === name && each.part !== 'silent'))
  }
  await eventually(have, `not all of ${names.join(', ')} have answered`, AUDIT_WAIT_MS)
}

async function four(
  t: TestContext,
  clock?: MovableClock,
): Promise<[AuditNode, AuditNode, AuditNode, AuditNode]> {
  return (await startAuditors(t, ['bob', 'carol', 'dave'], clock ? { clock } : {})) as [
    AuditNode,
    AuditNode,
    AuditNode,
    AuditNode,
  ]
}

test('of five members one holds other files, one comes late and one says nothing: who differs least wins, everywhere', async (t) => {
  const clock = new MovableClock()
  const nodes = await startAuditors(t, ['bob', 'carol', 'dave', 'erin'], { clock })
  const [alice, bob, carol, dave, erin] = nodes as [AuditNode, AuditNode, AuditNode, AuditNode, AuditNode]
  for (const node of [alice, bob, dave]) await result(t, node, FOUND)
  await result(t, carol, LOST)
  for (const away of [dave, erin]) await away.audits.stop()
  const opened = await bob.audits.open('data')
  assert.equal(opened.untilMs - opened.openedMs, 10 * MINUTE_MS, 'the predecessor’s window')
  for (const node of [alice, bob, carol]) await answeredBy(node, opened.id, ['alice', 'bob', 'carol'])
  assert.equal(alice.audits.show(opened.id).state, 'open')
  clock.forward(11 * MINUTE_MS)
  await dave.audits.start()
  const view = await ended(alice, opened.id)
  await answeredBy(alice, opened.id, ['dave'])
  for (const node of [alice, bob, carol]) await ended(node, opened.id)
  assert.deepEqual(partsIn(alice.audits.show(opened.id)), {
    ...{ alice: 'candidate', bob: 'candidate', carol: 'candidate' },
    ...{ dave: 'late', erin: 'silent' },
  })
  const { report } = view
  assert.equal(report?.outcome, 'winner')
  const scores = report?.members.map(({ name, strangeness, wins }) => [name, strangeness, wins])
  assert.deepEqual(Object.fromEntries((scores ?? []).map(([name, ...rest]) => [name, rest])), {
    ...{ alice: [3, true], bob: [3, true], carol: [6, false] },
    ...{ dave: [undefined, undefined], erin: [undefined, undefined] },
  })
  const [winning, other] = report?.groups ?? []
  assert.deepEqual(winning?.peers.map(({ name, branch }) => [name, branch]).sort(), [
    ['alice', 'collect-alice'],
    ['bob', 'collect-bob'],
  ])
  assert.deepEqual(other?.differences, {
    missing: { count: 1, first: ['control-1.csv'] },
    extra: { count: 1, first: ['extra.txt'] },
    different: { count: 1, first: ['packages.csv'] },
  })
  assert.match(view.next ?? '', /maoctl round open data --step collect/)
  assert.deepEqual(shared(carol, opened.id), shared(alice, opened.id))
  assert.ok(bob.auditEvents.some(({ type }) => type === 'ended'))
})

test('members that all hold the same all win, and nobody waits for the end of the window', async (t) => {
  const nodes = await four(t)
  for (const node of nodes) await result(t, node, FOUND)
  const { id, untilMs } = await nodes[0].audits.open('data', { step: 'collect' })
  for (const node of nodes) {
    const { report, next } = await ended(node, id)
    assert.equal(report?.outcome, 'winner')
    assert.equal(report?.groups.length, 1)
    assert.equal(report?.agreement?.percent, 1)
    assert.match(next ?? '', /All hold the same/)
  }
  assert.ok(Date.now() < untilMs)
})

test('two against two is a draw, which a person has to decide', async (t) => {
  const nodes = await four(t)
  const [alice, bob, carol, dave] = nodes
  for (const node of [alice, carol]) await result(t, node, FOUND)
  for (const node of [bob, dave]) await result(t, node, LOST)
  const { id } = await dave.audits.open('data')
  const { report, next } = await ended(dave, id)
  assert.equal(report?.outcome, 'draw')
  assert.equal(report?.winner, undefined)
  assert.deepEqual(
    report?.groups.map(({ wins, strangeness }) => [wins, strangeness]),
    [
      [true, 6],
      [true, 6],
    ],
  )
  assert.match(
    next ?? '',
    /A person has to decide.*maoctl dataset diff data .*maoctl vote cast data\/collect/,
  )
  await ended(alice, id)
  assert.deepEqual(shared(alice, id), shared(dave, id))
})

test('a node that is restarted in the middle has answered once, hears the rest, and reports like the others', async (t) => {
  const clock = new MovableClock()
  const nodes = await four(t, clock)
  const [alice, bob, carol, dave] = nodes
  for (const node of [alice, bob]) await result(t, node, FOUND)
  await dave.audits.stop()
  const { id } = await alice.audits.open('data')
  await answeredBy(alice, id, ['alice', 'bob', 'carol'])
  // The opener is one of those that go; nothing hangs on it.
  await alice.stop()
  await bob.stop()
  const back = await restartAuditor(t, bob, { clock })
  for (const node of [carol, dave]) await meet(back, node)
  await dave.audits.start()
  const { report, members } = await ended(back, id)
  assert.equal(report?.outcome, 'winner')
  const own = back.registry.get(`/audit/${id}/${back.identity.peerId}`)
  assert.equal(own?.version, 1)
  assert.deepEqual(members.map(({ name, part }) => `${name} ${part}`).sort(), [
    'alice candidate',
    'bob candidate',
    'carol nothing',
    'dave nothing',
  ])
})

test('who joins in the middle sees the audit, and is no candidate', async (t) => {
  const clock = new MovableClock()
  const [alice, bob] = (await startAuditors(t, ['bob'], { clock })) as [AuditNode, AuditNode]
  await result(t, alice, FOUND)
  await bob.audits.stop()
  const { id } = await alice.audits.open('data', { windowMs: 5 * MINUTE_MS })
  const erin = await joinAuditor(t, alice, 'erin', { clock })
  await eventually(() => erin.datasets.list().length === 1, 'erin does not know the dataset', AUDIT_WAIT_MS)
  await result(t, erin, LOST)
  await eventually(() => erin.audits.list('data').length === 1, 'erin does not see it', AUDIT_WAIT_MS)
  clock.forward(6 * MINUTE_MS)
  const { report, notAsked } = await ended(erin, id)
  assert.deepEqual(report?.members.map(({ name, part }) => [name, part]).sort(), [
    ['alice', 'candidate'],
    ['bob', 'silent'],
  ])
  assert.equal(report?.outcome, 'alone')
  assert.deepEqual(notAsked, [], 'who was no member then was not left out')
})

test('what cannot be audited is refused with the reason', async (t) => {
  const [alice, bob] = (await startAuditors(t, ['bob'])) as [AuditNode, AuditNode]
  const { access, audits, datasets } = alice
  await assert.rejects(audits.open('nothing'), coded('DATASET_NOT_FOUND'))
  assert.throws(() => audits.show('data/1/nobody'), coded('NOT_FOUND'))
  await assert.rejects(audits.open('data', { windowMs: 10 }), coded('INVALID_INPUT'))
  await assert.rejects(audits.open('data', { step: 'for.0123456789abcdef.collect' }), coded('INVALID_NAME'))
  await datasets.add('own', { policy: 'local-only' })
  await datasets.add('held', { policy: 'compute-only' })
  await datasets.add('granted')
  await datasets.edit('granted', { access: access.changed(undefined, { read: 'granted' }) })
  for (const name of ['own', 'held']) await assert.rejects(audits.open(name), coded('DATASET_WITHHELD'))
  const isKept = () => bob.datasets.find('granted')?.record.access?.read === 'granted'
  await eventually(isKept, 'bob does not know who may have it', AUDIT_WAIT_MS)
  await assert.rejects(bob.audits.open('granted'), coded('FORBIDDEN'))
  // Of one for members with a grant, these alone are asked.
  const opened = await audits.open('granted')
  assert.deepEqual(
    opened.members.map(({ name }) => name),
    ['alice'],
  )
  await eventually(() => bob.audits.list('granted').length === 1, 'bob does not see it', AUDIT_WAIT_MS)
  assert.match(bob.audits.show(opened.id).note ?? '', /may not have/)

  await bob.audits.stop()
  const first = await audits.open('data')
  await assert.rejects(audits.open('data'), coded('CONFLICT'))
  const second = await audits.open('data', { step: 'collect' })
  assert.deepEqual(
    audits.list('data').map(({ id }) => id),
    [second.id, first.id],
  )
})

test('who does not copy the dataset answers, and compares only once somebody there asks', async (t) => {
  const [alice, bob, carol] = (await startAuditors(t, ['bob', 'carol'])) as [AuditNode, AuditNode, AuditNode]
  await bob.datasets.unfollow('data')
  for (const node of [alice, carol]) await result(t, node, FOUND)
  const { id } = await alice.audits.open('data')
  await ended(alice, id)
  const atBob = () => bob.audits.list('data').find((audit) => audit.id === id)
  await eventually(() => atBob()?.state === 'closed', 'bob does not see the end', AUDIT_WAIT_MS)
  assert.match(atBob()?.note ?? '', /nobody at this node has asked/)
  const { report } = await ended(bob, id)
  assert.deepEqual(report, alice.audits.show(id).report)
  assert.equal(report?.members.find(({ name }) => name === 'bob')?.part, 'nothing')
})

test('an observer asks for no audit and is not asked', async (t) => {
  const [alice, bob] = (await startAuditors(t, ['bob'])) as [AuditNode, AuditNode]
  await alice.members.setRole(bob.identity.peerId, 'observer')
  const isObserver = () => bob.members.get(bob.identity.peerId)?.role === 'observer'
  await eventually(isObserver, 'bob does not know its role', AUDIT_WAIT_MS)
  await assert.rejects(bob.audits.open('data'), coded('FORBIDDEN'))
  const { members } = await alice.audits.open('data')
  assert.deepEqual(
    members.map(({ name }) => name),
    ['alice'],
  )
})
