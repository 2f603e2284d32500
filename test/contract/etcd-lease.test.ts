import assert from 'node:assert/strict'
import { status } from '@grpc/grpc-js'
import { onEveryBackend } from '../support/etcd-backend.ts'
import { refused, revisionOf } from '../support/etcd-raw.ts'
import { below, bytes, counters, nameOf, putOp, told } from '../support/etcd-words.ts'

const { FAILED_PRECONDITION, NOT_FOUND, OUT_OF_RANGE } = status
const NO_LEASE = 'etcdserver: requested lease not found'
/** No lease is that long. */
const TTL_MAX = 9_000_000_000

onEveryBackend('etcd: Lease', (tell) => {
  tell('local', 'a lease is granted with the number that is asked for, or another', async ({ raw }) => {
    const own = await raw.grant({ ID: '777001', TTL: 60 })
    assert.deepEqual([own.ID, own.TTL, own.error], ['777001', '60', ''])
    assert.equal(revisionOf(own), await raw.revision(), 'a lease is no change of a key')
    const chosen = await raw.grant({ TTL: 60 })
    assert.match(chosen.ID, /^[1-9]\d+$/)
    const again = raw.grant({ ID: '777001', TTL: 30 })
    await refused(again, FAILED_PRECONDITION, 'etcdserver: lease already exists')
    const listed = (await raw.leases()).leases.map(({ ID }) => ID)
    for (const ID of [own.ID, chosen.ID]) assert(listed.includes(ID))
    await raw.revoke(own.ID)
    await raw.revoke(chosen.ID)
    const left = (await raw.leases()).leases.map(({ ID }) => ID)
    assert(!left.includes(own.ID) && !left.includes(chosen.ID))
    assert.equal((await raw.grant({ ID: '777001', TTL: 60 })).ID, '777001', 'a number that is free again')
    await raw.revoke('777001')
  })

  tell('local', 'a lease is neither too short nor too long', async ({ raw }) => {
    for (const TTL of [1, 0, -1]) {
      const { ID, TTL: granted } = await raw.grant({ TTL })
      assert.equal(granted, '2', `${TTL} s`)
      await raw.revoke(ID)
    }
    const longest = await raw.grant({ TTL: TTL_MAX })
    assert.equal(longest.TTL, `${TTL_MAX}`)
    await raw.revoke(longest.ID)
    const longer = raw.grant({ TTL: TTL_MAX + 1 })
    await refused(longer, OUT_OF_RANGE, 'etcdserver: too large lease TTL')
  })

  tell('local', 'a lease says how long it lasts and which keys it holds', async ({ raw, key, prefix }) => {
    const { ID } = await raw.grant({ TTL: 60 })
    for (const name of ['b', 'a']) await raw.put({ key: key(name), value: bytes('1'), lease: ID })
    const alone = await raw.timeToLive({ ID })
    assert.deepEqual([alone.ID, alone.grantedTTL, alone.keys], [ID, '60', []])
    assert(Number(alone.TTL) >= 50 && Number(alone.TTL) <= 60, alone.TTL)
    const { keys } = await raw.timeToLive({ ID, keys: true })
    assert.deepEqual(keys.map((bytesOfKey) => nameOf(bytesOfKey, prefix)).toSorted(), ['a', 'b'])
    const { TTL, grantedTTL, keys: none } = await raw.timeToLive({ ID: '424242', keys: true })
    assert.deepEqual([TTL, grantedTTL, none], ['-1', '0', []])
    await raw.revoke(ID)
    assert.equal((await raw.timeToLive({ ID })).TTL, '-1')
  })

  tell('local', 'leases are kept alive on one stream; one that is not there has no time', async ({ raw }) => {
    const { ID } = await raw.grant({ TTL: 60 })
    const keeping = raw.keepAlive()
    const kept = await keeping.ask({ ID })
    assert.deepEqual([kept.ID, kept.TTL, revisionOf(kept)], [ID, '60', await raw.revision()])
    const unknown = await keeping.ask({ ID: '424242' })
    assert.deepEqual([unknown.ID, unknown.TTL], ['424242', '0'])
    assert.equal((await keeping.ask({ ID })).TTL, '60')
    await raw.revoke(ID)
    assert.equal((await keeping.ask({ ID })).TTL, '0')
    keeping.finish()
    assert.equal(await keeping.end(), 'ended')
  })

  tell(
    'both',
    'a revoked lease takes its keys with it, all at one revision',
    async ({ raw, key, prefix }) => {
      const { ID } = await raw.grant({ TTL: 60 })
      for (const name of ['c', 'a', 'b']) await raw.put({ key: key(name), value: bytes('1'), lease: ID })
      const { kvs } = await raw.range({ key: key('a') })
      assert.equal(kvs[0]?.lease, ID)
      await raw.put({ key: key('stays'), value: bytes('1') })
      const before = await raw.revision()
      const watch = raw.watch()
      await watch.create({ ...below(prefix), prev_kv: true })
      const revoked = await raw.revoke(ID)
      assert.equal(revisionOf(revoked), before + 1)
      const one = await watch.next()
      assert.deepEqual(told(one.events, prefix), ['Delete a was=1', 'Delete b was=1', 'Delete c was=1'])
      assert.equal(one.events[0]?.prev_kv?.lease, ID)
      assert(one.events.every((event) => Number(event.kv.mod_revision) === before + 1))
      assert.equal((await raw.range({ ...below(prefix), count_only: true })).count, '1')
      await refused(raw.revoke(ID), NOT_FOUND, NO_LEASE)
      const late = raw.put({ key: key('a'), value: bytes('1'), lease: ID })
      await refused(late, NOT_FOUND, NO_LEASE)
      watch.cancel()
    },
  )

  tell('local', 'a lease without keys goes without a revision', async ({ raw }) => {
    const { ID } = await raw.grant({ TTL: 60 })
    const before = await raw.revision()
    assert.equal(revisionOf(await raw.revoke(ID)), before)
    await refused(raw.revoke('424242'), NOT_FOUND, NO_LEASE)
  })

  tell('both', 'a key moves between leases with its puts', async ({ raw, key, prefix }) => {
    const [first, second] = [await raw.grant({ TTL: 60 }), await raw.grant({ TTL: 60 })]
    const keysOf = async ({ ID }: { ID: string }) =>
      (await raw.timeToLive({ ID, keys: true })).keys.map((name) => nameOf(name, prefix)).toSorted()
    const put = (name: string, lease?: { ID: string }) =>
      raw.put({ key: key(name), value: bytes('1'), lease: lease?.ID ?? '0' })
    await put('a', first)
    await put('b', first)
    await put('c', first)
    assert.deepEqual(await keysOf(first), ['a', 'b', 'c'])
    await put('a', second)
    await put('b')
    assert.deepEqual([await keysOf(first), await keysOf(second)], [['c'], ['a']])
    await raw.delete({ key: key('c') })
    assert.deepEqual(await keysOf(first), [])
    await put('c')
    await raw.revoke(first.ID)
    const { kvs } = await raw.range(below(prefix))
    assert.deepEqual(
      kvs.map((kv) => `${nameOf(kv.key, prefix)} ${counters(kv)?.lease}`),
      [`a ${second.ID}`, 'b 0', 'c 0'],
    )
    await raw.revoke(second.ID)
    assert.equal((await raw.range({ key: key('a') })).count, '0')
  })

  tell('local', 'a transaction puts with a lease', async ({ raw, key }) => {
    const { ID } = await raw.grant({ TTL: 60 })
    const [one, two] = [putOp(key('a'), '1'), putOp(key('b'), '2')]
    await raw.txn({ success: [{ request_put: { ...one.request_put, lease: ID } }, two] })
    const { keys } = await raw.timeToLive({ ID, keys: true })
    assert.deepEqual(keys, [key('a')])
    await raw.revoke(ID)
    assert.equal((await raw.range({ key: key('a') })).count, '0')
    assert.equal((await raw.range({ key: key('b') })).count, '1')
  })
})

