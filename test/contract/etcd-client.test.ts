import assert from 'node:assert/strict'
import { EtcdLeaseInvalidError, EtcdLockFailedError, type IKeyValue } from 'etcd3'
import { onEveryBackend } from '../support/etcd-backend.ts'
import { openDoor } from '../support/etcd-door.ts'
import { eventually } from '../support/eventually.ts'

onEveryBackend('etcd: the etcd3 client', (tell) => {
  tell('both', 'reads one key in every form, and none', async ({ etcd3, prefix }) => {
    const etcd = etcd3().namespace(prefix)
    await etcd.put('number').value(42)
    await etcd.put('json').value('{"a":[1]}')
    assert.equal(await etcd.get('number').string(), '42')
    assert.equal(await etcd.get('number').number(), 42)
    assert.deepEqual(await etcd.get('json').json(), { a: [1] })
    assert.deepEqual(await etcd.get('number').buffer(), Buffer.from('42'))
    assert.equal(await etcd.get('none').string(), null)
    assert.deepEqual([await etcd.get('number').exists(), await etcd.get('none').exists()], [true, false])
  })

  tell('both', 'reads many: sorted, limited, counted, their keys, at a revision', async (story) => {
    const etcd = story.etcd3().namespace(story.prefix)
    for (const [name, value] of Object.entries({ b: '1', a: '3', c: '2' })) await etcd.put(name).value(value)
    assert.deepEqual(await etcd.getAll().strings(), { a: '3', b: '1', c: '2' })
    assert.deepEqual(await etcd.getAll().numbers(), { a: 3, b: 1, c: 2 })
    assert.deepEqual(await etcd.getAll().keys(), ['a', 'b', 'c'])
    assert.deepEqual(await etcd.getAll().sort('Value', 'Descend').limit(2).keys(), ['a', 'c'])
    assert.deepEqual(await etcd.getAll().sort('Create', 'Ascend').keys(), ['b', 'a', 'c'])
    assert.equal(await etcd.getAll().count(), 3)
    assert.deepEqual(await etcd.getAll().prefix('b').strings(), { b: '1' })
    assert.deepEqual(await etcd.getAll().inRange({ start: 'b', end: 'd' }).keys(), ['b', 'c'])
    const { header } = await etcd.put('a').value('4')
    await etcd.delete().key('b')
    assert.deepEqual(await etcd.getAll().revision(header.revision).strings(), { a: '4', b: '1', c: '2' })
    assert.deepEqual(await etcd.getAll().minModRevision(header.revision).keys(), ['a'])
  })

  tell('both', 'writes and deletes, and is given what was before', async ({ etcd3, prefix }) => {
    const etcd = etcd3().namespace(prefix)
    await etcd.put('a').value('1')
    assert.equal(String((await etcd.put('a').value('2').getPrevious()).value), '1')
    const previous = await etcd.delete().prefix('a').getPrevious()
    assert.deepEqual(
      previous.map(({ value, version }) => `${value} ${version}`),
      ['2 2'],
    )
    assert.equal((await etcd.delete().all()).deleted, '0')
  })

  tell('local', 'touches a key without changing it', async ({ etcd3, prefix }) => {
    const etcd = etcd3().namespace(prefix)
    await etcd.put('a').value('1')
    await etcd.put('a').touch()
    const { kvs } = await etcd.get('a').exec()
    assert.deepEqual([String(kvs[0]?.value), kvs[0]?.version], ['1', '2'])
  })

  tell('local', 'lets one of many in', async ({ etcd3, prefix }) => {
    const etcd = etcd3().namespace(prefix)
    const attempt = (value: string) =>
      etcd.if('a', 'Create', '==', 0).then(etcd.put('a').value(value)).else(etcd.get('a')).commit()
    const answers = await Promise.all(['1', '2', '3', '4', '5'].map(attempt))
    assert.equal(answers.filter(({ succeeded }) => succeeded).length, 1)
    const held = await etcd.get('a').string()
    for (const { succeeded, responses } of answers) {
      if (!succeeded) assert.equal(String(responses[0]?.response_range.kvs[0]?.value), held)
    }
  })

  tell('local', 'namespaces see their own keys alone', async ({ etcd3, prefix }) => {
    const etcd = etcd3()
    const [left, right] = [etcd.namespace(`${prefix}left/`), etcd.namespace(`${prefix}right/`)]
    await left.put('a').value('1')
    await right.put('a').value('2')
    assert.deepEqual([await left.get('a').string(), await right.get('a').string()], ['1', '2'])
    assert.deepEqual(await etcd.getAll().prefix(prefix).keys(), [`${prefix}left/a`, `${prefix}right/a`])
    await left.delete().all()
    assert.deepEqual(await etcd.getAll().prefix(prefix).keys(), [`${prefix}right/a`])
  })

  tell('local', 'a lock is held by one, and is free again afterwards', async ({ etcd3, prefix }) => {
    const etcd = etcd3().namespace(prefix)
    const held = await etcd.lock('door').ttl(10).acquire()
    await assert.rejects(etcd.lock('door').acquire(), EtcdLockFailedError)
    const { kvs } = await etcd.get('door').exec()
    assert.equal(kvs[0]?.lease, await held.leaseId())
    await held.release()
    // The client's timer outlives the lease that it watched by its ttl, and this process with it.
    assert.equal(
      await etcd
        .lock('door')
        .ttl(2)
        .do(() => 'in'),
      'in',
    )
    assert.equal(await etcd.get('door').exists(), false)
  })

  tell('local', 'an election has one leader; the next follows when it resigns', async (story) => {
    const { etcd3, prefix, after } = story
    const [one, two] = [etcd3(), etcd3()].map((etcd) => etcd.namespace(prefix).election('chair', 10))
    assert(one && two)
    assert.equal(await one.leader(), undefined)
    const observer = await two.observe()
    after(() => observer.cancel())
    const heard: (string | undefined)[] = []
    observer.on('change', (leader) => void heard.push(leader))
    const first = await one.campaign('alice').wait()
    await eventually(() => observer.leader() === 'alice', 'nobody heard of alice')
    const second = two.campaign('bob')
    let elected = false
    second.on('elected', () => {
      elected = true
    })
    await first.proclaim('alice again')
    await eventually(() => observer.leader() === 'alice again', 'nobody heard what alice proclaimed')
    assert.deepEqual([await two.leader(), elected], ['alice again', false])
    await first.resign()
    await eventually(() => elected, 'bob never followed')
    await eventually(() => observer.leader() === 'bob', 'nobody heard of bob')
    assert.deepEqual(heard.filter(Boolean), ['alice', 'alice again', 'bob'])
    await second.resign()
    assert.equal(await one.leader(), undefined)
  })

  tell('local', 'ten at once add one each, and nothing is lost', async ({ etcd3, prefix }) => {
    const etcd = etcd3().namespace(prefix)
    await etcd.put('sum').value('0')
    const add = () =>
      etcd.stm({ retries: 200 }).transact(async (tx) => {
        const sum = await tx.get('sum').number()
        await tx.put('sum').value((sum ?? 0) + 1)
        await tx.delete().key('none')
      })
    await Promise.all(Array.from({ length: 10 }, add))
    const { kvs } = await etcd.get('sum').exec()
    assert.deepEqual([String(kvs[0]?.value), kvs[0]?.version], ['10', '11'])
  })

  tell('both', 'a lease holds keys until it is revoked', async ({ etcd3, prefix }) => {
    const etcd = etcd3().namespace(prefix)
    const lease = etcd.lease(5)
    await lease.put('a').value('1')
    assert.equal((await lease.keepaliveOnce()).TTL, '5')
    assert.equal((await etcd.get('a').exec()).kvs[0]?.lease, await lease.grant())
    await lease.revoke()
    assert.equal(await etcd.get('a').exists(), false)
    await assert.rejects(etcd.put('a').value('1').lease(4242).exec(), EtcdLeaseInvalidError)
  })

  tell('both', 'a watch tells puts and deletes until it is cancelled', async (story) => {
    const etcd = story.etcd3().namespace(story.prefix)
    const seen: string[] = []
    const say = (type: string) => (kv: IKeyValue, previous?: IKeyValue) => {
      seen.push(`${type} ${kv.key} ${kv.value} ${previous?.value ?? '-'}`)
    }
    const watcher = await etcd.watch().prefix('w').withPreviousKV().create()
    watcher.on('put', say('put')).on('delete', say('delete'))
    const deletes = await etcd.watch().key('w1').only('delete').create()
    story.after(() => deletes.cancel())
    deletes.on('put', say('wrong')).on('delete', say('gone'))
    await etcd.put('w1').value('1')
    await etcd.put('w1').value('2')
    await etcd.put('other').value('3')
    await etcd.delete().key('w1')
    await eventually(() => seen.length >= 4, 'the watch missed something')
    const gone = seen.indexOf('gone w1  -')
    assert(gone >= 0, seen.join())
    assert.deepEqual(seen.toSpliced(gone, 1), ['put w1 1 -', 'put w1 2 1', 'delete w1  2'])
    await watcher.cancel()
    const after = await etcd.watch().prefix('').create()
    story.after(() => after.cancel())
    after.on('put', say('after'))
    await etcd.put('w1').value('3')
    await eventually(() => seen.length > 4, 'the new watch heard nothing')
    assert.deepEqual(seen.slice(4), ['after w1 3 -'])
  })

  tell('both', 'a watch that was cut off misses nothing and hears nothing twice', async (story) => {
    const { addresses, etcd3, prefix, after } = story
    const door = await openDoor(story, addresses[0] as string)
    const etcd = etcd3().namespace(prefix)
    const far = etcd3({ hosts: door.address }).namespace(prefix)
    const watcher = await far.watch().prefix('').create()
    after(() => watcher.cancel())
    const seen: string[] = []
    watcher.on('put', (kv) => void seen.push(String(kv.value)))
    const links = { up: 1, down: 0 }
    watcher.on('connected', () => void links.up++)
    watcher.on('disconnected', () => void links.down++)
    let number = 0
    const putFive = async () => {
      for (let i = 0; i < 5; i++) await etcd.put('a').value(`${number++}`)
    }
    await putFive()
    await eventually(() => seen.length >= number, 'the watch missed something')
    for (let cut = 1; cut <= 2; cut++) {
      const { up, down } = links
      door.cut()
      await eventually(() => links.down > down, 'the watch did not notice the cut')
      await putFive()
      await eventually(() => links.up > up, 'the watch did not come back')
      await putFive()
      // The client loses what it has not seen yet when it is cut off again while it catches up.
      await eventually(() => seen.length >= number, 'the watch missed something')
    }
    assert.deepEqual(
      seen,
      Array.from({ length: number }, (_, i) => `${i}`),
    )
  })

  tell('both', 'a watch from before the compaction is told so', async ({ etcd3, raw, prefix }) => {
    const etcd = etcd3().namespace(prefix)
    const { header } = await etcd.put('a').value('1')
    await etcd.put('a').value('2')
    await raw.compact({ revision: await raw.revision(), physical: true })
    const watcher = etcd.watch().key('a').startRevision(header.revision).watcher()
    const error = await new Promise<Error>((resolve) => void watcher.on('error', resolve))
    assert.equal(error.message, 'Watcher canceled: ')
  })
})
