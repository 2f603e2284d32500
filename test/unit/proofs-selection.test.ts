import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openRecordsOf } from '../../src/consensus/open-record.ts'
import { placeAt } from '../../src/consensus/proofs/layout.ts'
import { type Link, readLink } from '../../src/consensus/proofs/link.ts'
import { type RollRecord, readRollRecord } from '../../src/consensus/proofs/roll-records.ts'
import { type Selected, select, selectBeside } from '../../src/consensus/proofs/selection.ts'
import { openGenesis } from '../../src/federation/genesis.ts'
import { ProofWorld } from '../support/proof-world.ts'

const ALL = ['alice', 'bob', 'carol', 'dave'] as const

/** Alice admits three, and they find two truths. */
async function begun(names: readonly string[] = ALL): Promise<ProofWorld> {
  const world = await ProofWorld.of([...names, 'mallory'])
  for (const about of ['bob', 'carol', 'dave']) await world.word({ at: 2, by: 'alice', about })
  await world.dataset(3, 'alice')
  for (const at of [10, 20]) await world.certify({ at, electorate: ALL })
  return world
}

interface Read {
  readonly links: readonly Link[]
  readonly records: readonly RollRecord[]
}

async function read(world: ProofWorld): Promise<Read> {
  const open = openRecordsOf(world.federation)
  const context = { federation: world.federation, dataset: 'data' }
  const [links, records]: [Link[], RollRecord[]] = [[], []]
  for (const [path, bytes] of world.files) {
    const place = placeAt(path)
    const link = place?.kind === 'certificate' ? await readLink(bytes, 'data', open) : undefined
    if (link !== undefined && !('clause' in link)) links.push(link)
    const record = place?.kind === 'record' ? await readRollRecord(bytes, context) : undefined
    if (record !== undefined && typeof record !== 'string') records.push(record)
  }
  return { links, records }
}

async function keep(world: ProofWorld, seen: Read, more: Partial<Read> = {}): Promise<Selected> {
  const genesis = await openGenesis(world.files.get('genesis') as Uint8Array)
  const tip = seen.links.at(-1) as Link
  const links = [...seen.links, ...(more.links ?? [])]
  return select({ genesis, dataset: 'data', tip, links, records: [...seen.records, ...(more.records ?? [])] })
}

const hashes = ({ links, records }: Selected) => [
  links.map(({ hash }) => hash),
  records.map(({ hash }) => hash).sort(),
]

test('what is kept does not depend on the order in which it was seen, nor on seeing it twice', async () => {
  const world = await begun()
  const seen = await read(world)
  const kept = await keep(world, seen)
  assert.equal(kept.check.failure, undefined)
  assert.deepEqual(
    kept.links.map(({ height }) => height),
    [1, 2],
  )
  const turned = { links: seen.links, records: seen.records.toReversed() }
  assert.deepEqual(hashes(await keep(world, turned, { links: seen.links.slice(0, 1) })), hashes(kept))
  assert.deepEqual(hashes(await keep(world, { links: kept.links, records: kept.records })), hashes(kept))
})

test('of two certificates for one commit all keep the one with the lower hash', async () => {
  const one = await begun()
  const seen = await read(one)
  const again = await ProofWorld.of([...ALL, 'mallory'])
  for (const about of ['bob', 'carol', 'dave']) await again.word({ at: 2, by: 'alice', about })
  await again.dataset(3, 'alice')
  await again.certify({ at: 10, electorate: ALL, signers: ['bob', 'carol', 'dave'] })
  const [alike] = (await read(again)).links as [Link]
  const [first] = seen.links as [Link]
  assert.equal(alike.commit, first.commit)
  const lower = [alike.hash, first.hash].sort()[0]
  const kept = await keep(one, seen, { links: [alike] })
  assert.equal(kept.links[0]?.hash, lower)
  assert.equal(kept.check.failure, undefined)
})

