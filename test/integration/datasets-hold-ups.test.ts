import assert from 'node:assert/strict'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { datasetId } from '../../src/datasets/dataset-record.ts'
import { PACK_PROTOCOL } from '../../src/datasets/exchange/pack-protocol.ts'
import { encodeJson } from '../../src/registry/collection.ts'
import { type DatasetNode, directoryOf, joinDatasetNode, startDatasetNode } from '../support/dataset-node.ts'
import { eventually } from '../support/eventually.ts'
import { sealRecord } from '../support/records.ts'
import { type RegistryNode, startRegistryNode } from '../support/registry-node.ts'

const NOTHING = { description: '', policy: 'shared', createdBy: 'mallory' }
const NOWHERE = 'a'.repeat(40)

async function commit(t: TestContext, node: DatasetNode, files: Record<string, string | Buffer>) {
  const directory = await directoryOf(t, files)
  const made = { dataset: 'air', step: 'collect', directory, message: 'collect\n' }
  return (await node.datasets.commitDirectory(made)).commit
}

async function holds(node: DatasetNode, oid: string): Promise<boolean> {
  const { branches } = await node.datasets.show('air')
  return branches.some((branch) => branch.commit === oid && branch.present)
}

/** A founder, an author with a dataset that both hold, and a member that keeps no rules. */
async function three(t: TestContext) {
  const bob = await startDatasetNode(t)
  const anna = await joinDatasetNode(t, bob, 'anna')
  const mallory = await startRegistryNode(t, { genesis: bob.genesis })
  await bob.members.admit(mallory.identity.peerId, 'mallory', 'member')
  await mallory.network.dial(bob.network.addresses())
  const { id } = await anna.datasets.importDirectory('air', await directoryOf(t, { a: '0' }))
  const isWhole = async () => bob.datasets.list().length > 0 && (await bob.datasets.show('air')).replicated
  await eventually(isWhole, 'the dataset never came')
  return { bob, anna, mallory, id }
}

/** A record of one that keeps no rules, as another node gets it from the wire. */
async function plant(author: RegistryNode, at: DatasetNode, key: string, value: object): Promise<void> {
  const { federation } = at.registry
  const fields = { key, federation, value: encodeJson(value), version: 1 }
  await at.registry.receive((await sealRecord(author.identity, fields)).envelope)
}

const headOf = (dataset: string) => ({
  ...{ dataset, sequence: 1, previous: null },
  branches: { 'collect-mallory': NOWHERE },
})

test('one that stalls does not hold up what others commit to the same dataset', async (t) => {
  const { bob, anna, mallory, id } = await three(t)
  let asked = 0
  await mallory.network.handle(PACK_PROTOCOL, async (stream) => {
    asked += 1
    await stream.read()
    await stream.write(Buffer.from('{"dialect":"pack"}\n'))
    for (;;) {
      await sleep(200)
      await stream.write(Buffer.from('\n'))
    }
  })
  await plant(mallory, bob, `/heads/air/${mallory.identity.peerId}`, headOf(id))
  await eventually(() => asked > 0, 'it was never asked')
  const made = await commit(t, anna, { a: '1' })
  await eventually(() => holds(bob, made), 'the commit waits for one that stalls')
})

test('hundreds of heads of nothing do not hold up what others commit, and leave nothing', async (t) => {
  const { bob, anna, mallory } = await three(t)
  let asked = 0
  await mallory.network.handle(PACK_PROTOCOL, async (stream) => {
    asked += 1
    await stream.read()
    await stream.write(Buffer.from('{"error":{"code":"COMMIT_NOT_FOUND","message":"no"}}\n'))
    await stream.closeWrite()
  })
  const { peerId } = mallory.identity
  for (let i = 0; i < 100; i += 1) {
    const [name, seed] = [`nothing-${i}`, i.toString(16).padStart(32, '0')]
    const id = datasetId(peerId, name, seed)
    await plant(mallory, bob, `/dataset/${name}`, { id, seed, ...NOTHING })
    await plant(mallory, bob, `/heads/${name}/${peerId}`, headOf(id))
  }
  await eventually(() => asked > 0, 'it was never asked')
  const made = await commit(t, anna, { a: '1' })
  await eventually(() => holds(bob, made), 'the commit waits for what is nowhere')
  await eventually(() => asked >= 100, 'not all of it was asked for')
  const laidOut = await readdir(join(bob.directory, 'datasets'))
  assert.deepEqual(
    laidOut.filter((name) => name.startsWith('nothing')),
    [],
  )
})
