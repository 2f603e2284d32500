/** Members of strong mode that want the same keys, and a cluster that does not answer (protocols/strong-mode.md §4). */
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { isNodeError } from '../../src/base/errors.ts'
import { type Logger, silentLogger } from '../../src/base/logger.ts'
import type { Transaction } from '../../src/registry/transaction.ts'
import { eventually } from '../support/eventually.ts'
import { StrongEtcd } from '../support/strong-etcd.ts'
import { type StrongNode, startStrongFederation, startStrongNode } from '../support/strong-node.ts'
import { Wire } from '../support/strong-wire.ts'

const bytes = (text: string) => new TextEncoder().encode(text)
const text = (value: Uint8Array | undefined) =>
  value === undefined ? undefined : Buffer.from(value).toString()

const agreed = (...nodes: readonly StrongNode[]) =>
  eventually(
    () => new Set(nodes.map(({ registry }) => registry.digest())).size === 1,
    'the members never agreed',
    30_000,
  )

/** Counts the proofs that somebody signed two values for one version. */
function clashes(): { readonly log: Logger; readonly seen: string[] } {
  const seen: string[] = []
  const log: Logger = {
    ...silentLogger,
    warn: (...said: unknown[]) => {
      if (said.some((word) => String(word).includes('two values'))) seen.push(JSON.stringify(said))
    },
    child: () => log,
  } as unknown as Logger
  return { log, seen }
}

async function pair(t: TestContext, etcd: StrongEtcd, log: Logger = silentLogger) {
  const [alice, bob] = await startStrongFederation(t, ['bob'], {
    address: { endpoints: etcd.endpoints },
    log,
  })
  assert(alice && bob)
  return { alice, bob }
}

for (const [how, pauseMs] of [
  ['without a pause', 0],
  ['every 20 ms', 20],
] as const) {
  test(`one key of a hundred is written by another ${how}: nobody gives a version two values, and only that key is refused`, async (t) => {
    const etcd = await StrongEtcd.start(t, { members: 1 })
    const { log, seen } = clashes()
    const { alice, bob } = await pair(t, etcd, log)
    let stopped = false
    const hot = (async () => {
      for (let n = 0; !stopped; n += 1) {
        await bob.registry.put('/shared/hot', bytes(`bob ${n}`)).catch(() => undefined)
        if (pauseMs > 0) await sleep(pauseMs)
      }
    })()
    let refused = 0
    const keys = Array.from({ length: 99 }, (_, n) => `/shared/k${n}`)
    try {
      for (let round = 0; round < 6; round += 1) {
        const puts = keys.map((key) => alice.registry.put(key, bytes(`${round}`)))
        // Last, so that what comes before it is in the cluster when it is refused.
        const contested = alice.registry.put('/shared/hot', bytes(`alice ${round}`)).catch((error) => {
          assert(isNodeError(error, 'REGISTRY_MOVED'), String(error))
        })
        refused += (await Promise.allSettled(puts)).filter(({ status }) => status === 'rejected').length
        await contested
      }
    } finally {
      stopped = true
      await hot
    }
    await agreed(alice, bob)
    assert.deepEqual([seen.length, refused], [0, 0], `${seen[0]}`)
    for (const key of keys) {
      const shown = bob.registry.get(key)
      assert.deepEqual([text(shown?.value), shown?.version], ['5', 6], `${key} was not written once a round`)
    }
  })
}

test('a cluster that does not answer holds up what it has to confirm, and nothing else', async (t) => {
  const etcd = await StrongEtcd.start(t, { members: 1 })
  const { log, seen } = clashes()
  const { alice: founder, bob } = await pair(t, etcd, log)
  await founder.stop()
  const wire = await Wire.to(t, etcd.port(0))
  const { genesis, directory } = founder
  const address = { endpoints: [`http://127.0.0.1:${wire.port}`] }
  const alice = await startStrongNode(t, { genesis, directory, address, log })
  await alice.cluster.catchUp()
  const { registry } = alice
  const put = (key: string, value: string) =>
    registry.keyValues.transact(async (tx) => tx.put(key, bytes(value), 0n))
  const count = (tx: Pick<Transaction, 'get'>) => Number(text(tx.get('/local/count')?.value))
  await put('/local/count', '0')

  wire.cut('both')
  const landed: string[] = []
  const shared = registry.put('/shared/mine', bytes('1')).then(() => landed.push('shared'))
  const mixed = registry.keyValues.transact(async (tx) => {
    const next = bytes(`${count(tx) + 1}`)
    await tx.put('/shared/count', next, 0n)
    await tx.put('/local/count', next, 0n)
    landed.push('tried')
  })
  // Of others, by another way than the cluster.
  await bob.registry.put('/shared/theirs', bytes('2'))
  const envelope = bob.registry.envelope('/shared/theirs')
  assert(envelope)
  assert.equal((await registry.receive(envelope)).action, 'accept')
  for (let n = 0; n < 10; n += 1) await put('/local/other', `${n}`)
  const crossing = registry.keyValues.transact(async (tx) => {
    await tx.put('/local/count', bytes(`${count(tx) + 10}`), 0n)
  })
  await put('/local/other', 'last')
  assert.deepEqual([text(registry.get('/shared/theirs')?.value), landed.includes('shared')], ['2', false])
  assert.equal(
    count(registry.keyValues),
    0,
    'what is not confirmed was seen, or a work in flight was crossed',
  )

  wire.mend()
  const [{ revision }, { revision: after }] = await Promise.all([mixed, crossing, shared])
  // What had looked at the count comes to its end as if nothing had been in between, at one revision.
  assert.equal(count(registry.keyValues), 11)
  assert.equal(registry.keyValues.get('/local/count', revision)?.modified, revision)
  assert.equal(registry.keyValues.get('/shared/count')?.modified, revision)
  assert(after > revision)
  await alice.cluster.catchUp()
  await agreed(alice, bob)
  assert.equal(text(bob.registry.get('/shared/count')?.value), '1')
  assert.deepEqual([registry.get('/shared/mine')?.version, seen], [1, []])
})

test('a cluster that lost everything is kept in order as before: what is written over is put back, what has run out is taken out', async (t) => {
  const etcd = await StrongEtcd.start(t, { members: 1 })
  const [alice] = await startStrongFederation(t, [], { address: { endpoints: etcd.endpoints } })
  assert(alice)
  const { registry, cluster, genesis, identity } = alice
  await cluster.catchUp()
  // So that the new history is behind the old one.
  for (let n = 0; n < 50; n += 1) await registry.put('/shared/often', bytes(`${n}`))
  const mine = await registry.put('/shared/mine', bytes('1'))
  const expiresMs = mine.timeMs + 12_000
  await registry.put('/shared/short', bytes('1'), { expiresMs })

  await etcd.kill(0)
  await etcd.restartEmpty(0)
  const place = (key: string) => `/mao/${genesis.federation}/records${key} ${identity.peerId}`
  const kept = async (key: string) => (await etcd.ctl('get', place(key))).includes(genesis.federation)
  await eventually(() => kept('/shared/short'), 'the cluster did not get its records back', 30_000)
  await cluster.catchUp()
  await etcd.ctl('put', place('/shared/mine'), 'rubbish')
  const isBack = async () => !(await etcd.ctl('get', place('/shared/mine'))).includes('rubbish')
  await eventually(isBack, 'what was written over was not put back', 30_000)
  await eventually(
    async () => !(await kept('/shared/short')),
    'the cluster keeps what has run out since',
    40_000,
  )
  assert(await kept('/shared/mine'))
})