/** Waiting for time to pass is done side by side; so nobody here counts revisions that others may move. */
onEveryBackend(
  'etcd: leases that end',
  (tell) => {
    tell('both', 'a lease ends by itself: its keys go, and watchers are told', async (story) => {
      const { raw, key, prefix } = story
      const { ID } = await raw.grant({ TTL: 2 })
      for (const name of ['a', 'b']) await raw.put({ key: key(name), value: bytes('1'), lease: ID })
      const watch = raw.watch()
      await watch.create({ ...below(prefix), prev_kv: true })
      const { events } = await watch.next()
      assert.deepEqual(told(events, prefix), ['Delete a was=1', 'Delete b was=1'])
      assert.equal(events[0]?.kv.mod_revision, events[1]?.kv.mod_revision)
      assert.deepEqual((await raw.range(below(prefix))).kvs, [])
      assert.equal((await raw.timeToLive({ ID })).TTL, '-1')
      const keeping = raw.keepAlive()
      assert.equal((await keeping.ask({ ID })).TTL, '0')
      keeping.cancel()
      watch.cancel()
    })

    tell('both', 'a lease that is kept alive does not end, and ends when it is not', async (story) => {
      const { raw, key, prefix, after } = story
      const [kept, left] = [await raw.grant({ TTL: 2 }), await raw.grant({ TTL: 2 })]
      await raw.put({ key: key('kept'), value: bytes('1'), lease: kept.ID })
      await raw.put({ key: key('left'), value: bytes('1'), lease: left.ID })
      const keeping = raw.keepAlive()
      const beat = setInterval(() => keeping.send({ ID: kept.ID }), 400)
      after(() => clearInterval(beat))
      const watch = raw.watch()
      await watch.create(below(prefix))
      assert.deepEqual(told(await watch.events(1), prefix), ['Delete left'])
      assert.equal((await raw.range({ key: key('kept') })).count, '1')
      assert(Number((await raw.timeToLive({ ID: kept.ID })).TTL) >= 0)
      clearInterval(beat)
      assert.deepEqual(told(await watch.events(1), prefix), ['Delete kept'])
      keeping.cancel()
      watch.cancel()
    })

    tell('local', 'a key that was put without its lease again does not go with it', async (story) => {
      const { raw, key, prefix } = story
      const { ID } = await raw.grant({ TTL: 2 })
      for (const name of ['goes', 'stays']) await raw.put({ key: key(name), value: bytes('1'), lease: ID })
      await raw.put({ key: key('stays'), value: bytes('2') })
      const watch = raw.watch()
      await watch.create(below(prefix))
      assert.deepEqual(told(await watch.events(1), prefix), ['Delete goes'])
      assert.equal(String((await raw.range({ key: key('stays') })).kvs[0]?.value), '2')
      watch.cancel()
    })
  },
  { together: true },
)
