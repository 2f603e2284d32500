import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { copyFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { openDatabase } from '../../src/base/database.ts'
import { silentLogger } from '../../src/base/logger.ts'
import { SEALING_PURPOSE, SealedValues } from '../../src/execution/secrets/sealed-values.ts'
import { presentOf, successionOf, successionSchema } from '../../src/federation/successions.ts'
import { derivedKey } from '../../src/identity/derived-key.ts'
import { finishKeyChange } from '../../src/identity/key-change.ts'
import { generateIdentity, type Identity, KEY_FILE, loadIdentity } from '../../src/identity/node-key.ts'
import { rotateKey } from '../../src/key-rotation.ts'
import { Node } from '../../src/node.ts'
import { decodeJson } from '../../src/registry/collection.ts'
import { RecordStore } from '../../src/registry/record-store.ts'
import { eventually } from '../support/eventually.ts'
import { startLoopbackNetwork } from '../support/loopback-network.ts'
import { startTestNode } from '../support/quiet-node.ts'
import { sealRecord } from '../support/records.ts'
import { type RegistryNode, startFederation } from '../support/registry-node.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

const granted = { read: 'granted', vote: 'granted' } as const

test('a node with a new key is who it was: name, role, datasets, grants and secrets; the old key is nobody', async (t) => {
  const alice = await startTestNode(t, 'alice')
  const bob = await startTestNode(t, 'bob')
  await alice.createFederation({ name: 'observatory' })
  await bob.join((await alice.invite()).token)
  const { peerId: old, config } = bob
  const { dataDirectory } = config
  await alice.federation.members.setRole(old, 'operator')
  const secrets = bob.federation.execution.secrets
  await secrets.set({ variable: 'TOKEN' }, 'very secret')
  await bob.federation.datasets.add('data')
  await bob.federation.datasets.add('home', { policy: 'compute-only' })
  await bob.federation.datasets.edit('data', { access: bob.federation.access.changed(undefined, granted) })
  await eventually(
    () => alice.federation.datasets.find('data') !== undefined,
    'alice does not know the dataset',
  )
  await alice.federation.access.grant('data', old, { read: true, vote: true })
  const since = alice.federation.members.admittedMs(old)
  await assert.rejects(rotateKey(dataDirectory), { code: 'DATA_IN_USE' })
  await bob.stop()
  const stolen = await temporaryDirectory(t)
  await copyFile(join(dataDirectory, KEY_FILE), join(stolen, KEY_FILE))

  const { from, to, resealed } = await rotateKey(dataDirectory)
  assert.deepEqual([from, resealed], [old, 1])
  const again = new Node({ config, log: silentLogger })
  t.after(() => again.stop())
  await again.start()
  assert.equal(again.peerId, to)
  const { members } = alice.federation
  await eventually(() => members.get(to)?.name === 'bob', 'alice does not know the new key')
  assert.deepEqual([members.role(to), members.admittedMs(to)], ['operator', since])
  assert.deepEqual([members.isMember(old), members.former(old)?.successor], [false, to])
  const secret = await again.federation.execution.secrets.find({
    variable: 'TOKEN',
    pipeline: 'p',
    step: 's',
  })
  assert.equal(secret, 'very secret')
  // What bob founded is bob's, and what was granted to it as well.
  await again.federation.datasets.edit('data', { description: 'still mine' })
  await eventually(
    () => alice.federation.datasets.find('data')?.record.description === 'still mine',
    'alice differs',
  )
  assert.equal(alice.federation.datasets.find('data')?.owner, to)
  await again.federation.datasets.edit('home', { policy: 'shared' })
  assert.equal(alice.federation.access.facts('data')?.founder, to)
  assert.equal(alice.federation.access.facts('data')?.grants.get(to)?.vote, true)

  const thief = await loadIdentity(stolen)
  const { federation } = alice.federation.genesis
  const late = await sealRecord(thief, { federation, key: '/tools/of-a-thief', time: Date.now() - 3_600_000 })
  assert.equal((await alice.federation.registry.receive(late.envelope)).action, 'ignore')
  const other = await sealRecord(thief, {
    ...{ federation, key: `/successions/${old}`, version: 9 },
    value: alice.federation.registry.get(`/successions/${old}`)?.value ?? null,
  })
  assert.equal((await alice.federation.registry.receive(other.envelope)).action, 'ignore')
  const network = await startLoopbackNetwork(t, { identity: thief })
  const dialled = network.dial(alice.addresses()).then(() => sleep(300))
  await Promise.allSettled([dialled])
  assert.equal(alice.connectedPeers().includes(old), false)
  // The others list what stays of the old key, so that newcomers get it.
  const isListed = () => alice.federation.registry.list(`/departures/${old}/`).length > 0
  await eventually(isListed, 'nobody lists what stays of the old key')
  const carol = await startTestNode(t, 'carol')
  await carol.join((await alice.invite()).token)
  await eventually(
    () => carol.federation.members.get(to)?.role === 'operator',
    'a newcomer does not know bob',
  )
  await eventually(
    () => carol.federation.datasets.find('data')?.owner === to,
    'a newcomer does not know whose it is',
  )
})

test('a key that is replaced twice before the others hear of it is followed to its end', async (t) => {
  const alice = await startTestNode(t, 'alice')
  const bob = await startTestNode(t, 'bob')
  await alice.createFederation({ name: 'observatory' })
  await bob.join((await alice.invite()).token)
  // As an operator it lists what stays of its own old keys before anybody else has heard of the new one.
  await alice.federation.members.setRole(bob.peerId, 'operator')
  const { config } = bob
  await eventually(() => bob.federation.members.self().role === 'operator', 'bob is no operator')
  await bob.stop()
  await rotateKey(config.dataDirectory)
  const { to } = await rotateKey(config.dataDirectory)
  const again = new Node({ config, log: silentLogger })
  t.after(() => again.stop())
  await again.start()
  const { members } = alice.federation
  await eventually(() => members.get(to)?.name === 'bob', 'alice does not know the newest key')
  await eventually(() => alice.federation.registry.list('/departures/').length >= 2, 'nothing was listed')
  assert.deepEqual([members.list().length, members.role(to)], [2, 'operator'])
})

test('of two keys that follow one, as when it was stolen, all come to follow the one that operators list', async (t) => {
  const [alice, bob, carol] = await startFederation(t, ['bob', 'carol'])
  assert(alice && bob && carol)
  await eventually(() => carol.members.isMember(bob.identity.peerId), 'carol does not know bob')
  const old = bob.identity.peerId
  await bob.stop()
  await carol.network.hangUp(alice.identity.peerId)
  const { federation } = alice.genesis
  const [next, thief] = [await generateIdentity(), await generateIdentity()]
  const name = async (node: RegistryNode, successor: Identity, version: number) => {
    const fields = { federation, key: `/successions/${old}`, value: successionOf(federation, old, successor) }
    const { envelope } = await sealRecord(bob.identity, { ...fields, version })
    assert.equal((await node.registry.receive(envelope)).action, 'accept')
  }
  await name(alice, next, 1)
  // Whoever stole the key chooses the version, and tells another member first.
  await name(carol, thief, 2 ** 40)
  await eventually(() => alice.registry.list(`/departures/${old}/`).length > 0, 'alice lists nothing')
  await carol.network.dial(alice.network.addresses())
  const places = ({ members }: RegistryNode) =>
    [old, next.peerId, thief.peerId].map((peer) => members.role(peer))
  await eventually(async () => {
    await carol.sync.pullNow(alice.identity.peerId)
    return places(carol)[1] === 'member' && alice.registry.digest() === carol.registry.digest()
  }, 'the two stay apart')
  for (const node of [alice, carol]) assert.deepEqual(places(node), [undefined, 'member', undefined])
})

test('killed at any moment, the node is the old one or the new one, and whole', async (t) => {
  const bob = await startTestNode(t, 'bob')
  await bob.createFederation({ name: 'observatory' })
  await bob.federation.execution.secrets.set({ variable: 'TOKEN' }, 'very secret')
  const { peerId: first, config } = bob
  const directory = config.dataDirectory
  const { federation } = bob.federation.genesis
  await bob.stop()
  let before = first
  for (let round = 0; round < 4; round += 1) {
    const child = spawn(process.execPath, [
      join(import.meta.dirname, '../support/rotation-process.ts'),
      directory,
    ])
    const told: string[] = []
    const begun = Promise.withResolvers<void>()
    child.stdout.on('data', (data: Buffer) => {
      told.push(...data.toString().trim().split('\n'))
      begun.resolve()
    })
    const ended = new Promise((resolve) => child.once('exit', resolve))
    await begun.promise
    const delayMs = Math.random() * 60
    await sleep(delayMs)
    child.kill('SIGKILL')
    await ended

    const database = await openDatabase(directory)
    await finishKeyChange(directory, database)
    const { peerId, privateKey } = await loadIdentity(directory)
    const { records } = await new RecordStore(database).load(federation)
    const successions = new Map(
      records
        .filter(({ key }) => key.startsWith('/successions/'))
        .map(({ author, value }) => [
          author,
          successionSchema.parse(decodeJson(value as Uint8Array)).successor,
        ]),
    )
    const note = `killed after ${delayMs} ms`
    assert.equal(presentOf(first, successions), peerId, note)
    const acknowledged = told.at(-1) === 'begins' ? before : (told.at(-1) as string)
    assert.ok(peerId === acknowledged || successions.get(acknowledged) === peerId, note)
    const sealed = new SealedValues({ database, key: derivedKey(privateKey, SEALING_PURPOSE) })
    assert.equal(await sealed.get('secrets', 'TOKEN'), 'very secret', note)
    await database.close()
    before = peerId
  }
  const again = new Node({ config, log: silentLogger })
  t.after(() => again.stop())
  await again.start()
  assert.equal(again.federation.members.self().role, 'operator')
})
