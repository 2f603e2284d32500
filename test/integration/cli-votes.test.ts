import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { ReportView } from '../../src/api/report-views.ts'
import type { RoundHere, TruthView } from '../../src/api/round-views.ts'
import type { CastView } from '../../src/api/vote-routes.ts'
import { directoryOf } from '../support/dataset-node.ts'
import { type Person, startPerson } from '../support/dataset-people.ts'
import { eventually } from '../support/eventually.ts'

const WAIT_MS = 60_000

/** A founder and further members, all of whom know the dataset `data`. */
async function laboratory(t: TestContext, names: readonly string[], ...rule: string[]): Promise<Person[]> {
  const people: Person[] = []
  for (const name of names) people.push(await startPerson(t, name))
  const [founder, ...others] = people as [Person, ...Person[]]
  await founder.node.createFederation({ name: 'lab' })
  for (const other of others) await join(founder, other)
  await founder.told('dataset', 'import', await directoryOf(t, { 'README.md': 'about\n' }), '--name', 'data')
  if (rule.length > 0) await founder.told('dataset', 'rule', 'data', ...rule)
  for (const person of people) await knows(person, people.length, rule.length > 0)
  return people
}

async function join(founder: Person, other: Person, ...how: string[]): Promise<void> {
  const { token } = await founder.told<{ token: string }>('federation', 'invite', ...how)
  await other.told('federation', 'join', token)
}

async function knows(person: Person, members: number, ruled = false): Promise<void> {
  await eventually(
    async () => {
      const rule = await person.type('--json', 'dataset', 'rule', 'data')
      if (rule.exit !== 0 || person.node.federation.members.list().length < members) return false
      return (
        !ruled ||
        (rule.json<{ rules: object }>().rules !== undefined && 'all' in rule.json<{ rules: object }>().rules)
      )
    },
    'a member never heard of the others, or of the dataset and its rule',
    WAIT_MS,
  )
}

async function result(
  t: TestContext,
  person: Person,
  files: Readonly<Record<string, string>>,
): Promise<void> {
  await person.told('dataset', 'import', await directoryOf(t, files), '--into', 'data', '--step', 'collect')
}

/** Opens a round once everybody's result has been heard of by the opener. */
async function open(people: readonly Person[], window: string): Promise<string> {
  const [opener] = people as [Person]
  for (const person of people) {
    await eventually(
      async () =>
        (await person.show('data')).branches.filter(({ branch }) => branch.startsWith('collect-')).length >=
        people.length,
      'a result was never heard of',
      WAIT_MS,
    )
  }
  const { id } = await opener.told<RoundHere>(
    'round',
    'open',
    'data',
    '--step',
    'collect',
    '--window',
    window,
  )
  for (const person of people) {
    await eventually(
      async () => (await person.type('round', 'show', id)).exit === 0,
      'the round was never heard of',
      WAIT_MS,
    )
  }
  return id
}

async function textAt(person: Person, path: string): Promise<string> {
  const shown = await person.type('dataset', 'cat', 'data', path)
  assert.equal(shown.exit, 0, shown.stderr)
  return shown.stdout
}

