/**
 * A process for the kill test: opens the registry below the directory given and writes, several at once, as fast as it is
 * acknowledged: records, transactions over local and shared keys, leases with keys on them, and compactions. Each is
 * told by a line, `<what> <number>`, only when it has resolved.
 */
import { systemClock } from '../../src/base/clock.ts'
import { openDatabase } from '../../src/base/database.ts'
import { isNodeError } from '../../src/base/errors.ts'
import { silentLogger } from '../../src/base/logger.ts'
import { kindOf } from '../../src/federation/keyspace.ts'
import { loadIdentity } from '../../src/identity/node-key.ts'
import { RecordStore } from '../../src/registry/record-store.ts'
import { Registry } from '../../src/registry/registry.ts'
import { FEDERATION, openPolicy } from './records.ts'

const [directory = '', first = '0'] = process.argv.slice(2)

const registry = new Registry({
  federation: FEDERATION,
  identity: await loadIdentity(directory),
  store: new RecordStore(await openDatabase(directory)),
  policy: { ...openPolicy, kindOf },
  clock: systemClock,
  log: silentLogger,
})
await registry.start()
const { keyValues } = registry
const bytes = (text: string | number) => new TextEncoder().encode(String(text))

let next = Number(first)
async function forEver(what: string, write: (number: number) => Promise<unknown>): Promise<void> {
  for (;;) {
    next += 1
    const number = next
    await write(number)
    process.stdout.write(`${what} ${number}\n`)
  }
}

const record = (number: number) => registry.put(`/tools/n${number}`, bytes(number))

/** Keys of its own, a shared one among them, and two that every transaction writes. */
const transaction = (number: number) =>
  keyValues.transact(async (tx) => {
    for (const key of [`/local/a${number}`, `/tools/t${number}`, `/local/b${number}`, '/local/left'])
      await tx.put(key, bytes(number), 0n)
    // The next may be planned before this one is durable, and must then see it.
    if (tx.get('/local/left')?.version !== (tx.get('/local/right')?.version ?? 0) + 1) throw new Error('half')
    await tx.put('/local/right', bytes(number), 0n)
    await tx.delete({ from: `/local/b${number}`, to: undefined })
  })

const lease = async (number: number) => {
  const id = BigInt(number)
  await keyValues.leases.grant(id, 100_000)
  await keyValues.transact(async (tx) => {
    await tx.put(`/local/l${number}`, bytes(number), id)
    await tx.put(`/tools/l${number}`, bytes(number), id)
  })
  if (number % 2 === 0) await keyValues.leases.revoke(id)
}

const compaction = async () => {
  await new Promise((resolve) => setTimeout(resolve, 10))
  const target = keyValues.revision - 50
  if (target <= keyValues.compacted) return
  await keyValues.compact(target).catch((error: unknown) => {
    if (!isNodeError(error, 'REVISION_COMPACTED')) throw error
  })
  process.stdout.write(`compacted ${target}\n`)
}

await Promise.all([
  ...Array.from({ length: 4 }, () => forEver('record', record)),
  ...Array.from({ length: 4 }, () => forEver('transaction', transaction)),
  forEver('lease', lease),
  forEver('looked', compaction),
])
