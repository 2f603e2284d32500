/**
 * A process for the kill test: opens the registry below the directory given, writes numbered records as fast as they
 * are acknowledged, several at once, and prints the number of each only when `put` has resolved.
 */
import { systemClock } from '../../src/base/clock.ts'
import { openDatabase } from '../../src/base/database.ts'
import { silentLogger } from '../../src/base/logger.ts'
import { loadIdentity } from '../../src/identity/node-key.ts'
import { RecordStore } from '../../src/registry/record-store.ts'
import { Registry } from '../../src/registry/registry.ts'
import { FEDERATION, openPolicy } from './records.ts'

const WRITERS = 8
const [directory = '', first = '0'] = process.argv.slice(2)

const database = await openDatabase(directory)
const registry = new Registry({
  federation: FEDERATION,
  identity: await loadIdentity(directory),
  store: new RecordStore(database),
  policy: openPolicy,
  clock: systemClock,
  log: silentLogger,
})
await registry.start()

let next = Number(first)
async function write(): Promise<void> {
  for (;;) {
    const number = next
    next += 1
    await registry.put(`/tools/n${number}`, new TextEncoder().encode(String(number)))
    process.stdout.write(`${number}\n`)
  }
}
await Promise.all(Array.from({ length: WRITERS }, write))
