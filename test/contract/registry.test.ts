/**
 * What a registry owes its users, whatever carries its records: gossip between the nodes, one etcd, or an etcd cluster
 * of three of which one is killed.
 */
import assert from 'node:assert/strict'
import { after, before, describe, type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { isNodeError } from '../../src/base/errors.ts'
import type { Registry } from '../../src/registry/registry.ts'
import type { Change } from '../../src/registry/watchers.ts'
import { eventually } from '../support/eventually.ts'
import { startFederation, startRegistryNode } from '../support/registry-node.ts'
import { StrongEtcd } from '../support/strong-etcd.ts'
import { type StrongNode, startStrongFederation, startStrongNode } from '../support/strong-node.ts'

interface Member {
  readonly peer: string
  readonly registry: Registry
  /** Starts it again, with what it has on its disk. */
  restart(): Promise<Member>
}

interface Backend {
  readonly name: string
  /** Of two writers at one moment, the second is told so. */
  readonly linear: boolean
  start?(ending: { after(undo: () => void | Promise<void>): void }): Promise<void>
  /** A founder, who is an operator, and two members. */
  federation(t: TestContext): Promise<readonly [Member, Member, Member]>
  /** What may befall it in the middle of writes; resolves when it has passed. */
  shake(members: readonly Member[]): Promise<void>
}

const bytes = (text: string) => new TextEncoder().encode(text)
const text = (value: Uint8Array | undefined) =>
  value === undefined ? undefined : Buffer.from(value).toString()

const gossip = (): Backend => {
  let hangUp: () => Promise<void> = async () => undefined
  return {
    name: 'gossip',
    linear: false,
    async federation(t) {
      const [alice, bob, carol] = await startFederation(t, ['bob', 'carol'])
      assert(alice && bob && carol)
      await bob.network.dial(carol.network.addresses())
      await eventually(() => bob.members.list().length === 3, 'bob never heard of carol')
      hangUp = async () => {
        await alice.network.hangUp(bob.identity.peerId)
        await sleep(200)
        await alice.network.dial(bob.network.addresses())
      }
      const member = (node: typeof alice): Member => ({
        peer: node.identity.peerId,
        registry: node.registry,
        restart: async () => {
          await node.stop()
          const again = await startRegistryNode(t, { genesis: node.genesis, directory: node.directory })
          const other = node === alice ? bob : alice
          await again.network.dial(other.network.addresses())
          return member(again)
        },
      })
      return [member(alice), member(bob), member(carol)]
    },
    shake: () => hangUp(),
  }
}

const strong = (name: string, count: number): Backend => {
  let etcd: StrongEtcd
  return {
    name,
    linear: true,
    async start(ending) {
      etcd = await StrongEtcd.start(ending, { members: count })
    },
    async federation(t) {
      const options = { address: { endpoints: etcd.endpoints } }
      const [alice, bob, carol] = await startStrongFederation(t, ['bob', 'carol'], options)
      assert(alice && bob && carol)
      const member = (node: StrongNode): Member => ({
        peer: node.identity.peerId,
        registry: node.registry,
        restart: async () => {
          await node.stop()
          const { genesis, directory } = node
          return member(await startStrongNode(t, { ...options, genesis, directory }))
        },
      })
      return [member(alice), member(bob), member(carol)]
    },
    async shake() {
      await etcd.kill(0)
      await sleep(500)
      await etcd.restart(0)
    },
  }
}

/** As a user does who is told to try again. */
async function insist(write: () => Promise<unknown>): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      await write()
      return
    } catch (error) {
      const again = isNodeError(error, 'REGISTRY_UNREACHABLE') || isNodeError(error, 'REGISTRY_MOVED')
      if (!again || attempt === 5) throw error
    }
  }
}

const agreed = (members: readonly Member[]) =>
  eventually(
    () => new Set(members.map(({ registry }) => registry.digest())).size === 1,
    'the members never agreed',
    30_000,
  )

