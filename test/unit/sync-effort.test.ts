import assert from 'node:assert/strict'
import { test } from 'node:test'
import { syncAuthorsExceptedMax, syncEffortMax, syncRefusedPerAuthorMax } from '../../src/base/limits.ts'
import { Effort, type RefusedOptions } from '../../src/registry/sync-plan.ts'

const DISHONEST = { code: 'INVALID_INPUT', message: /more than it can show/ }

function refuse(effort: Effort, author: string, count: number, options?: RefusedOptions): void {
  for (let n = 0; n < count; n += 1) effort.refused(author, options)
}

test('an author is excepted after so many refusals, and what was on its way by then counts no more than before', () => {
  const effort = new Effort(0)
  refuse(effort, 'amy', syncRefusedPerAuthorMax - 1)
  assert.deepEqual(effort.except, [])
  refuse(effort, 'amy', 1)
  assert.deepEqual(effort.except, ['amy'])
  refuse(effort, 'amy', syncEffortMax - syncRefusedPerAuthorMax)
  assert.throws(() => effort.refused('amy'), DISHONEST)
})

test('who brings records of an author that the question excepted is soon given up', () => {
  const effort = new Effort(0)
  refuse(effort, 'amy', syncEffortMax / 4, { excepted: true })
  assert.throws(() => effort.refused('amy', { excepted: true }), DISHONEST)
})

test('records of former members count nothing while they can be excepted', () => {
  const effort = new Effort(0)
  for (let n = 0; n < syncAuthorsExceptedMax; n += 1) {
    refuse(effort, `former ${n}`, 2_000, { wasMember: true })
  }
  assert.equal(effort.except.length, syncAuthorsExceptedMax)
  refuse(effort, 'one more', syncEffortMax, { wasMember: true })
  assert.equal(effort.except.length, syncAuthorsExceptedMax)
  assert.throws(() => effort.refused('one more', { wasMember: true }), DISHONEST)
})

test('the next pass asks about everybody again', () => {
  const effort = new Effort(0)
  refuse(effort, 'amy', syncRefusedPerAuthorMax)
  effort.forgive()
  assert.deepEqual(effort.except, [])
})
