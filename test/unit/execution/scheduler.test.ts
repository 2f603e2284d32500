import assert from 'node:assert/strict'
import { test } from 'node:test'
import { systemClock } from '../../../src/base/clock.ts'
import { type Logger, silentLogger } from '../../../src/base/logger.ts'
import { Scheduler } from '../../../src/execution/schedules/scheduler.ts'
import { eventually } from '../../support/eventually.ts'

test('a registry that fails to tell its schedules does not end the node: they are looked at again', async (t) => {
  const said: string[] = []
  const error = (_: unknown, message: string) => said.push(message)
  const log = Object.assign(Object.create(silentLogger), { error }) as Logger
  let wake = () => undefined as unknown
  let looks = 0
  const scheduler = new Scheduler({
    schedules: {
      list: () => {
        looks += 1
        if (looks === 1) throw new Error('not now')
        return []
      },
      watch: (onItem) => {
        wake = () => onItem('work', undefined)
        return () => undefined
      },
    },
    lastSlotRun: () => undefined,
    memberSinceMs: () => 0,
    fire: async () => undefined,
    clock: systemClock,
    log,
  })
  t.after(() => scheduler.stop())
  await scheduler.start()
  await eventually(() => said.length > 0, 'nothing was said')
  assert.deepEqual(said, ['the schedules were not looked at'])
  wake()
  await eventually(() => looks === 2, 'the schedules were not looked at again')
  assert.equal(said.length, 1)
})
