import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { seal } from '../../src/identity/envelope.ts'
import { registryTopic } from '../../src/registry/gossip-replication.ts'
import { encodeRecord } from '../../src/registry/record.ts'
import type { VerdictCode } from '../../src/registry/verdict.ts'
import { eventually } from '../support/eventually.ts'
import { newIdentity, sealRecord } from '../support/records.ts'
import { type RegistryNode, startFederation } from '../support/registry-node.ts'
import { rowsOf } from '../support/store-rows.ts'

const bytes = (text: string) => new TextEncoder().encode(text)
const judged = (node: RegistryNode, code: VerdictCode) => node.registry.verdicts.get(code) ?? 0

/** Mallory, a member gone bad, and Carol, who know of each other through Alice alone: mallory – alice – carol. */
async function inARow(t: TestContext) {
  const [alice, carol, mallory] = await startFederation(t, ['carol', 'mallory'])
  assert(alice && carol && mallory)
  const { federation } = alice.genesis
  const say = (envelope: Uint8Array) =>
    mallory.network.gossip.publish(registryTopic(alice.genesis.federation), envelope)
  const sealed = (fields: Parameters<typeof sealRecord>[1], by = mallory.identity) =>
    sealRecord(by, { federation, ...fields })
  /** What Mallory says next is heard by Alice, and by Carol through her. */
  let said = 0
  const untilHeard = async () => {
    said += 1
    const key = `/tools/honest-${said}`
    await mallory.registry.put(key, bytes('honest'))
    for (const node of [alice, carol])
      await eventually(() => node.registry.get(key) !== undefined, `${key} never arrived`)
  }
  await untilHeard()
  await eventually(() => carol.registry.digest() === alice.registry.digest(), 'carol never caught up')
  return { alice, carol, mallory, federation, say, sealed, untilHeard }
}

/** Nothing of what was said is stored, at Alice or at Carol, and Carol has not even been asked. */
async function leavesNoTrace(
  { alice, carol, untilHeard }: Awaited<ReturnType<typeof inARow>>,
  lies: readonly Uint8Array[],
  say: (lie: Uint8Array) => Promise<void>,
  code: VerdictCode,
): Promise<void> {
  const stored = await Promise.all([alice, carol].map(rowsOf))
  const before = {
    digest: alice.registry.digest(),
    revision: alice.registry.revision,
    judged: judged(alice, code),
  }
  for (const lie of lies) await say(lie)
  await eventually(() => judged(alice, code) === before.judged + lies.length, `no verdict of ${code}`)
  assert.equal(alice.registry.digest(), before.digest)
  assert.equal(alice.registry.revision, before.revision)
  assert.deepEqual(await Promise.all([alice, carol].map(rowsOf)), stored)
  // An honest record that went the same way afterwards has overtaken whatever was relayed.
  await untilHeard()
  assert.equal(judged(carol, code), 0, 'it was relayed')
}

test('a flipped signature is rejected, not stored and not relayed', async (t) => {
  const story = await inARow(t)
  const forged = Uint8Array.from((await story.sealed({ key: '/tools/forged' })).envelope)
  forged[forged.length - 1] = (forged.at(-1) as number) ^ 1
  await leavesNoTrace(story, [forged], story.say, 'BAD_ENVELOPE')
})

test('a record that its signer gives out as another member’s is rejected, not stored and not relayed', async (t) => {
  const story = await inARow(t)
  const { alice, carol, sealed, say } = story
  const lies = [
    await sealed({ key: '/tools/stolen', author: alice.identity.peerId }),
    await sealed({ key: `/heads/data/${carol.identity.peerId}`, author: carol.identity.peerId }),
    await sealed({ key: '/tools/stolen', author: alice.identity.peerId }, await newIdentity()),
  ]
  await leavesNoTrace(
    story,
    lies.map(({ envelope }) => envelope),
    say,
    'AUTHOR_MISMATCH',
  )
})

test('a signed record that is moved to another federation is rejected', async (t) => {
  const story = await inARow(t)
  // Carol is honest, and a member of both: what she wrote elsewhere is carried here.
  const [elsewhere] = await startFederation(t, [])
  assert(elsewhere)
  const moved = await sealRecord(story.carol.identity, {
    federation: elsewhere.genesis.federation,
    key: '/tools/moved',
  })
  await leavesNoTrace(story, [moved.envelope], story.say, 'FOREIGN_FEDERATION')
})

test('a signed record that is moved to the key of another dataset is rejected', async (t) => {
  const story = await inARow(t)
  const { alice, carol, mallory, federation, say } = story
  const key = `/heads/data-a/${carol.identity.peerId}`
  await carol.registry.put(key, bytes('{}'))
  await eventually(() => alice.registry.get(key) !== undefined, 'the head never arrived')
  await eventually(() => mallory.registry.get(key) !== undefined, 'mallory never got the head')
  const original = Buffer.from(mallory.registry.envelope(key) as Uint8Array)
  // The key is within what was signed …
  const at = original.indexOf('/heads/data-a/')
  assert(at > 0)
  const patched = Uint8Array.from(original)
  patched.set(bytes('/heads/data-b/'), at)
  await leavesNoTrace(story, [patched], say, 'BAD_ENVELOPE')
  // … and whoever signs it anew signs it as another.
  const record = {
    ...{ federation, key: `/heads/data-b/${carol.identity.peerId}`, value: bytes('{}'), version: 1 },
    ...{ time: Date.now(), since: Date.now(), author: carol.identity.peerId },
  }
  const resealed = seal('record', encodeRecord(record), mallory.identity)
  await leavesNoTrace(story, [resealed], say, 'AUTHOR_MISMATCH')
  // In Mallory's own name it is not his to write.
  const own = await story.sealed({ key: `/heads/data-b/${carol.identity.peerId}` })
  await leavesNoTrace(story, [own.envelope], say, 'INVALID_VALUE')
})

test('the score of a peer that forges falls until it is not listened to any more', async (t) => {
  const { alice, carol, mallory, say, sealed } = await inARow(t)
  for (let n = 0; n < 12; n += 1) {
    const forged = Uint8Array.from((await sealed({ key: `/tools/forged-${n}` })).envelope)
    forged[forged.length - 1] = (forged.at(-1) as number) ^ 1
    await say(forged)
  }
  // Gossipsub keeps a peer's score for a second before it asks again, so the silence sets in a moment later.
  let unheard = 0
  for (let n = 0; unheard < 3; n += 1) {
    assert(n < 20, 'gossip of a peer that only forges is still read')
    const key = `/tools/honest-again-${n}`
    await say((await sealed({ key })).envelope)
    await sleep(400)
    unheard = alice.registry.get(key) === undefined ? unheard + 1 : 0
  }
  // Others are, and what Mallory writes as a member is not lost: catch-up carries it.
  await carol.registry.put('/tools/of-carol', bytes('x'))
  await eventually(() => alice.registry.get('/tools/of-carol') !== undefined, 'carol is not heard either')
  await mallory.registry.put('/tools/of-mallory', bytes('x'))
  await alice.sync.pullNow(mallory.identity.peerId)
  assert(alice.registry.get('/tools/of-mallory'))
})
