import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { systemClock } from '../../src/base/clock.ts'
import { openDatabase } from '../../src/base/database.ts'
import { silentLogger } from '../../src/base/logger.ts'
import { kindOf } from '../../src/federation/keyspace.ts'
import { loadIdentity } from '../../src/identity/node-key.ts'
import { EVERY_KEY } from '../../src/registry/key-range.ts'
import { type Loaded, RecordStore } from '../../src/registry/record-store.ts'
import { Registry } from '../../src/registry/registry.ts'
import { FEDERATION, openPolicy } from '../support/records.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

const writer = join(import.meta.dirname, '../support/writer-process.ts')
/** A hundred in the slow run (`npm run test:slow`). */
const KILLS = Number(process.env.MAO_TEST_KILLS ?? 10)

/** What a writer said that it has done, by what it was. */
type Acknowledged = Map<string, number[]>

/** Lets a writer work for `ms` after its first acknowledged write, kills it and adds what was acknowledged. */
async function writeAndKill(
  t: TestContext,
  directory: string,
  first: number,
  ms: number,
  done: Acknowledged,
): Promise<void> {
  const child = spawn(process.execPath, [writer, directory, String(first)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  t.after(() => child.kill('SIGKILL'))
  let output = ''
  const exited = once(child, 'exit')
  const started = new Promise<void>((resolve, reject) => {
    child.stdout.on('data', (chunk: Buffer) => {
      output += chunk.toString()
      // On a busy machine a look for what could be compacted may end before the first write.
      if (/^(?:record|transaction|lease) /m.test(output)) resolve()
    })
    void exited.then(() => reject(new Error('the writer ended before it wrote')))
  })
  await started
  await sleep(ms)
  assert.equal(child.exitCode, null, 'the writer ended by itself')
  child.kill('SIGKILL')
  await exited
  // The last line may be cut; what it says counts once its line is complete.
  for (const line of output.split('\n').slice(0, -1)) {
    const [what = '', number] = line.split(' ')
    done.set(what, [...(done.get(what) ?? []), Number(number)])
  }
}

/** What is on the disk, and a registry that was started on it. */
async function open(directory: string) {
  const database = await openDatabase(directory)
  const store = new RecordStore(database)
  const loaded = await store.load(FEDERATION)
  const registry = new Registry({
    ...{ federation: FEDERATION, identity: await loadIdentity(directory), store },
    ...{ policy: { ...openPolicy, kindOf }, clock: systemClock, log: silentLogger },
  })
  await registry.start()
  const close = async () => {
    await registry.stop()
    await database.close()
  }
  return { loaded, registry, close }
}

/** The records and the versions of shared keys on the disk say the same. */
function agree({ records, versions, revision, compacted }: Loaded): void {
  const old = new Set<string>()
  const shown = new Map<string, string | undefined>()
  let last = 0
  for (const kv of versions) {
    assert(kv.modified >= last && kv.modified <= revision, `${kv.key} is at ${kv.modified} of ${revision}`)
    last = kv.modified
    // A compaction keeps of each key what it then showed, and nothing else.
    assert(kv.modified > compacted || !old.has(kv.key), `${kv.key} has versions that were compacted`)
    old.add(kv.key)
    if (kindOf(kv.key) === 'shared')
      shown.set(kv.key, kv.isTombstone ? undefined : Buffer.from(kv.value).toString())
  }
  for (const { key, value } of records) {
    const text = value === null ? undefined : Buffer.from(value).toString()
    assert.equal(shown.get(key), text, `${key} is recorded as ${text} and shown as ${shown.get(key)}`)
    shown.delete(key)
  }
  for (const [key, text] of shown) assert.equal(text, undefined, `${key} is shown and not recorded`)
}

/** All that was acknowledged is there, and nothing is there by half. */
function checkKept(registry: Registry, done: Acknowledged, kill: number): void {
  const { keyValues } = registry
  const text = (key: string) => {
    const kv = keyValues.get(key)
    return kv && Buffer.from(kv.value).toString()
  }
  for (const number of done.get('record') ?? [])
    assert.equal(registry.get(`/tools/n${number}`)?.version, 1, `write ${number} was lost at kill ${kill}`)
  for (const number of done.get('transaction') ?? [])
    assert.equal(text(`/local/a${number}`), String(number), `transaction ${number} was lost at kill ${kill}`)
  const leases = new Set(keyValues.leases.list())
  for (const number of done.get('lease') ?? []) {
    const left = number % 2 === 1 ? String(number) : undefined
    assert.equal(leases.has(BigInt(number)), left !== undefined, `lease ${number} at kill ${kill}`)
    for (const key of [`/local/l${number}`, `/tools/l${number}`])
      assert.equal(text(key), left, `${key} at kill ${kill}`)
  }
  for (const target of done.get('compacted') ?? [])
    assert(keyValues.compacted >= target, `the compaction at ${target} was lost at kill ${kill}`)

  const half = `a transaction is half there after kill ${kill}`
  const [left, right] = [keyValues.get('/local/left'), keyValues.get('/local/right')]
  assert.equal(left?.modified, right?.modified, half)
  assert.equal(left?.version, right?.version, half)
  for (const kv of keyValues.range(EVERY_KEY)) {
    const [, place = '', what = '', number = ''] = /^\/(local|tools)\/([atbl])(\d+)$/.exec(kv.key) ?? []
    assert(what !== 'b', half)
    if (what !== 'a' && what !== 't' && what !== 'l') continue
    const other = what === 'l' ? what : what === 'a' ? 't' : 'a'
    const beside = keyValues.get(`/${place === 'local' ? 'tools' : 'local'}/${other}${number}`)
    assert.equal(beside?.modified, kv.modified, half)
    assert.equal(kv.lease, what === 'l' ? BigInt(number) : 0n)
    if (what === 'l') assert(leases.has(kv.lease), `${kv.key} hangs on no lease after kill ${kill}`)
  }
}

test(`killed ${KILLS} times in the middle of writes, transactions, leases and compactions, nothing acknowledged is lost and nothing is there by half`, {
  timeout: 300_000,
}, async (t) => {
  const directory = await temporaryDirectory(t)
  const done: Acknowledged = new Map()
  let [first, revision] = [0, 0]
  for (let kill = 0; kill < KILLS; kill += 1) {
    // Spread over the phases of a write, the same in every run.
    await writeAndKill(t, directory, first, (kill * 37) % 120, done)
    first += 1_000_000
    const { loaded, registry, close } = await open(directory)
    agree(loaded)
    assert.equal(registry.revision, loaded.revision, 'the start had something to mend')
    assert(registry.revision > revision, 'revisions went back')
    revision = registry.revision
    checkKept(registry, done, kill)
    await close()
  }
  for (const what of ['record', 'transaction', 'lease', 'compacted'])
    assert(done.has(what), `no ${what} at all`)
  t.diagnostic([...done].map(([what, numbers]) => `${numbers.length} × ${what}`).join(', '))
})