test('certificates of another chain, and those that too few have confirmed, are kept nowhere', async () => {
  const world = await begun()
  const seen = await read(world)
  const fork = await ProofWorld.of([...ALL, 'mallory'])
  await fork.certify({ at: 11, electorate: ['mallory', 'bob'], signers: ['mallory', 'bob'] })
  const narrow = await begun()
  await narrow.certify({ at: 30, electorate: ALL, signers: ['alice', 'bob'] })
  const strangers = [...(await read(fork)).links, ...(await read(narrow)).links.slice(2)]
  assert.equal(strangers.length, 2)
  assert.deepEqual(hashes(await keep(world, seen, { links: strangers })), hashes(await keep(world, seen)))
})

test('words that decide nothing are not kept, however many an operator writes', async () => {
  const world = await begun()
  const kept = await keep(world, await read(world))
  for (let at = 100; at < 200; at += 1) await world.word({ at, by: 'alice', about: 'mallory' })
  for (let at = 3; at < 9; at += 1) await world.word({ at, by: 'alice', about: 'bob', since: 2 })
  const after = await keep(world, await read(world))
  assert.equal(after.check.failure, undefined)
  assert.equal(after.records.length, kept.records.length)
})

test('a word that is dated back against a truth of the past is left out, and takes nothing back', async () => {
  const world = await begun()
  const before = await read(world)
  // Alice says later that mallory had been a member all along, and that bob and carol had gone before the second truth.
  await world.word({ at: 4, by: 'alice', about: 'mallory' })
  for (const about of ['bob', 'carol'])
    await world.word({ at: 15, by: 'alice', about, removed: true, since: 2 })
  const kept = await keep(world, await read(world))
  assert.equal(kept.check.failure, undefined)
  assert.equal(kept.check.held.length, 2)
  assert.deepEqual(
    hashes(kept)[0],
    before.links.map(({ hash }) => hash),
  )
})

test('one who was an operator dates back more words than are left out one by one, and they go all at once', async () => {
  const strangers = Array.from({ length: 70 }, (_, at) => `stranger-${at}`)
  const world = await begun([...ALL, 'erin', ...strangers])
  const before = await read(world)
  await world.word({ at: 4, by: 'alice', about: 'erin', role: 'operator' })
  await world.word({ at: 6, by: 'alice', about: 'erin', removed: true, since: 4 })
  for (const about of strangers) await world.word({ at: 5, by: 'erin', about })
  const kept = await keep(world, await read(world))
  assert.equal(kept.check.failure, undefined)
  assert.deepEqual(hashes(kept), hashes(await keep(world, before)))
})

test('where more speak against a chain than can be left out, what held is kept without them', async () => {
  const several = (what: string) => Array.from({ length: 66 }, (_, at) => `${what}-${at}`)
  const [operators, strangers] = [several('operator'), several('stranger')]
  const world = await begun([...ALL, ...operators, ...strangers])
  const own = await read(world)
  for (const [at, by] of operators.entries()) {
    await world.word({ at: 4, by: 'alice', about: by, role: 'operator' })
    await world.word({ at: 6, by: 'alice', about: by, removed: true, since: 4 })
    await world.word({ at: 5, by, about: strangers[at] as string })
  }
  const { records } = await read(world)
  assert.equal((await keep(world, own, { records })).check.failure?.clause, 'C9')
  const genesis = await openGenesis(world.files.get('genesis') as Uint8Array)
  const seen = { genesis, dataset: 'data', tip: own.links.at(-1) as Link, ...own }
  const kept = selectBeside(seen, records)
  assert.equal(kept.isOwn, true)
  assert.deepEqual(hashes(kept), hashes(await keep(world, own)))
})

test('a gap below is kept as it is: what is missing may come', async () => {
  const world = await begun()
  world.files.delete('certificates/0/1.json')
  const kept = await keep(world, await read(world))
  assert.deepEqual(
    kept.links.map(({ height }) => height),
    [2],
  )
  assert.equal(kept.check.failure, undefined)
})
