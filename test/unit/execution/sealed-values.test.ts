import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { type Database, openDatabase, table } from '../../../src/base/database.ts'
import { isNodeError } from '../../../src/base/errors.ts'
import { SEALING_PURPOSE, SealedValues } from '../../../src/execution/secrets/sealed-values.ts'
import { derivedKey } from '../../../src/identity/derived-key.ts'
import { generateIdentity } from '../../../src/identity/node-key.ts'

let directory: string
let database: Database
let sealed: SealedValues

before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'mao-sealed-'))
  database = await openDatabase(directory)
  sealed = new SealedValues({ database, key: await someKey() })
})
after(async () => {
  await database.close()
  await rm(directory, { recursive: true, force: true })
})

async function someKey(): Promise<Uint8Array> {
  return derivedKey((await generateIdentity()).privateKey, SEALING_PURPOSE)
}

interface Row {
  sealed: string
  timeMs: number
}
const rows = () => table<Row>(database, 'sealed-values')

test('what is sealed is told to who names it, and by its name alone to who lists', async () => {
  await sealed.put('secrets', 'p/s/TOKEN', 'hunter2 ünïcode')
  await sealed.put('registries', 'localhost:5000', 'other')
  assert.equal(await sealed.get('secrets', 'p/s/TOKEN'), 'hunter2 ünïcode')
  assert.equal(await sealed.get('registries', 'p/s/TOKEN'), undefined)
  assert.deepEqual(
    (await sealed.list('secrets')).map(({ name }) => name),
    ['p/s/TOKEN'],
  )
  await sealed.put('secrets', 'p/s/TOKEN', '')
  assert.equal(await sealed.get('secrets', 'p/s/TOKEN'), '')
  assert.equal(await sealed.remove('secrets', 'p/s/TOKEN'), true)
  assert.equal(await sealed.remove('secrets', 'p/s/TOKEN'), false)
  assert.equal(await sealed.get('secrets', 'p/s/TOKEN'), undefined)
})

test('nothing of a value lies in the database, and equal values look different', async () => {
  await sealed.put('secrets', 'A', 'a value of some length')
  await sealed.put('secrets', 'B', 'a value of some length')
  const [a, b] = [await rows().get('secrets/A'), await rows().get('secrets/B')]
  assert.notEqual(a?.sealed, b?.sealed)
  const bytes = Buffer.from(a?.sealed ?? '', 'base64')
  assert.ok(!bytes.includes('value'))
})

test('a value opens under its own name and with its own key only, and unchanged', async () => {
  await sealed.put('secrets', 'C', 'mine')
  const row = (await rows().get('secrets/C')) as Row
  const refused = (error: unknown) => isNodeError(error, 'STORE_FAILED') && /set it again/.test(error.message)
  await rows().put('secrets/D', row)
  await assert.rejects(sealed.get('secrets', 'D'), refused)
  const bytes = Buffer.from(row.sealed, 'base64')
  for (const at of [0, 12, bytes.length - 1]) {
    const changed = Buffer.from(bytes)
    changed[at] = (changed[at] ?? 0) ^ 1
    await rows().put('secrets/C', { ...row, sealed: changed.toString('base64') })
    await assert.rejects(sealed.get('secrets', 'C'), refused)
  }
  await rows().put('secrets/C', { ...row, sealed: 'AAAA' })
  await assert.rejects(sealed.get('secrets', 'C'), refused)
  await rows().put('secrets/C', row)
  await assert.rejects(new SealedValues({ database, key: await someKey() }).get('secrets', 'C'), refused)
  assert.equal(await sealed.get('secrets', 'C'), 'mine')
})

test('what is sealed has bounds', async () => {
  await assert.rejects(sealed.put('x', 'big', 'x'.repeat(65 * 1024)), (e) => isNodeError(e, 'TOO_LARGE'))
  await assert.rejects(sealed.put('x', '', 'x'), (e) => isNodeError(e, 'INVALID_NAME'))
})

test('a key for one purpose is no key for another', async () => {
  const { privateKey } = await generateIdentity()
  assert.deepEqual(derivedKey(privateKey, 'a'), derivedKey(privateKey, 'a'))
  assert.notDeepEqual(derivedKey(privateKey, 'a'), derivedKey(privateKey, 'b'))
  assert.equal(derivedKey(privateKey, 'a').length, 32)
})
