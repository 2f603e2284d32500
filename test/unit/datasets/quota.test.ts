import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { isNodeError } from '../../../src/base/errors.ts'
import type { DatasetEvent } from '../../../src/datasets/dataset-events.ts'
import { Accounts } from '../../../src/datasets/upkeep/accounts.ts'
import { contentOf, newBytes } from '../../../src/datasets/upkeep/new-bytes.ts'
import { noRoom, roomLeft, type Usage } from '../../../src/datasets/upkeep/room-left.ts'
import { directoryOf, noise } from '../../support/dataset-node.ts'
import { temporaryDirectory } from '../../support/temporary-directory.ts'

const usage: Usage = {
  bytes: 40,
  bytesOfAll: 70,
  quotaBytes: 100,
  totalBytes: 200,
  freeBytes: 1_000,
  freeBytesMin: 500,
}

test('the nearest bound says what is left', () => {
  assert.deepEqual(roomLeft(usage), { bound: 'quota', bytes: 60 })
  assert.deepEqual(roomLeft({ ...usage, bytesOfAll: 190 }), { bound: 'total', bytes: 10 })
  assert.deepEqual(roomLeft({ ...usage, freeBytes: 505 }), { bound: 'disk', bytes: 5 })
  assert.deepEqual(roomLeft({ ...usage, bytes: 300 }), { bound: 'quota', bytes: 0 })
  assert.deepEqual(roomLeft({ ...usage, quotaBytes: 0, totalBytes: 0 }), { bound: 'disk', bytes: 500 })
})

test('a refusal says the numbers and the ways out', () => {
  const { code, message } = noRoom({ dataset: 'air', usage, bound: 'quota', wantedBytes: 61 })
  assert.equal(code, 'QUOTA_EXCEEDED')
  for (const part of ['40 of the 100 bytes', '61 more', 'dataset gc air', 'datasets.quotaBytes'])
    assert(message.includes(part), `"${part}" is not in: ${message}`)
  const nothing = noRoom({
    dataset: 'air',
    usage: { ...usage, comingBytes: 40 },
    bound: 'quota',
    wantedBytes: 61,
  })
  assert.match(nothing.message, /takes 0 of the 100 bytes that it may, 40 are on their way here, and 61 more/)
  assert.doesNotMatch(nothing.message, /dataset gc/, 'nothing is here that a collection could drop')
  assert.match(
    noRoom({ dataset: 'air', usage, bound: 'total' }).message,
    /70 of the 200.*remove-local.*datasets\.totalBytes/,
  )
  const full = noRoom({ dataset: 'air', usage, bound: 'disk' })
  assert.equal(full.code, 'DISK_FULL')
  assert.match(full.message, /1000 bytes left.*500 are kept free.*datasets\.freeBytesMin/)
})

/** Datasets of which the size is whatever the test says. */
async function accountsOf(t: Parameters<typeof temporaryDirectory>[0], settings: Partial<Usage> = {}) {
  const sizes: Record<string, number> = { air: 0, soil: 0 }
  const events: DatasetEvent[] = []
  const accounts = new Accounts({
    directory: await temporaryDirectory(t),
    settings: { quotaBytes: 100, totalBytes: 0, freeBytesMin: 0, ...settings },
    emit: (event) => events.push(event),
  })
  for (const name of Object.keys(sizes))
    accounts.open(name, async () => ({ bytes: sizes[name] ?? 0, looseObjects: 0, packs: 0, objects: 0 }))
  return { accounts, sizes, events }
}

test('two that come at once do not take the same room twice', async (t) => {
  const { accounts, sizes } = await accountsOf(t)
  const [a, b] = [await accounts.claim('air'), await accounts.claim('air')]
  await a.take(60)
  await b.take(30)
  await assert.rejects(b.take(30), (error) => isNodeError(error, 'QUOTA_EXCEEDED'))
  assert.equal((await accounts.room('air')).bytes, 10)
  // One came to nothing, the other is in the repository now.
  b.settle()
  sizes.air = 60
  a.settle()
  assert.equal((await accounts.room('air')).bytes, 40)
  assert.equal((await accounts.room('soil')).bytes, 100)
})

test('what comes is added up while the bound is far, and measured when it is near', async (t) => {
  let [bytes, measured] = [0, 0]
  const { accounts } = await accountsOf(t)
  accounts.open('ice', async () => {
    measured += 1
    return { bytes, looseObjects: 0, packs: 0, objects: 0 }
  })
  for (let n = 0; n < 9; n += 1) {
    const claim = await accounts.claim('ice')
    await claim.take(10)
    claim.settle()
  }
  assert.equal(measured, 1)
  // Half of it was never admitted.
  bytes = 45
  const claim = await accounts.claim('ice')
  assert.equal(measured, 2)
  await claim.take(50)
  await assert.rejects(claim.take(5), { code: 'QUOTA_EXCEEDED' })
})

test('all datasets together have a bound of their own', async (t) => {
  const { accounts, sizes, events } = await accountsOf(t, { quotaBytes: 0, totalBytes: 100 })
  sizes.soil = 90
  const claim = await accounts.claim('air')
  await claim.take(9)
  await assert.rejects(claim.take(9), (error) => isNodeError(error, 'QUOTA_EXCEEDED'))
  assert.deepEqual(events, [
    { type: 'quota-exceeded', dataset: 'air', bound: 'total', bytes: 99, bytesMax: 100 },
  ])
})

test('that there is no room is told once, and again when there had been some', async (t) => {
  const { accounts, sizes, events } = await accountsOf(t)
  sizes.air = 100
  accounts.changed('air')
  for (let n = 0; n < 3; n += 1) await assert.rejects(accounts.claim('air'), { code: 'QUOTA_EXCEEDED' })
  assert.equal(events.length, 1)
  sizes.air = 0
  accounts.changed('air')
  // To have begun is not enough.
  const larger = await accounts.claim('air')
  await larger.take(50)
  await assert.rejects(larger.take(100), { code: 'QUOTA_EXCEEDED' })
  larger.settle()
  await assert.rejects((await accounts.claim('air')).take(100), { code: 'QUOTA_EXCEEDED' })
  assert.equal(events.length, 1)
  accounts.changed('air')
  const claim = await accounts.claim('air')
  await claim.take(50)
  claim.settle()
  sizes.air = 100
  accounts.changed('air')
  await assert.rejects(accounts.claim('air'), { code: 'QUOTA_EXCEEDED' })
  assert.equal(events.length, 2)
})

test('a disk without room to spare is told apart from a quota', async (t) => {
  const { accounts, events } = await accountsOf(t, { freeBytesMin: Number.MAX_SAFE_INTEGER })
  await assert.rejects(accounts.claim('air'), { code: 'DISK_FULL' })
  assert.equal(events[0]?.type, 'disk-low')
})

test('what a directory would add is what is new in it, compressed', async (t) => {
  const directory = await directoryOf(t, { 'old.bin': noise(10_000), 'new.bin': noise(20_000) })
  await writeFile(join(directory, 'zeros'), Buffer.alloc(1_000_000))
  await writeFile(join(directory, 'zeros again'), Buffer.alloc(1_000_000))
  const content = await contentOf(directory)
  assert.equal(content.bytes, 2_030_000)
  const old = createHash('sha1')
    .update('blob 10000\0')
    .update(await readFile(join(directory, 'old.bin')))
  const bytes = await newBytes(directory, content, new Set([old.digest('hex')]))
  assert(bytes >= 20_000 && bytes < 30_000, `${bytes} bytes`)
})
