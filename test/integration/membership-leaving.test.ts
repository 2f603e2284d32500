import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { requestsPerSourceMax } from '../../src/base/limits.ts'
import { silentLogger } from '../../src/base/logger.ts'
import { generateIdentity } from '../../src/identity/node-key.ts'
import { Node } from '../../src/node.ts'
import { eventually } from '../support/eventually.ts'
import { startTestNode } from '../support/quiet-node.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

test('a member leaves, its data stay, and it joins again; the last operator hands over first', async (t) => {
  const alice = await startTestNode(t, 'alice')
  const bob = await startTestNode(t, 'bob')
  await alice.createFederation({ name: 'observatory' })
  await bob.join((await alice.invite()).token)
  await assert.rejects(alice.entrance.leave(), { code: 'CONFLICT', message: /last operator/ })
  const files = await temporaryDirectory(t)
  await writeFile(join(files, 'names.csv'), 'john\n')
  const founded = await bob.federation.datasets.importDirectory('data', files)
  await bob.federation.datasets.importDirectory('diary', files, { policy: 'local-only' })

  await bob.entrance.leave({ reason: 'moving house' })
  assert.equal(bob.hasFederation, false)
  await eventually(() => alice.federation.members.wasRemoved(bob.peerId), 'alice never heard that bob left')
  assert.equal(alice.federation.members.former(bob.peerId)?.reason, 'it left: moving house')
  await assert.rejects(bob.entrance.leave(), { code: 'NO_FEDERATION' })

  // It is free for a federation of its own, also after a restart.
  const { config } = bob
  await bob.stop()
  const again = new Node({ config, log: silentLogger })
  t.after(() => again.stop())
  await again.start()
  assert.equal(again.hasFederation, false)
  await again.createFederation({ name: 'house' })
  // What it held stays on its disk, and is no dataset of the next federation.
  const held = async () => {
    const copies = await again.federation.datasets.listLocal()
    return copies.map(
      ({ name, policy, former }) => `${name} ${policy ?? 'aside'} ${former ? 'former' : 'current'}`,
    )
  }
  assert.deepEqual(await held(), ['data shared former', 'diary local-only current'])
  assert.equal(again.federation.datasets.find('data'), undefined)
  await again.entrance.leave()

  // Nor does one of the same name that is founded there have anything of it.
  await again.createFederation({ name: 'garden' })
  const anew = await again.federation.datasets.add('data')
  assert.equal(anew.truth, undefined)
  const repository = await again.federation.datasets.repository('data')
  await assert.rejects(repository.readCommit(founded.truth as string), { code: 'COMMIT_NOT_FOUND' })
  assert.deepEqual(await held(), ['data shared current', 'data aside former', 'diary local-only current'])
})

test('a private federation has a key of its own: strangers reach nobody, and leaving gives it back', async (t) => {
  const alice = await startTestNode(t, 'alice')
  const bob = await startTestNode(t, 'bob')
  const eve = await startTestNode(t, 'eve')
  const genesis = await alice.createFederation({ name: 'ward', policy: { private: true, join: 'request' } })
  assert.equal(genesis.private, true)
  const asked = await eve.entrance.request({ addresses: alice.addresses() })
  assert.equal(asked?.state, 'asking')
  assert.equal(eve.connectedPeers().includes(alice.peerId), false)
  await eve.entrance.withdraw()

  const { token, id } = await alice.invite({ role: 'observer', note: 'bob' })
  const { token: lost, id: other } = await alice.invite()
  await alice.federation.membership.invitations.revoke(other)
  await assert.rejects(bob.join(lost), { code: 'INVITATION_INVALID' })
  await bob.join(token)
  assert.equal(bob.federation.members.self().role, 'observer')
  const [used] = await alice.federation.membership.invitations.list()
  assert.deepEqual([used?.id, used?.usedBy], [id, bob.peerId])
  await assert.rejects(alice.federation.membership.invitations.revoke(id), { code: 'INVITATION_USED' })

  // The key is there again after a restart, and gone after leaving.
  const { config } = bob
  await bob.stop()
  const again = new Node({ config, log: silentLogger })
  t.after(() => again.stop())
  await again.start()
  await eventually(
    () => again.connectedPeers().includes(alice.peerId),
    'bob never came back into its network',
  )
  await again.entrance.leave()
  await eve.createFederation({ name: 'other' })
  await again.join((await eve.invite()).token)
  assert.equal(again.federation.genesis.name, 'other')
})

test('a flood of requests by many identities fills a bounded book, and members go on', async (t) => {
  const alice = await startTestNode(t, 'alice')
  await alice.createFederation({ name: 'observatory', policy: { join: 'request' } })
  const { requests } = alice.federation.membership
  const question = { kind: 'request' as const, name: 'sybil', message: 'x'.repeat(1_000), contact: '' }
  const answers = new Map<string, number>()
  for (let count = 0; count < 3 * requestsPerSourceMax; count += 1) {
    const { peerId } = await generateIdentity()
    const outcome = await requests.answer(peerId, question).then(
      ({ kind }) => kind,
      (error: { code: string }) => error.code,
    )
    answers.set(outcome, (answers.get(outcome) ?? 0) + 1)
  }
  assert.deepEqual(Object.fromEntries(answers), {
    pending: requestsPerSourceMax,
    RATE_LIMITED: 2 * requestsPerSourceMax,
  })
  assert.equal(requests.list().length, requestsPerSourceMax)
  // An invitation is no request: whoever is trusted comes in all the same.
  const bob = await startTestNode(t, 'bob')
  await bob.join((await alice.invite()).token)
})
