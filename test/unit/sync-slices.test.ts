import assert from 'node:assert/strict'
import { test } from 'node:test'
import { syncQuestionsPerPeerMax } from '../../src/base/limits.ts'
import { withDeadline } from '../../src/base/wait.ts'
import { type Sliced, SyncSlices } from '../../src/registry/sync-slices.ts'

const END_MS = 30_000

/** Works until it is told that it is enough. */
function* until(enough: () => boolean): Sliced<string> {
  while (!enough()) yield
  return 'done'
}

test('between two slices all else has its turn', async () => {
  let turns = 0
  const turn = () => {
    turns += 1
    if (turns < 5) setImmediate(turn)
  }
  setImmediate(turn)
  const done = new SyncSlices().run(
    'amy',
    until(() => turns === 5),
  )
  assert.equal(await withDeadline(done, END_MS, 'The work'), 'done')
})

test('who asks about much does not keep another from being answered, however many streams it has', async () => {
  const slices = new SyncSlices()
  let isAnswered = false
  const long = Array.from({ length: syncQuestionsPerPeerMax }, () =>
    slices.run(
      'amy',
      until(() => isAnswered),
    ),
  )
  const short = slices.run(
    'ben',
    until(() => true),
  )
  assert.equal(await withDeadline(short, END_MS, 'The short answer'), 'done')
  isAnswered = true
  const all = await withDeadline(Promise.all(long), END_MS, 'The long answers')
  assert(all.every((result) => result === 'done'))
})

test('questions of one peer that wait are bounded, and there is room again when they are answered', async () => {
  const slices = new SyncSlices()
  let isEnough = false
  const run = () =>
    slices.run(
      'amy',
      until(() => isEnough),
    )
  const waiting = Array.from({ length: syncQuestionsPerPeerMax }, run)
  await assert.rejects(run(), { code: 'QUEUE_FULL' })
  isEnough = true
  await withDeadline(Promise.all(waiting), END_MS, 'The answers')
  assert.equal(await withDeadline(run(), END_MS, 'The answer'), 'done')
})

test('work that fails fails alone', async () => {
  const slices = new SyncSlices()
  const failing = slices.run(
    'amy',
    until(() => {
      throw new Error('broken')
    }),
  )
  const next = slices.run(
    'amy',
    until(() => true),
  )
  await assert.rejects(failing, /broken/)
  assert.equal(await withDeadline(next, END_MS, 'The next answer'), 'done')
})
