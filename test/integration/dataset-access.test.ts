import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { type TestContext, test } from 'node:test'
import { type ErrorCode, isNodeError } from '../../src/base/errors.ts'
import { isEntitled } from '../../src/consensus/quorum.ts'
import { datasetId } from '../../src/datasets/dataset-record.ts'
import { fetchCommits } from '../../src/datasets/exchange/pack-client.ts'
import { Conversation, PACK_PROTOCOL } from '../../src/datasets/exchange/pack-protocol.ts'
import type { PackRepository } from '../../src/datasets/git/repository.ts'
import { encodeJson } from '../../src/registry/collection.ts'
import {
  type DatasetNode,
  directoryOf,
  joinDatasetNode,
  meet,
  startDatasetNode,
} from '../support/dataset-node.ts'
import { eventually } from '../support/eventually.ts'
import { sealRecord } from '../support/records.ts'

const coded = (code: ErrorCode) => (error: unknown) => isNodeError(error, code)

async function people(t: TestContext) {
  const alice = await startDatasetNode(t)
  const bob = await joinDatasetNode(t, alice, 'bob')
  const carol = await joinDatasetNode(t, alice, 'carol')
  await eventually(() => bob.members.isMember(carol.identity.peerId), 'bob does not know carol')
  // Who asks in vain is to be refused, not out of reach.
  await meet(carol, bob)
  return { alice, bob, carol }
}

const granted = { read: 'granted', vote: 'granted' } as const

/** Asks as one that keeps no rules, whatever the record says. */
async function demand(asker: DatasetNode, dataset: string, holder: DatasetNode, oid: string): Promise<void> {
  await asker.datasets.add('aside').catch(() => undefined)
  const repository = (await asker.datasets.repository('aside')) as PackRepository
  await fetchCommits(asker.network, { dataset, repository, peer: holder.identity.peerId, wants: [oid] })
}

test('only who has a grant gets a dataset, from anybody, and the others do not ask for it in vain', async (t) => {
  const { alice, bob, carol } = await people(t)
  const start = await directoryOf(t, { 'a.csv': '1\n' })
  const { truth = '' } = await alice.datasets.importDirectory('private', start, {})
  await alice.datasets.edit('private', { access: alice.access.changed(undefined, granted) })
  await alice.access.grant('private', bob.identity.peerId, { read: true, vote: true })
  await eventually(async () => (await bob.datasets.truth('private')) === truth, 'bob got nothing')

  const view = () => carol.datasets.list().find(({ name }) => name === 'private')
  await eventually(() => view()?.followed === false, 'carol follows what she may not have')
  assert.match(String(view()?.why), /grant/)
  await assert.rejects(carol.datasets.fetchNow('private'), coded('FORBIDDEN'))
  // Neither the founder nor another that may have it gives it to her.
  for (const holder of [alice, bob])
    await assert.rejects(demand(carol, 'private', holder, truth), coded('FORBIDDEN'))
  // What she grants herself counts for nobody.
  const [name, self] = ['private', carol.identity.peerId]
  const { id = '' } = alice.datasets.find(name) ?? {}
  const forged = encodeJson({ dataset: id, read: true, vote: true, since: 0 })
  await carol.registry.put(`/grants/${name}/${self}/${self}`, forged)
  await eventually(() => alice.registry.get(`/grants/${name}/${self}/${self}`) !== undefined, 'it never came')
  assert.equal(alice.datasets.mayRead(self, name), false)
  await assert.rejects(carol.access.grant(name, self, { read: true, vote: false }), coded('FORBIDDEN'))

  await alice.access.grant(name, self, { read: true, vote: false, until: Date.now() + 4_000 })
  await eventually(async () => (await carol.datasets.truth('private')) === truth, 'carol got nothing')
  await eventually(() => !bob.datasets.mayRead(self, name), 'the grant did not end')
  await eventually(() => view()?.followed === false, 'carol still follows what she may have no more')
})

