import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { openDatabase } from '../../src/base/database.ts'
import { RecordStore } from '../../src/registry/record-store.ts'
import { FEDERATION } from '../support/records.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

const writer = join(import.meta.dirname, '../support/writer-process.ts')
/** A hundred in the slow run (`npm run test:slow`). */
const KILLS = Number(process.env.MAO_TEST_KILLS ?? 10)

/** Lets a writer work for `ms` after its first acknowledged write, kills it and returns what was acknowledged. */
async function writeAndKill(t: TestContext, directory: string, first: number, ms: number): Promise<number[]> {
  const child = spawn(process.execPath, [writer, directory, String(first)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  t.after(() => child.kill('SIGKILL'))
  let output = ''
  const exited = once(child, 'exit')
  const started = new Promise<void>((resolve, reject) => {
    child.stdout.on('data', (chunk: Buffer) => {
      output += chunk.toString()
      resolve()
    })
    void exited.then(() => reject(new Error('the writer ended before it wrote')))
  })
  await started
  await sleep(ms)
  child.kill('SIGKILL')
  await exited
  // The last line may be cut; a number counts once its line is complete.
  return output.split('\n').slice(0, -1).map(Number)
}

test(`killed ${KILLS} times in the middle of writes, no acknowledged record is lost`, {
  timeout: 300_000,
}, async (t) => {
  const directory = await temporaryDirectory(t)
  const acknowledged = new Set<number>()
  let first = 0
  for (let kill = 0; kill < KILLS; kill += 1) {
    // Spread over the phases of a write, the same in every run.
    const wrote = await writeAndKill(t, directory, first, (kill * 37) % 120)
    for (const number of wrote) acknowledged.add(number)
    first += 1_000_000

    const database = await openDatabase(directory)
    const stored = await new RecordStore(database).load(FEDERATION)
    await database.close()
    const keys = new Set(stored.records.map(({ key }) => key))
    for (const number of acknowledged)
      assert(keys.has(`/tools/n${number}`), `write ${number} was lost at kill ${kill}`)
  }
  t.diagnostic(`${acknowledged.size} acknowledged writes, all there`)
})