test('people of three nodes cast by hand, whole, per file and per entry, and the truth follows', {
  timeout: 180_000,
}, async (t) => {
  const people = await laboratory(
    t,
    ['alice', 'bob', 'carol'],
    '--method',
    'rows',
    '--key',
    'id',
    '--by-hand',
  )
  const [alice, bob, carol] = people as [Person, Person, Person]
  await result(t, alice, { 'table.csv': 'id,v\n1,a\n2,b\n3,c\n', 'notes.txt': 'one\n' })
  await result(t, bob, { 'table.csv': 'id,v\n1,a\n2,x\n3,c\n', 'notes.txt': 'two\n' })
  await result(t, carol, {
    'table.csv': 'id,v\n1,a\n2,y\n3,z\n',
    'notes.txt': 'three\n',
    'draft.txt': 'mine\n',
  })
  const id = await open(people, '2m')

  // Nothing is cast by itself, and the choice is there to be seen.
  const waiting = await bob.type('vote', 'list', '--open')
  assert.match(waiting.stdout, new RegExp(`${id} +open +.*for ballots +0/3 +0/3 +to cast +your choice`))
  const before = await bob.told<ReportView>('vote', 'show', 'data/collect')
  assert.deepEqual(
    before.candidates.map(({ name }) => name),
    ['alice', 'bob', 'carol'],
  )
  assert.equal(before.unavailable, 'no ballot is here yet')

  // Two nodes wait for the end while the ballots come.
  const watching = [bob.type('--json', 'vote', 'watch'), carol.type('vote', 'watch', 'data/collect')]
  const words = [
    'vote',
    'cast',
    'data',
    '--file',
    'notes.txt=bob',
    '--entry',
    'table.csv:2=alice',
    '--absent',
    'draft.txt',
  ]
  const dry = await carol.told<CastView>(...words, '--dry-run')
  assert.equal(dry.ballot, undefined)
  assert.equal(
    (await carol.told<RoundHere>('round', 'show', id)).ballots.length,
    0,
    'a dry run casts nothing',
  )
  const cast = await carol.type(...words)
  assert.equal(cast.exit, 0, cast.stderr)
  assert.match(cast.stdout, /As carol has it, but:\n/)
  assert.match(cast.stdout, /table\.csv +2 +alice +another version/)
  const again = await carol.type('vote', 'cast', 'data/collect', '--candidate', 'bob')
  assert.equal(again.exit, 4)
  assert.match(again.stderr, /has cast its ballot in .* who casts two is not counted at all.*ALREADY_EXISTS/)

  const whole = await alice.told<CastView>('vote', 'cast', id)
  assert.equal(whole.ballot?.commit, before.candidates[0]?.commit, 'a whole result is cast as it is')
  const missing = await bob.type('vote', 'cast', id, '--candidate', 'alice', '--file', 'draft.txt=alice')
  assert.equal(missing.exit, 2)
  assert.match(missing.stderr, /alice's result has no file draft\.txt/)
  const own = await directoryOf(t, { 'table.csv': 'id,v\n1,a\n2,b\n3,c\n4,d\n', 'notes.txt': 'two\n' })
  const mended = await bob.told<CastView>('vote', 'cast', id, '--from', own)
  assert.notEqual(mended.ballot?.commit, whole.ballot?.commit)

  const [json, text] = await Promise.all(watching)
  assert.equal(json?.exit, 0, json?.stderr)
  assert.equal(text?.exit, 0, text?.stderr)
  const lines =
    json?.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line)) ?? []
  assert.deepEqual([lines[0].state, lines.at(-1).state], ['open', 'decided'])
  assert.equal(lines.at(-1).ballots, 3)

  await eventually(
    async () => {
      const { height, adopted } = await carol.told<TruthView>('dataset', 'truth', 'data')
      return height === 1 && adopted
    },
    'the truth never came to carol',
    WAIT_MS,
  )
  assert.equal(await textAt(carol, 'table.csv'), 'id,v\n1,a\n2,b\n3,c\n')
  assert.equal(await textAt(carol, 'notes.txt'), 'two\n')
  assert.equal((await carol.type('dataset', 'cat', 'data', 'draft.txt')).exit, 3)
  const log = await bob.type('dataset', 'log', 'data', '--branch', 'vote.collect-carol')
  assert.match(log.stdout, /Ballot by hand, step collect/)
  const report = await alice.type('vote', 'show', id)
  assert.match(report.stdout, /carol .* no, 1 difference +table\.csv: differs in 3/)
  const truth = await bob.type('dataset', 'truth', 'data')
  assert.match(truth.stdout, /method: +rows \(key id\)/)
  assert.match(truth.stdout, /carol .*table\.csv: differs in 3/)
  const reliability = await bob.type('reliability', 'list', '--dataset', 'data')
  assert.equal(reliability.exit, 0, 'the command that the truth names is there')
})