test('a grant that is revoked cuts what is on its way, at whoever sends it', async (t) => {
  const { alice, bob } = await people(t)
  const start = await directoryOf(t, { 'big.bin': randomBytes(6 * 1024 * 1024).toString('latin1') })
  const { truth = '' } = await alice.datasets.importDirectory('private', start, {})
  await alice.datasets.edit('private', { access: alice.access.changed(undefined, granted) })
  const peer = bob.identity.peerId
  await alice.access.grant('private', peer, { read: true, vote: false })
  // A reader that takes its time: the transfer is open until the grant ends.
  const stream = await bob.network.open(alice.identity.peerId, PACK_PROTOCOL)
  const talk = new Conversation(stream)
  await talk.say({ dataset: 'private', dialects: ['pack'] })
  await talk.say({ wants: [truth], haves: [] })
  assert.ok(await stream.read())
  await alice.access.revoke('private', peer)
  const rest = async () => {
    for (let chunk = await stream.read(); chunk !== undefined; chunk = await stream.read());
  }
  await assert.rejects(rest(), coded('STREAM_CLOSED'))
  await eventually(() => !bob.datasets.mayRead(peer, 'private'), 'bob did not hear of it')
})

test('who claims the name of another dataset, dated back, reads nothing of it and decides nothing alone', async (t) => {
  const { alice, bob, carol } = await people(t)
  const self = carol.identity.peerId
  const start = await directoryOf(t, { 'a.csv': 'secret\n' })
  const { truth = '' } = await bob.datasets.importDirectory('private', start, {})
  await bob.datasets.edit('private', { access: bob.access.changed(undefined, granted) })
  await bob.access.grant('private', alice.identity.peerId, { read: true, vote: true })
  await eventually(async () => (await alice.datasets.truth('private')) === truth, 'alice got nothing')

  const seed = 'ab'.repeat(16)
  const id = datasetId(self, 'private', seed)
  const access = { read: 'members', vote: 'granted', voteSince: 0 }
  const record = { id, seed, founder: self, description: '', createdBy: 'carol', policy: 'shared', access }
  // She was admitted before bob founded it, and says that she claimed the name then.
  const since = carol.members.admittedMs(self) ?? 0
  const { federation } = carol.genesis
  const { envelope } = await sealRecord(carol.identity, {
    ...{ federation, key: '/dataset/private', value: encodeJson(record), since },
  })
  for (const { registry } of [carol, alice, bob])
    assert.equal((await registry.receive(envelope)).action, 'accept')
  assert.equal(alice.access.facts('private')?.founder, self, 'her claim comes first')
  for (const holder of [alice, bob]) {
    await carol.network.dial(holder.network.addresses())
    await assert.rejects(demand(carol, 'private', holder, truth), coded('FORBIDDEN'))
    const voters = holder.access.voters('private').filter((one) => isEntitled(one, Date.now()))
    assert.equal(voters.length, 3, 'a claim that is disputed takes nobody his vote')
  }
})

test('what an operator granted ends with its time, at nodes that run on as at those that start then', async (t) => {
  const { alice, bob, carol } = await people(t)
  const [operator, reader] = [bob.identity.peerId, carol.identity.peerId]
  await alice.datasets.importDirectory('private', await directoryOf(t, { 'a.csv': '1\n' }), {})
  await alice.datasets.edit('private', { access: alice.access.changed(undefined, granted) })
  await alice.members.setRole(operator, 'operator', { until: Date.now() + 5_000 })
  await eventually(() => bob.members.role(operator) === 'operator', 'bob is no operator')
  await eventually(() => bob.access.facts('private') !== undefined, 'bob does not know the dataset')
  await bob.access.grant('private', reader, { read: true, vote: true })
  await eventually(() => alice.datasets.mayRead(reader, 'private'), 'alice did not hear of the grant')
  await eventually(() => alice.members.role(operator) === undefined, 'the time of bob does not end')
  await eventually(() => !alice.datasets.mayRead(reader, 'private'), 'the grant of bob counts still')
})
