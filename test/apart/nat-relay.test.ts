import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { z } from 'zod'
import { entryDetailSchema } from '../../src/api/registry-views.ts'
import { overviewSchema } from '../../src/api/status-views.ts'
import { memberSchema } from '../../src/api/views.ts'
import { eventually } from '../support/eventually.ts'
import { chapter } from '../support/namespaces/chapter.ts'
import { allAlike, allConnected, connectedTo, putTool, wayTo } from '../support/namespaces/federation.ts'
import type { NodeOnHost } from '../support/namespaces/node-on-host.ts'
import { World } from '../support/namespaces/world.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

const RELAYED_TIMEOUT_MS = 30_000
const DATA_BYTES = 4 << 20

async function makeOperator(operator: NodeOnHost, node: NodeOnHost): Promise<void> {
  const members = await operator.get('/federation/members', z.array(memberSchema))
  const { name, since } = members.find(({ peer }) => peer === node.peerId) ?? {}
  const value = { json: { name, since, role: 'operator' } }
  await operator.put('/registry/entry', entryDetailSchema, { key: `/members/${node.peerId}`, value })
}

test('two members behind routers that let nobody in work together through an operator’s node', {
  timeout: 240_000,
}, async (t) => {
  const world = await World.open(t)
  const internet = await world.internet()
  const [nat1, nat2] = await Promise.all([world.nat(internet, '192.168.1'), world.nat(internet, '192.168.2')])
  const outside = await world.host(internet)
  const olga = world.node('olga', outside)
  const bob = world.node('bob', await world.hostBehind(nat1))
  const carol = world.node('carol', await world.hostBehind(nat2))
  const all = [olga, bob, carol]
  await Promise.all(all.map((node) => node.start()))

  await chapter(t, 'who is behind a router gets a place at the relay, and tells it', async (t) => {
    await olga.found('lab')
    await olga.admit(bob)
    const begunMs = performance.now()
    const relayed = async () =>
      (await bob.addresses()).some((address) => address.includes(`${olga.peerId}/p2p-circuit`))
    await eventually(relayed, 'bob got no place at the relay', RELAYED_TIMEOUT_MS)
    t.diagnostic(`a place after ${Math.round(performance.now() - begunMs)} ms`)
  })

  await chapter(
    t,
    'an operator behind a router invites, and the newcomer comes through the relay',
    async () => {
      await makeOperator(olga, bob)
      await allAlike([olga, bob])
      await bob.admit(carol)
      await allConnected(all)
      assert.match(await wayTo(bob, carol), new RegExp(`/p2p/${olga.peerId}/p2p-circuit`))
    },
  )

  await chapter(t, 'each says in words how it is reached', async () => {
    const told = async (node: NodeOnHost) => (await node.get('/status', overviewSchema)).node.reachability
    const relayed = async () =>
      (await Promise.all([bob, carol].map(told))).every(({ status }) => status === 'relayed')
    await eventually(relayed, 'bob or carol does not know that a relay leads to them', RELAYED_TIMEOUT_MS)
    for (const node of [bob, carol]) {
      const { words, relays } = await told(node)
      assert.deepEqual(relays, [olga.peerId])
      assert.match(words, /cannot be dialled from outside; others reach it through a relay/)
    }
    assert.equal((await told(olga)).status, 'public')
  })

  await chapter(t, 'what one writes the other has at once', async (t) => {
    await Promise.all([putTool(bob, 'of-bob'), putTool(carol, 'of-carol')])
    const begunMs = performance.now()
    await allAlike(all)
    t.diagnostic(`alike after ${Math.round(performance.now() - begunMs)} ms`)
  })

  await chapter(t, 'a dataset comes through the relay as it was made', async (t) => {
    const directory = join(await temporaryDirectory(t), 'readings')
    await mkdir(directory)
    const bytes = randomBytes(DATA_BYTES)
    await writeFile(join(directory, 'readings.bin'), bytes)
    await carol.maoctl('dataset', 'import', directory, '--name', 'readings')
    const begunMs = performance.now()
    let came: Buffer | undefined
    const arrived = async () => {
      came = await bob.bytes('GET', '/datasets/readings/files/readings.bin?at=carol').catch(() => undefined)
      return came !== undefined
    }
    await eventually(arrived, 'bob never had the dataset', RELAYED_TIMEOUT_MS)
    t.diagnostic(`${DATA_BYTES} bytes after ${Math.round(performance.now() - begunMs)} ms`)
    assert.match(await wayTo(bob, carol), /\/p2p-circuit/)
    assert.equal(hash(came as Buffer), hash(bytes))
  })

  await chapter(t, 'the relay is killed and comes back, and nobody has to type anything', async (t) => {
    await olga.stop('SIGKILL')
    await Promise.all([bob, carol].map((node) => connectedTo(node, [], RELAYED_TIMEOUT_MS)))
    await Promise.all([putTool(bob, 'meanwhile-bob'), putTool(carol, 'meanwhile-carol')])
    await olga.start()
    const begunMs = performance.now()
    await allConnected(all, RELAYED_TIMEOUT_MS)
    await allAlike(all)
    t.diagnostic(`together ${Math.round(performance.now() - begunMs)} ms after the relay was back`)
  })
})

const hash = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')
