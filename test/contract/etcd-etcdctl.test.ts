import assert from 'node:assert/strict'
import { onEveryBackend, type Story } from '../support/etcd-backend.ts'
import { revisionOf } from '../support/etcd-raw.ts'
import { bytes } from '../support/etcd-words.ts'
import { eventually } from '../support/eventually.ts'

/** What etcdctl prints when all is well. */
async function says({ ctl }: Story, ...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await ctl(...args)
  assert.equal(code, 0, stderr)
  return stdout
}

/** The last line of what etcdctl complains. */
async function complains({ ctl }: Story, ...args: string[]): Promise<string> {
  const { code, stderr } = await ctl(...args)
  assert.notEqual(code, 0, 'it did as it was told')
  return stderr.trimEnd().split('\n').at(-1) ?? ''
}

onEveryBackend('etcd: etcdctl', (tell, backend) => {
  tell('both', 'puts, gets and deletes with every option', async (story) => {
    const { prefix, raw } = story
    const [a, b, c] = ['a', 'b', 'c'].map((name) => prefix + name) as [string, string, string]
    assert.equal(await says(story, 'put', b, '1'), 'OK\n')
    assert.equal(await says(story, 'put', a, '2'), 'OK\n')
    assert.equal(await says(story, 'put', a, '3', '--prev-kv'), `OK\n${a}\n2\n`)
    const before = await raw.revision()
    await says(story, 'put', c, '0')
    assert.equal(await says(story, 'get', a), `${a}\n3\n`)
    assert.equal(await says(story, 'get', a, '--print-value-only'), '3\n')
    assert.equal(await says(story, 'get', `${prefix}none`), '')
    assert.equal(await says(story, 'get', a, c), `${a}\n3\n${b}\n1\n`)
    assert.equal(await says(story, 'get', prefix, '--prefix', '--keys-only'), `${a}\n\n${b}\n\n${c}\n\n`)
    const newest = ['--sort-by=MODIFY', '--order=DESCEND', '--limit=1']
    assert.equal(await says(story, 'get', prefix, '--prefix', ...newest), `${c}\n0\n`)
    const values = ['--sort-by=VALUE', '--print-value-only']
    assert.equal(await says(story, 'get', prefix, '--prefix', ...values), '0\n1\n3\n')
    assert.equal(await says(story, 'get', c, `--rev=${before}`), '')
    assert.equal(await says(story, 'get', c, '--consistency=s'), `${c}\n0\n`)
    assert.equal((await says(story, 'get', b, '--from-key', '--limit=2')).split('\n')[0], b)
    assert.equal(await says(story, 'del', a, '--prev-kv'), `1\n${a}\n3\n`)
    assert.equal(await says(story, 'del', prefix, '--prefix'), '2\n')
    assert.equal(await says(story, 'del', a), '0\n')
  })

  tell('both', 'prints what it is told as JSON', async (story) => {
    const { raw, key, prefix } = story
    const revision = revisionOf(await raw.put({ key: key('a'), value: bytes('1') }))
    const answer = JSON.parse(await says(story, 'get', `${prefix}a`, '-w', 'json')) as object
    const { header, ...rest } = answer as { header: { revision: number } }
    assert.equal(header.revision, revision)
    const kv = { key: key('a').toString('base64'), create_revision: revision, mod_revision: revision }
    assert.deepEqual(rest, { kvs: [{ ...kv, version: 1, value: 'MQ==' }], count: 1 })
  })

  tell('local', 'keeps the value, or the lease, when told to', async (story) => {
    const a = `${story.prefix}a`
    const granted = await says(story, 'lease', 'grant', '60')
    const [, id = ''] = /^lease ([0-9a-f]{16}) granted with TTL\(60s\)\n$/.exec(granted) ?? []
    await says(story, 'put', a, '1', `--lease=${id}`)
    await says(story, 'put', a, '2', '--ignore-lease')
    const kept = await says(story, 'lease', 'timetolive', id, '--keys')
    assert.match(kept, new RegExp(`^lease ${id} granted with TTL\\(60s\\), remaining.*keys\\(\\[${a}\\]\\)`))
    await says(story, 'put', a, '--ignore-value')
    assert.equal(await says(story, 'get', a), `${a}\n2\n`)
    assert.match(await says(story, 'lease', 'timetolive', id, '--keys'), /keys\(\[\]\)/)
    assert.match(
      await complains(story, 'put', `${a}x`, '--ignore-value'),
      /^Error: etcdserver: key not found$/,
    )
    assert.equal(await says(story, 'lease', 'revoke', id), `lease ${id} revoked\n`)
  })

  tell('both', 'grants, lists, keeps and revokes leases', async (story) => {
    const a = `${story.prefix}a`
    const granted = await says(story, 'lease', 'grant', '100')
    const [, id = ''] = /^lease ([0-9a-f]{16}) granted/.exec(granted) ?? []
    await says(story, 'put', a, '1', `--lease=${id}`)
    assert((await says(story, 'lease', 'list')).split('\n').includes(id))
    const kept = await says(story, 'lease', 'keep-alive', '--once', id)
    assert.equal(kept, `lease ${id} keepalived with TTL(100)\n`)
    await says(story, 'lease', 'revoke', id)
    assert.equal(await says(story, 'get', a), '')
    const expired = `lease ${id} already expired\n`
    assert.equal(await says(story, 'lease', 'timetolive', id), expired)
    const gone = `Error: failed to revoke lease (etcdserver: requested lease not found)`
    assert.equal(await complains(story, 'lease', 'revoke', id), gone)
    const lost = 'Error: etcdserver: requested lease not found'
    assert.equal(await complains(story, 'put', a, '1', `--lease=${id}`), lost)
    assert.equal(await complains(story, 'lease', 'keep-alive', '--once', id), lost)
  })

  tell('local', 'runs a transaction that it reads', async (story) => {
    const [a, b] = [`${story.prefix}a`, `${story.prefix}b`]
    const transaction = `ver("${a}") = "0"\n\nput ${a} "1"\nput ${b} "2"\n\nget ${a}\nget ${b}\n\n`
    const run = () => story.ctlReading(transaction, 'txn')
    assert.equal((await run()).stdout, 'SUCCESS\n\nOK\n\nOK\n')
    assert.equal((await run()).stdout, `FAILURE\n\n${a}\n1\n\n${b}\n2\n`)
    const compared = `val("${a}") = "1"\nmod("${b}") > "0"\n\ndel ${story.prefix} --prefix\n\n\n`
    assert.equal((await story.ctlReading(compared, 'txn')).stdout, 'SUCCESS\n\n2\n')
  })

  tell('both', 'watches, from now and from the past', async (story) => {
    const { raw, key, prefix } = story
    const first = revisionOf(await raw.put({ key: key('a'), value: bytes('1') }))
    const watching = story.ctlRunning('watch', prefix, '--prefix', '--prev-kv', `--rev=${first}`)
    await eventually(() => watching.stdout() !== '', 'etcdctl never saw the past')
    await raw.put({ key: key('a'), value: bytes('2') })
    await raw.put({ key: Buffer.from('/local/elsewhere'), value: bytes('x') })
    await raw.delete({ key: key('a') })
    const a = `${prefix}a`
    const expected = `PUT\n${a}\n1\nPUT\n${a}\n1\n${a}\n2\nDELETE\n${a}\n2\n${a}\n\n`
    await eventually(() => watching.stdout().length >= expected.length, 'etcdctl did not see all')
    assert.equal(watching.stdout(), expected)
  })

  tell('local', 'is told of the compaction', async (story) => {
    const { raw, key, prefix } = story
    for (const value of ['1', '2', '3']) await raw.put({ key: key('a'), value: bytes(value) })
    const now = await raw.revision()
    const past = ['get', `${prefix}a`, `--rev=${now - 1}`]
    assert.equal(await says(story, ...past), `${prefix}a\n2\n`)
    assert.equal(await says(story, 'compaction', `${now}`, '--physical'), `compacted revision ${now}\n`)
    const compacted = 'Error: etcdserver: mvcc: required revision has been compacted'
    assert.equal(await complains(story, ...past), compacted)
    assert.equal(await complains(story, 'compaction', `${now}`), compacted)
    const future = 'Error: etcdserver: mvcc: required revision is a future revision'
    assert.equal(await complains(story, 'compaction', `${now + 1}`), future)
    const { stderr } = await story.ctl('watch', `${prefix}a`, `--rev=${now - 1}`)
    assert.match(stderr, /watch was canceled \(etcdserver: mvcc: required revision has been compacted\)/)
  })

  tell('local', 'locks and elects', async (story) => {
    const { prefix } = story
    const held = story.ctlRunning('lock', `${prefix}door`)
    await eventually(() => held.stdout().startsWith(`${prefix}door/`), 'the lock was never held')
    const waiting = story.ctlRunning('lock', `${prefix}door`, 'echo', 'in')
    held.child.kill('SIGINT')
    assert.equal((await waiting.ended).stdout, 'in\n')
    const leading = story.ctlRunning('elect', `${prefix}chair`, 'alice')
    await eventually(() => leading.stdout().endsWith('\nalice\n'), 'alice was never elected')
    const listening = story.ctlRunning('elect', '--listen', `${prefix}chair`)
    await eventually(() => listening.stdout().endsWith('\nalice\n'), 'nobody heard of alice')
  })

  tell('local', 'asks after members, status, health, hashes and alarms', async (story) => {
    const lines = async (...args: string[]) => (await says(story, ...args)).trimEnd().split('\n')
    const members = await lines('member', 'list')
    assert.equal(members.length, backend.members)
    for (const line of members)
      assert.match(line, /^[0-9a-f]{1,16}, started, [^,]+, [^,]+, http:[^,]+, false$/)
    const statuses = await lines('endpoint', 'status')
    assert.equal(statuses.length, backend.members)
    for (const line of statuses) assert.match(line, /^127\.0\.0\.1:\d+, [0-9a-f]+, 3\.4\.[^,]+, [^,]+B, /)
    assert.equal(statuses.filter((line) => line.split(', ')[4] === 'true').length, 1, 'one leads')
    const { code, stderr } = await story.ctl('endpoint', 'health')
    assert.equal(code, 0)
    assert.equal(stderr.match(/is healthy: successfully committed proposal/g)?.length, backend.members)
    const hashes = (await lines('endpoint', 'hashkv')).map((line) => line.split(', ')[1])
    assert.equal(hashes.length, backend.members)
    assert.equal(await says(story, 'alarm', 'list'), '')
    assert.equal(
      (await lines('defrag')).filter((line) => line.startsWith('Finished')).length,
      backend.members,
    )
  })
})