test('where results cast themselves, who casts by hand is told how to have it otherwise; observers have no say', {
  timeout: 180_000,
}, async (t) => {
  const people = await laboratory(t, ['alice', 'bob'])
  const [alice, bob] = people as [Person, Person]
  const eve = await startPerson(t, 'eve')
  await join(alice, eve, '--role', 'observer')
  await knows(eve, 3)
  await result(t, alice, { 'a.txt': '1\n' })
  await result(t, bob, { 'a.txt': '1\n' })
  const id = await open(people, '2m')
  const refused = await bob.type('vote', 'cast', id, '--candidate', 'alice')
  assert.equal(refused.exit, 4)
  assert.match(refused.stderr, /"maoctl dataset rule data --step collect --by-hand" lets people choose/)
  assert.equal((await alice.type('vote', 'watch', id)).exit, 0)

  // The rule is the founder's and operators' to change; a member's token does not do on the founder's node either.
  for (const other of [bob, eve]) {
    const denied = await other.type('dataset', 'rule', 'data', '--by-hand')
    assert.equal(denied.exit, 5)
    assert.match(denied.stderr, /is said by alice, whose record of it counts; ask alice/)
  }
  const { token } = await alice.told<{ token: string }>('token', 'create', 'desk', '--scope', 'member')
  const scoped = await alice.type('--token', token, 'dataset', 'rule', 'data', '--by-hand')
  assert.equal(scoped.exit, 5)
  const ruled = await alice.type('dataset', 'rule', 'data', '--by-hand', '--step', 'collect')
  assert.match(ruled.stdout, /collect +identical +by hand \(people choose\)/)
  await eventually(
    async () => (await eve.type('dataset', 'rule', 'data')).stdout.includes('by hand'),
    'the rule never came to eve',
    WAIT_MS,
  )
  const second = await open(people, '2m')
  await eventually(
    async () => (await eve.type('round', 'show', second)).exit === 0,
    'eve never heard of the round',
    WAIT_MS,
  )
  const none = await eve.type('vote', 'cast', second, '--candidate', 'alice')
  assert.equal(none.exit, 5)
  assert.match(none.stderr, /This node has no vote in/)
  assert.match((await eve.type('vote', 'list')).stdout, /no round here in which this node may vote/)
  const reader = await alice.told<{ token: string }>('token', 'create', 'wall', '--scope', 'observer')
  const reading = await alice.type('--token', reader.token, 'vote', 'cast', second, '--candidate', 'alice')
  assert.equal(reading.exit, 5)

  // Whoever changes the rule while a round is under way ends that round, and is told so.
  const changed = await alice.type('dataset', 'rule', 'data', '--clear')
  assert.match(changed.stderr, new RegExp(`Under way by the rule before: ${second}\\. .*ends undecided`))
  const stale = await alice.type('vote', 'cast', second, '--candidate', 'alice')
  assert.equal(stale.exit, 4)
  assert.match(stale.stderr, /takes no ballots any more.*ballots of this dataset are not cast by hand/)
  assert.equal((await alice.type('vote', 'watch', second)).exit, 8)

  // What a member founded an operator may rule, whose word then counts.
  await bob.told('dataset', 'add', 'theirs')
  await eventually(
    async () => (await alice.type('dataset', 'rule', 'theirs', '--method', 'strangeness')).exit === 0,
    'the operator never heard of the dataset',
    WAIT_MS,
  )
  await eventually(
    async () => (await bob.type('dataset', 'rule', 'theirs')).stdout.includes('strangeness: the ballot'),
    'the word of the operator never came to the founder',
    WAIT_MS,
  )
  assert.match((await bob.type('dataset', 'rule', 'theirs')).stdout, /^alice may change it\.$/m)
})

