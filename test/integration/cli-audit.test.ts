import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { AuditView } from '../../src/api/audit-views.ts'
import { problemIn } from '../support/api.ts'
import { AUDIT_WAIT_MS } from '../support/audit-node.ts'
import { directoryOf } from '../support/dataset-node.ts'
import { type Person, startPerson } from '../support/dataset-people.ts'
import { eventually } from '../support/eventually.ts'

/** Three people in one federation with the dataset `data`. */
async function lab(t: TestContext): Promise<[Person, Person, Person]> {
  const alice = await startPerson(t, 'alice')
  await alice.node.createFederation({ name: 'lab' })
  const people = [alice]
  for (const name of ['bob', 'carol']) {
    const person = await startPerson(t, name)
    await person.node.join((await alice.node.invite()).token)
    people.push(person)
  }
  await alice.told('dataset', 'add', 'data')
  for (const { node } of people) {
    const knows = () =>
      node.federation.datasets.list().length === 1 && node.federation.members.list().length === 3
    await eventually(knows, 'a member does not know of all', AUDIT_WAIT_MS)
  }
  return people as [Person, Person, Person]
}

async function result(t: TestContext, { node }: Person, content: string): Promise<string> {
  const directory = await directoryOf(t, { 'packages.csv': content })
  const wish = { dataset: 'data', step: 'collect', directory, message: 'collect\n' }
  return (await node.federation.datasets.commitDirectory(wish)).commit
}

test('maoctl asks, says who has answered, and shows who wins; afterwards it is there to be looked at', async (t) => {
  const [alice, bob, carol] = await lab(t)
  const commit = await result(t, alice, 'a,1\n')
  await result(t, bob, 'a,1\n')
  await result(t, carol, 'a,2\n')
  const told: string[] = []
  bob.node.onEvent((event) => {
    if (event.type === 'audit') told.push(event.event.type)
  })
  const asked = await alice.type('dataset', 'audit', 'data', '--window', '5m')
  assert.equal(asked.exit, 0, asked.stderr)
  assert.match(asked.stderr, /3\/3 \w+ has answered: collect-/)
  assert.match(asked.stdout, /winner: +\w+ of /)
  assert.match(asked.stdout, /carol +collect-carol +\w+ +2 +differs in packages\.csv/)
  assert.match(asked.stdout, /maoctl round open data --step collect/)

  await eventually(() => told.includes('ended'), 'bob’s events do not tell of it', AUDIT_WAIT_MS)
  assert.deepEqual([...new Set(told)].sort(), ['answered', 'ended', 'opened'])

  // The old name, from another node; of the winners the first by peer id is named, and all hold the same.
  const quiet = await bob.type('--quiet', 'audit', 'data', '--window', '5m', '--step', 'collect')
  assert.equal(quiet.exit, 0, quiet.stderr)
  const winner = quiet.stdout.trim()
  assert.match(winner, /^[0-9a-f]{40}$/)
  assert.equal(quiet.stderr, '')
  const listed = await carol.told<AuditView[]>('dataset', 'audits', 'data')
  assert.deepEqual(
    listed.map(({ openedBy, step }) => [openedBy.name, step]),
    [
      ['bob', 'collect'],
      ['alice', undefined],
    ],
  )
  const shown = await carol.told<AuditView>('dataset', 'audits', 'data', `${listed[0]?.openedMs}`)
  assert.equal(shown.report?.outcome, 'winner')
  assert.equal(shown.report?.winner?.commit, winner)
  const heads = shown.report?.groups[0]?.peers.map((peer) => peer.commit)
  assert.ok(heads?.includes(commit))
  const table = await carol.type('dataset', 'audits', 'data')
  assert.match(table.stdout, /ended +bob +collect +3\/3/)
})

test('a draw ends with exit code 8; who does not wait is told where to look; mistakes are told as such', async (t) => {
  const [alice, bob, carol] = await lab(t)
  await result(t, alice, 'a,1\n')
  await result(t, bob, 'a,2\n')
  const drawn = await alice.type('audit', 'data', '--window', '5m')
  assert.equal(drawn.exit, 8, drawn.stderr)
  assert.match(drawn.stdout, /winner: +none: a draw/)
  assert.match(drawn.stdout, /carol +- +- +- +has nothing to compare/)
  assert.match(drawn.stdout, /A person has to decide/)

  const left = await carol.type('dataset', 'audit', 'data', '--no-wait', '--window', '5m')
  assert.equal(left.exit, 0, left.stderr)
  const time = /The audit (\d+) of data/.exec(left.stdout)?.[1] ?? ''
  const shown = await carol.type('dataset', 'audits', 'data', time)
  assert.equal(shown.exit, 8)
  assert.equal((await carol.type('dataset', 'audits', 'data', '5')).exit, 3)
  assert.equal((await carol.type('audit', 'date')).exit, 3)
  assert.equal((await carol.type('audit', 'data', '--window', '2d')).exit, 2)

  const answer = await alice.ask('POST', '/api/v1/datasets/data/audits', { windowMs: 5 })
  assert.equal(problemIn(answer).code, 'INVALID_INPUT')
  const missing = await alice.ask('GET', '/api/v1/datasets/data/audits/5/nobody')
  assert.equal(problemIn(missing).status, 404)
})
