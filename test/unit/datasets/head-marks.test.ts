import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openDatabase, table } from '../../../src/base/database.ts'
import { resetsRememberedMax } from '../../../src/base/limits.ts'
import { HeadMarks } from '../../../src/datasets/head-marks.ts'
import { temporaryDirectory } from '../../support/temporary-directory.ts'

const mark = (sequence: number) => ({ sequence, hash: 'a'.repeat(64), resets: {} })

test('a member fills its own marks alone, and never those of the node itself', async (t) => {
  const database = await openDatabase(await temporaryDirectory(t))
  t.after(() => database.close())
  const marks = new HeadMarks({ database, self: 'me', perMemberMax: 2 })
  const put = (author: string, ids: string[]) => Promise.all(ids.map((id) => marks.put(id, author, mark(1))))
  const known = (of: HeadMarks, author: string) =>
    ['a', 'b', 'c'].filter((id) => of.get(id, author) !== undefined)
  for (const author of ['eve', 'me']) await put(author, ['a', 'b', 'c'])
  await put('bob', ['c'])
  assert.deepEqual(
    [known(marks, 'eve'), known(marks, 'me'), known(marks, 'bob')],
    [['a', 'b'], ['a', 'b', 'c'], ['c']],
  )
  await marks.put('a', 'eve', mark(7))
  // What was forgotten makes room, after a restart as well.
  await marks.forget('b')
  const again = new HeadMarks({ database, self: 'me', perMemberMax: 2 })
  await again.load(() => false)
  await again.put('c', 'eve', mark(1))
  await again.put('b', 'eve', mark(1))
  assert.deepEqual(
    [known(again, 'eve'), known(again, 'me')],
    [
      ['a', 'c'],
      ['a', 'c'],
    ],
  )
  assert.equal(again.get('a', 'eve')?.sequence, 7)
})

test('a mark stays small whatever its author does, and envelopes go with heads that were taken back', async (t) => {
  const database = await openDatabase(await temporaryDirectory(t))
  t.after(() => database.close())
  const marks = new HeadMarks({ database, self: 'me' })
  const resets = Object.fromEntries(Array.from({ length: 1_000 }, (_, at) => [`b${at}-eve`, 1]))
  await marks.put('a', 'eve', { ...mark(1), resets })
  const kept = Object.keys(marks.get('a', 'eve')?.resets ?? {})
  assert.deepEqual([kept.length, kept.at(-1)], [resetsRememberedMax, 'b999-eve'])
  for (const name of ['data/eve', 'gone/eve']) await marks.putEnvelope(name, Buffer.from(name))
  // From when marks held all that their author had written.
  await table(database, 'dataset-head-marks').put('b/eve', { ...mark(3), envelope: 'x'.repeat(60_000) })
  const again = new HeadMarks({ database, self: 'me' })
  await again.load((name) => name === 'gone/eve')
  assert.deepEqual(again.get('b', 'eve'), mark(3))
  assert.equal(String(await again.envelope('data/eve')), 'data/eve')
  assert.equal(await again.envelope('gone/eve'), undefined)
})

test('a mark is on the disk when it is remembered, and a flood of heads costs few syncs', async (t) => {
  const database = await openDatabase(await temporaryDirectory(t))
  t.after(() => database.close())
  const marks = new HeadMarks({ database, self: 'me' })
  const batch = database.batch.bind(database) as (...args: unknown[]) => Promise<void>
  const syncs: unknown[] = []
  let isFull = false
  const spied = (rows: unknown[], options: { sync?: boolean }) => {
    syncs.push(options.sync)
    return isFull ? Promise.reject(new Error('the disk is full')) : batch(rows, options)
  }
  Object.assign(database, { batch: spied })
  const ids = Array.from({ length: 500 }, (_, at) => `d${at}`)
  await Promise.all(ids.map((id) => marks.put(id, 'eve', mark(1))))
  await marks.put('d0', 'eve', mark(2))
  assert.deepEqual(syncs, [true, true])
  // What the disk refused goes with the next mark that it takes.
  isFull = true
  await assert.rejects(marks.put('d1', 'eve', mark(3)), /full/)
  isFull = false
  await marks.put('d2', 'eve', mark(4))
  const again = new HeadMarks({ database, self: 'me' })
  await again.load(() => false)
  assert.deepEqual(
    ['d0', 'd1', 'd2', 'd499'].map((id) => again.get(id, 'eve')?.sequence),
    [2, 3, 4, 1],
  )
})