for (const backend of [gossip(), strong('one etcd', 1), strong('three etcds', 3)]) {
  describe(`a registry by ${backend.name}`, { timeout: 200_000 }, () => {
    const endings: (() => void | Promise<void>)[] = []
    before(async () => {
      await backend.start?.({ after: (undo) => endings.push(undo) })
    })
    after(async () => {
      for (const undo of endings.reverse()) await undo()
    })

    test('what is put can be got and listed, here at once and with the others soon', async (t) => {
      const [alice, bob, carol] = await backend.federation(t)
      const entry = await bob.registry.put('/tools/collect', bytes('one'))
      assert.equal(entry.author, bob.peer)
      assert.equal(text(bob.registry.get('/tools/collect')?.value), 'one')
      await bob.registry.put('/tools/assess', bytes('two'))
      await bob.registry.put('/tools/collect', bytes('three'))
      for (const { registry } of [alice, carol]) {
        await eventually(
          () =>
            text(registry.get('/tools/collect')?.value) === 'three' && registry.list('/tools/').length === 2,
          'what bob put never arrived',
        )
        assert.deepEqual(
          registry.list('/tools/').map(({ key, author }) => [key, author]),
          [
            ['/tools/assess', bob.peer],
            ['/tools/collect', bob.peer],
          ],
        )
      }
      await agreed([alice, bob, carol])
    })

    test('what is deleted is gone with all, and no copy of it comes to life again', async (t) => {
      const [alice, bob, carol] = await backend.federation(t)
      await bob.registry.put('/tools/collect', bytes('one'))
      const old = bob.registry.envelope('/tools/collect')
      assert(old)
      await eventually(() => alice.registry.get('/tools/collect') !== undefined, 'the tool never arrived')
      await bob.registry.delete('/tools/collect')
      assert.equal(bob.registry.get('/tools/collect'), undefined)
      await bob.registry.delete('/tools/collect')
      for (const { registry } of [alice, carol]) {
        await eventually(
          () => registry.knows('/tools/collect') && registry.get('/tools/collect') === undefined,
          'the deletion never arrived',
        )
        const verdict = await registry.receive(old)
        assert.deepEqual([verdict.action, registry.get('/tools/collect')], ['ignore', undefined])
      }
      await bob.registry.put('/tools/collect', bytes('two'))
      await eventually(
        () => text(carol.registry.get('/tools/collect')?.value) === 'two',
        'it never came anew',
      )
    })

    test('a watch hears of puts and deletions below its prefix, in order, and of nothing else', async (t) => {
      const [alice, bob] = await backend.federation(t)
      const heard: string[] = []
      const hear = ({ key, entry }: Change) => heard.push(`${key} ${text(entry?.value) ?? 'gone'}`)
      t.after(alice.registry.watch('/tools/', hear))
      await bob.registry.put('/tools/a', bytes('1'))
      await bob.registry.put('/pipelines/p', bytes('{}'))
      await bob.registry.put('/tools/a', bytes('2'))
      await bob.registry.delete('/tools/a')
      await bob.registry.put('/tools/b', bytes('3'))
      await eventually(() => heard.includes('/tools/b 3'), 'the watch did not hear of all')
      // Gossip may bring a later record of one key first; the one before it is then no change any more.
      const last = heard.filter((change) => change.startsWith('/tools/a')).at(-1)
      assert.equal(last, '/tools/a gone')
      if (backend.linear) assert.deepEqual(heard, ['/tools/a 1', '/tools/a 2', '/tools/a gone', '/tools/b 3'])
      assert(!heard.some((change) => change.startsWith('/pipelines/')))
    })

    test('what expires is gone with all, and stays gone', async (t) => {
      const [alice, bob] = await backend.federation(t)
      await bob.registry.put('/tools/brief', bytes('x'), { expiresMs: Date.now() + 2_000 })
      await eventually(() => alice.registry.get('/tools/brief') !== undefined, 'it never arrived')
      for (const { registry } of [alice, bob]) {
        await eventually(() => registry.get('/tools/brief') === undefined, 'it never expired')
      }
      const again = await alice.restart()
      await agreed([again, bob])
      assert.equal(again.registry.get('/tools/brief'), undefined)
    })

    test('of one name that several claim, all show the same claim, and keep the others', async (t) => {
      const [alice, bob, carol] = await backend.federation(t)
      await Promise.all([
        bob.registry.put('/tools/same', bytes('of bob')),
        carol.registry.put('/tools/same', bytes('of carol')),
      ])
      const all = [alice, bob, carol]
      await eventually(
        () => all.every((m) => m.registry.claims('/tools/same').length === 2),
        'a claim is lost',
      )
      await agreed(all)
      assert.equal(new Set(all.map((m) => m.registry.get('/tools/same')?.author)).size, 1)
      assert.equal(alice.registry.get('/tools/same')?.contested, true)

      await insist(() => alice.registry.put('/tools/same', bytes('of alice')))
      for (const { registry } of all) {
        await eventually(() => registry.get('/tools/same')?.author === alice.peer, "not the operator's claim")
      }
      // An operator's deletion buries every claim that it has seen.
      await insist(() => alice.registry.delete('/tools/same'))
      for (const { registry } of all) {
        await eventually(() => registry.get('/tools/same') === undefined, 'a buried claim is shown')
      }
    })

    test('a name that is taken is refused to whoever knows that it is', async (t) => {
      const [, bob, carol] = await backend.federation(t)
      const claim = ({ registry, peer }: Member) =>
        registry.put('/tools/mine', bytes(peer), { shown: true }).then(
          () => peer,
          (error: unknown) => {
            assert(isNodeError(error, 'CONFLICT'), String(error))
            return undefined
          },
        )
      const winners = (await Promise.all([claim(bob), claim(carol)])).filter((peer) => peer !== undefined)
      if (backend.linear) assert.equal(winners.length, 1, 'one name was won twice')
      const members = [bob, carol]
      await eventually(
        () => members.every(({ registry }) => winners.includes(registry.get('/tools/mine')?.author ?? '')),
        'a loser is shown',
      )
      await agreed(members)
      const owner = bob.registry.get('/tools/mine')?.author
      const other = owner === bob.peer ? carol : bob
      await assert.rejects(other.registry.put('/tools/mine', bytes('x'), { shown: true }), {
        code: 'CONFLICT',
      })
    })

    test('who may not write a key is refused, and nothing is left of it', async (t) => {
      const [alice, bob, carol] = await backend.federation(t)
      await assert.rejects(bob.registry.put(`/members/${carol.peer}`, bytes('{}')), { code: 'FORBIDDEN' })
      await assert.rejects(bob.registry.put('/nowhere/x', bytes('{}')), { code: 'FORBIDDEN' })
      await bob.registry.put('/tools/after', bytes('x'))
      await eventually(() => alice.registry.get('/tools/after') !== undefined, 'the tool never arrived')
      assert.equal(alice.registry.list('/nowhere/').length, 0)
    })

    test('who starts again has what it had, and what was written meanwhile', async (t) => {
      const [alice, bob] = await backend.federation(t)
      for (let n = 0; n < 20; n += 1) await bob.registry.put(`/tools/t${n}`, bytes(`${n}`))
      await agreed([alice, bob])
      const restarting = alice.restart()
      for (let n = 20; n < 40; n += 1) await bob.registry.put(`/tools/t${n}`, bytes(`${n}`))
      await bob.registry.delete('/tools/t0')
      const again = await restarting
      assert(again.registry.list('/tools/').length >= 20, 'it forgot what it had')
      await agreed([again, bob])
      assert.equal(again.registry.list('/tools/').length, 39)
    })

    test('a local store takes a compare-and-put as one step', async (t) => {
      const [alice, bob] = await backend.federation(t)
      await bob.registry.put('/tools/counted', bytes('0'))
      const add = () =>
        bob.registry.keyValues.transact(async (tx) => {
          const count = Number(text(tx.get('/tools/counted')?.value))
          await tx.put('/tools/counted', bytes(String(count + 1)), 0n)
        })
      await Promise.all(Array.from({ length: 20 }, add))
      await eventually(() => text(alice.registry.get('/tools/counted')?.value) === '20', 'a step was lost')
    })

    test('what two members write while its carrier is shaken is there in the end, once and with both', async (t) => {
      const members = await backend.federation(t)
      const [alice, bob] = members
      let shaken = false
      const shaking = sleep(300)
        .then(() => backend.shake(members))
        .finally(() => {
          shaken = true
        })
      const counts = await Promise.all(
        [alice, bob].map(async ({ registry, peer }) => {
          let n = 0
          for (; !shaken || n < 50; n += 1) {
            const key = `/tools/${peer.slice(-6)}-${n}`
            await insist(() => registry.put(key, bytes(key)))
            await sleep(5)
          }
          return n
        }),
      )
      await shaking
      await agreed(members)
      const all = counts.reduce((sum, count) => sum + count, 0)
      for (const { registry } of members) assert.equal(registry.list('/tools/').length, all)
    })
  })
}