test('a dataset is made with its rule, and one that is not shared has none', async (t) => {
  const alice = await startPerson(t, 'alice')
  await alice.node.createFederation({ name: 'lab' })
  const directory = await directoryOf(t, {
    'rule.json': '{"method": {"name": "numeric", "key": ["id"], "tolerance": {"relative": 0.01}}}',
    'wrong.json': '{"method": {"name": "numeric", "key": ["id"], "tolerance": {}}}',
    'broken.json': '{"method": {"name": "rows"}}',
  })
  const add = (name: string, file: string, ...more: string[]) =>
    alice.type('dataset', 'add', name, '--rule', `${directory}/${file}`, ...more)
  for (const [file, told] of [
    ['wrong.json', /--tolerance 1%/],
    ['broken.json', /holds no rule at method\.key/],
    ['none.json', /cannot be read/],
  ] as const) {
    const refused = await add('data', file)
    assert.equal(refused.exit, 2)
    assert.match(refused.stderr, told)
  }
  assert.equal((await alice.type('dataset', 'show', 'data')).exit, 3, 'nothing was made')
  assert.equal((await add('data', 'rule.json')).exit, 0)
  assert.match(
    (await alice.type('dataset', 'rule', 'data')).stdout,
    /all +numeric \(key id; within 1%\) +each member/,
  )
  const one = await alice.told<{ rules: object }>('dataset', 'rule', 'data', '--step', 'assess', '--by-hand')
  assert.deepEqual(Object.keys(one.rules), ['all', 'steps'])
  const cleared = await alice.told<{ rules: object }>(
    'dataset',
    'rule',
    'data',
    '--clear',
    '--step',
    'assess',
  )
  assert.deepEqual(Object.keys(cleared.rules), ['all'])
  const mixed = await alice.type('dataset', 'rule', 'data', '--clear', '--by-hand')
  assert.equal(mixed.exit, 2)

  for (const policy of ['local-only', 'compute-only']) {
    await alice.told('dataset', 'add', policy, '--policy', policy)
    const refused = await alice.type('dataset', 'rule', policy, '--by-hand')
    assert.equal(refused.exit, 5)
    assert.match(refused.stderr, /Nobody votes on .*let results go into a shared dataset/)
    assert.match((await alice.type('dataset', 'rule', policy)).stdout, /Nobody votes on/)
  }
})

test('one node decides alone; of two both must agree, and one that is silent leaves the round undecided', {
  timeout: 180_000,
}, async (t) => {
  const [alice] = (await laboratory(t, ['alice'], '--by-hand')) as [Person]
  await result(t, alice, { 'a.txt': '1\n' })
  const first = await open([alice], '1m')
  await alice.told('vote', 'cast', first)
  assert.equal((await alice.type('vote', 'watch', first)).exit, 0)
  await eventually(
    async () => (await alice.told<TruthView>('dataset', 'truth', 'data')).height === 1,
    'the certificate was never written',
    WAIT_MS,
  )

  // Bob joins between two rounds: the next one asks both.
  const bob = await startPerson(t, 'bob')
  await join(alice, bob)
  await knows(bob, 2, true)
  await knows(alice, 2, true)
  await result(t, bob, { 'a.txt': '2\n' })
  const second = await open([alice, bob], '2m')
  await bob.told('vote', 'cast', second, '--candidate', 'alice')
  await alice.told('vote', 'cast', second, '--candidate', 'bob')
  const split = await bob.type('vote', 'watch', second)
  assert.equal(split.exit, 8)
  assert.match(
    split.stdout,
    /no consensus: the ballots agree on nothing that the truth does not have already/,
  )
  const report = await bob.type('vote', 'show', second)
  assert.match(report.stdout, /Contested, no more than half agree: a\.txt/)
  assert.match(report.stdout, /No group of equal ballots is larger than the others\./)

  const third = await open([alice, bob], '2s')
  await alice.told('vote', 'cast', third)
  const silent = await alice.type('vote', 'watch', third)
  assert.equal(silent.exit, 8)
  assert.match(silent.stdout, /1 of 2 members handed in a ballot by the cut-off; 2 are needed/)
  const late = await bob.type('vote', 'cast', third, '--candidate', 'alice')
  assert.equal(late.exit, 4)
  assert.match(late.stderr, /takes no ballots any more, it is undecided/)
})
