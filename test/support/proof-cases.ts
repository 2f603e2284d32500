import { certificatePath, GENESIS_PATH } from '../../src/consensus/proofs/layout.ts'
import { datasetId } from '../../src/datasets/dataset-record.ts'
import { minute, ProofWorld, type Round } from './proof-world.ts'

export interface ProofCase {
  readonly name: string
  readonly world: ProofWorld
  /** Truths that hold, and the clause that the next breaks; none when all is right. */
  readonly held: number
  readonly clause?: string
  /** Of the dataset that is asked for. */
  readonly id?: string
  /** Of what is broken, where it is not the one above what holds. */
  readonly height?: number
}

const ALL = ['alice', 'bob', 'carol', 'dave'] as const

/** Four members whom alice admitted, and the first of their truths. */
async function four(...rounds: readonly Partial<Round>[]): Promise<ProofWorld> {
  const world = await ProofWorld.of([...ALL, 'erin', 'mallory'])
  for (const about of ['bob', 'carol', 'dave']) await world.word({ at: 2, by: 'alice', about })
  await world.dataset(3, 'alice')
  for (const [at, round] of rounds.entries())
    await world.certify({ at: 10 * (at + 1), electorate: ALL, ...round })
  return world
}

/** The second of three truths is not as it should be. */
const second = (round: Partial<Round>) => four({}, round, {})

type Change = (world: ProofWorld) => unknown

async function changed(change: Change, ...rounds: readonly Partial<Round>[]): Promise<ProofWorld> {
  const world = await four(...rounds)
  await change(world)
  return world
}

const raw = (world: ProofWorld, height: number, change: (text: string) => string) => {
  const path = certificatePath(height)
  world.files.set(path, Buffer.from(change(Buffer.from(world.files.get(path) as Uint8Array).toString())))
}

const GRANTED = { read: 'granted', vote: 'granted', voteSince: 0 }
const SEEDLESS = { seed: undefined, founder: undefined, access: GRANTED }

/** Dave leaves out what others wrote of the dataset, says that nobody else votes on it, and confirms alone. */
async function alone(record: Record<string, unknown>, by = 'dave'): Promise<ProofWorld> {
  const world = await ProofWorld.of(ALL, { initial: false })
  for (const about of ['bob', 'carol', 'dave']) await world.word({ at: 2, by: 'alice', about })
  await world.dataset(4, by, { createdBy: by, ...record })
  await world.certify({ at: 10, electorate: [by] })
  return world
}

/** Unused bits of the last digit set: the same bytes to whoever does not ask for the one spelling. */
function respelt(certificate: Record<string, unknown>): Record<string, unknown> {
  const digits = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'
  const spelling = (text: string) =>
    text.replace(/(.)(=+)$/, (_, last: string, end: string) => digits[digits.indexOf(last) + 1] + end)
  const all = Object.entries(certificate.confirmations as Record<string, string>)
  return {
    ...certificate,
    confirmations: Object.fromEntries(all.map(([peer, text]) => [peer, spelling(text)])),
  }
}

