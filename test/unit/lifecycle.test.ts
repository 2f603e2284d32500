import assert from 'node:assert/strict'
import { test } from 'node:test'
import { StopStack } from '../../src/base/lifecycle.ts'

const part = (said: string[], name: string, started: Promise<void> = Promise.resolve()) => ({
  start: async () => {
    await started
    said.push(`${name} started`)
  },
  stop: async () => {
    said.push(`${name} stopped`)
  },
})

test('what was started is stopped in reverse, and each although another fails', async () => {
  const said: string[] = []
  const running = new StopStack()
  await running.start('one', part(said, 'one'))
  running.push('bad', () => Promise.reject(new Error('stuck')))
  await running.start('two', part(said, 'two'))
  await assert.rejects(running.unwind(), /bad did not stop: stuck/)
  assert.deepEqual(said, ['one started', 'two started', 'two stopped', 'one stopped'])
})

test('a part whose start ends after all was undone is stopped, and no other is started after it', async () => {
  const said: string[] = []
  const running = new StopStack()
  const slow = Promise.withResolvers<void>()
  const starting = (async () => {
    await running.start('slow', part(said, 'slow', slow.promise))
    await running.start('next', part(said, 'next'))
  })()
  await running.unwind()
  slow.resolve()
  await assert.rejects(starting, { code: 'CANCELLED' })
  assert.deepEqual(said, ['slow started', 'slow stopped'])
})