/** What holds, and for each clause something that breaks it: the vectors of protocols/verification.md. */
export async function proofCases(): Promise<ProofCase[]> {
  const whole = await four({}, {}, {})
  const single = await ProofWorld.of(['alice'], { initial: false })
  for (const at of [10, 20]) await single.certify({ at, electorate: ['alice'] })

  const moved = await four({})
  await moved.word({ at: 12, by: 'alice', about: 'carol', removed: true, since: 2 })
  await moved.succession(14, 'bob', 'erin')
  await moved.certify({ at: 20, electorate: ['alice', 'erin', 'dave'], signers: ['alice', 'erin', 'dave'] })
  const stolen = await four({})
  await stolen.succession(14, 'bob', 'erin')
  await stolen.certify({ at: 20, electorate: ALL, signers: ['alice', 'bob', 'carol'] })
  const granted = await ProofWorld.of([...ALL])
  for (const about of ['bob', 'carol', 'dave']) await granted.word({ at: 2, by: 'alice', about })
  await granted.dataset(3, 'alice', { access: { read: 'members', vote: 'granted', voteSince: minute(3) } })
  await granted.grant(4, 'alice', 'bob')
  await granted.certify({ at: 10, electorate: ['alice', 'bob'], signers: ['alice', 'bob'] })
  const ungranted = await ProofWorld.of([...ALL])
  for (const about of ['bob', 'carol', 'dave']) await ungranted.word({ at: 2, by: 'alice', about })
  await ungranted.dataset(3, 'alice', { access: { read: 'members', vote: 'granted', voteSince: minute(3) } })
  await ungranted.grant(4, 'alice', 'bob')
  await ungranted.certify({ at: 10, electorate: ALL, signers: ['bob', 'carol', 'dave'] })

  const admittedByMember = await four({})
  await admittedByMember.word({ at: 12, by: 'bob', about: 'mallory' })
  await admittedByMember.certify({ at: 20, electorate: [...ALL, 'mallory'], signers: [...ALL] })
  const leftOut = await four({}, { electorate: ['bob', 'carol'], signers: ['bob', 'carol'] })
  const observer = await four({})
  await observer.word({ at: 12, by: 'alice', about: 'dave', role: 'observer', since: 2 })
  await observer.certify({ at: 20, electorate: ALL, signers: ['bob', 'carol', 'dave'] })
  const early = await four()
  const other = await ProofWorld.of(['bob'])
  const trueId = datasetId(whole.peer('alice'), 'data', 'ab'.repeat(16))
  const seed = 'cd'.repeat(16)
  const aliceOther = datasetId(whole.peer('alice'), 'data', seed)
  const own = {
    seed,
    founder: whole.peer('dave'),
    id: datasetId(whole.peer('dave'), 'data', seed),
    access: GRANTED,
  }
  const beset = await four({}, {})
  for (const id of [trueId, undefined])
    for (const by of ['dave', 'mallory']) await beset.dataset(4, by, { ...SEEDLESS, id })
  await early.certify({ at: 2, electorate: ALL })

  return [
    { name: 'three truths of four members', world: whole, held: 3 },
    { name: 'a federation of one node, and a dataset that began empty', world: single, held: 2 },
    { name: 'a member was removed and another has a new key', world: moved, held: 2 },
    { name: 'only who was granted to votes', world: granted, held: 1 },
    {
      name: 'G1: the genesis of another federation',
      world: await changed((w) => w.files.set(GENESIS_PATH, other.files.get(GENESIS_PATH) as Uint8Array), {}),
      ...{ held: 0, clause: 'G1', height: 0 },
    },
    { name: 'L1: no certificate at all', world: await four(), held: 0, clause: 'L1' },
    {
      name: 'L1: one height is missing',
      world: await changed((w) => w.files.delete(certificatePath(2)), {}, {}, {}),
      ...{ held: 1, clause: 'L1' },
    },
    {
      name: 'L1: a certificate in the place of another height',
      world: await changed(
        (w) => w.files.set(certificatePath(3), w.files.get(certificatePath(2)) as Uint8Array),
        {},
        {},
        {},
      ),
      ...{ held: 2, clause: 'L1' },
    },
    {
      name: 'C1: no certificate',
      world: await changed((w) => raw(w, 1, () => '{"truth":"me"}'), {}, {}),
      held: 0,
      clause: 'C1',
    },
    {
      name: 'C1: an electorate that is not sorted',
      world: await second({ opening: { electorate: ['b', 'a'] } }),
      held: 1,
      clause: 'C1',
    },
    {
      name: 'C2: about another dataset',
      world: await second({ round: `other/collect/${minute(20)}` }),
      held: 1,
      clause: 'C2',
    },
    {
      name: 'C3: the closing of another opening',
      world: await second({
        certificate: (one) => ({ ...one, opening: String(one.opening).replace('request', 'schedule') }),
      }),
      ...{ held: 1, clause: 'C3' },
    },
    {
      name: 'C4: a height that was not signed',
      world: await second({ certificate: (one) => ({ ...one, height: 7 }) }),
      ...{ held: 1, clause: 'C4' },
    },
    {
      name: 'C5: too few ballots',
      world: await second({ counted: ['alice', 'bob'] }),
      held: 1,
      clause: 'C5',
    },
    {
      name: 'C5: a ballot from outside',
      world: await second({ counted: [...ALL, 'mallory'] }),
      held: 1,
      clause: 'C5',
    },
    {
      name: 'C5: a quorum of its own',
      world: await second({ quorum: { ballots: 1, votes: 1 } }),
      held: 1,
      clause: 'C5',
    },
    {
      name: 'C6: a stranger confirms',
      world: await second({ signers: ['alice', 'bob', 'mallory'] }),
      held: 1,
      clause: 'C6',
    },
    {
      name: 'C7: signed by somebody else',
      world: await second({ forgedBy: { carol: 'mallory' } }),
      held: 1,
      clause: 'C7',
    },
    {
      name: 'C7: confirmations of another round',
      world: await second({ certificate: (one) => ({ ...one, round: `data/collect/${minute(21)}` }) }),
      ...{ held: 1, clause: 'C7' },
    },
    {
      name: 'C8: confirmations of another result',
      world: await second({ said: { commit: 'd'.repeat(40) } }),
      held: 1,
      clause: 'C8',
    },
    {
      name: 'C8: confirmations of another view',
      world: await second({ said: { view: minute(30) } }),
      held: 1,
      clause: 'C8',
    },
    {
      name: 'C9: too few have confirmed',
      world: await second({ signers: ['alice', 'bob'] }),
      held: 1,
      clause: 'C9',
    },
    { name: 'C9: members were left out of the electorate', world: leftOut, held: 1, clause: 'C9' },
    { name: 'C9: one who only looks on has confirmed', world: observer, held: 1, clause: 'C9' },
    { name: 'C9: a key that was replaced has confirmed', world: stolen, held: 1, clause: 'C9' },
    { name: 'C9: members without a grant have confirmed', world: ungranted, held: 0, clause: 'C9' },
    {
      name: 'R6: somebody whom no operator admitted is in the electorate',
      world: admittedByMember,
      held: 1,
      clause: 'R6',
    },
    { name: 'L2: another parent', world: await second({ parent: 'e'.repeat(40) }), held: 1, clause: 'L2' },
    {
      name: 'L2: it begins with another commit',
      world: await four({ parent: 'e'.repeat(40) }),
      held: 0,
      clause: 'L2',
    },
    { name: 'L3: opened before its parent', world: await four({}, { at: 9 }), held: 1, clause: 'L3' },
    { name: 'L4: opened before the dataset was founded', world: early, held: 0, clause: 'L4' },
    {
      name: 'R9: records of two datasets of the name',
      world: await changed((w) => w.dataset(4, 'alice', { id: aliceOther, seed }), {}),
      ...{ held: 0, clause: 'R9' },
    },
    {
      name: 'strangers and a member without a proof say who votes',
      world: beset,
      held: 2,
      id: trueId,
    },
    {
      name: 'C9: a member claims the id of the dataset without its seed',
      world: await alone({ ...SEEDLESS, id: trueId }),
      ...{ held: 0, clause: 'C9' },
    },
    {
      name: 'C9: a member claims a dataset from before there were ids',
      world: await alone({ ...SEEDLESS, id: undefined }),
      ...{ held: 0, clause: 'C9' },
    },
    {
      name: 'an operator’s dataset from before there were ids, on which the operator alone votes',
      world: await alone({ ...SEEDLESS, id: undefined }, 'alice'),
      held: 1,
      id: 'data',
    },
    { name: 'a member’s own dataset of the name, on which it alone votes', world: await alone(own), held: 1 },
    {
      name: 'R9: the same, where the id of the dataset is known',
      world: await alone(own),
      ...{ held: 0, clause: 'R9', id: trueId },
    },
    {
      name: 'C1: base64 in another spelling',
      world: await second({ certificate: respelt }),
      held: 1,
      clause: 'C1',
    },
    {
      name: 'C1: a step of what people put together',
      world: await second({ round: `data/vote.collect/${minute(20)}` }),
      ...{ held: 1, clause: 'C1' },
    },
    {
      name: 'T1: the branch is somewhere else',
      world: await changed((w) => Object.assign(w, { truth: 'f'.repeat(40) }), {}, {}),
      ...{ held: 2, clause: 'T1', height: 2 },
    },
    {
      name: 'T2: a commit is not here',
      world: await changed((w) => w.commits.delete([...w.commits.keys()][1] as string), {}, {}),
      ...{ held: 2, clause: 'T2', height: 1 },
    },
    {
      name: 'T3: a commit names another round',
      world: await four({}, { message: (text) => text.replace('Round: data', 'Round: date') }),
      ...{ held: 2, clause: 'T3', height: 2 },
    },
  ]
}
