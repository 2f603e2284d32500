import assert from 'node:assert/strict'
import { test } from 'node:test'
import { forgettable } from '../../../src/execution/runs/forgettable-runs.ts'

const bounds = { ownMax: 4, membersMax: 3 }
const ended = (id: string, owner?: string) => ({
  id,
  state: 'succeeded' as const,
  ...(owner === undefined ? {} : { owner }),
})

test('of this node’s own runs the oldest that have ended are forgotten, and those at work never', () => {
  const runs = ['1', '2', '3', '4', '5', '6'].map((id) => ended(id))
  assert.deepEqual(forgettable(runs, bounds), ['1', '2'])
  const first = { id: '0', state: 'running' as const, owner: 'node' }
  assert.deepEqual(forgettable([first, ...runs.slice(0, 4)], bounds), ['1'])
  assert.deepEqual(forgettable(runs.slice(0, 4), bounds), [])
})

test('runs of other members displace each other, those of whoever has most first, and none of this node’s own', () => {
  const own = ['1', '2', '3', '4'].map((id) => ended(id))
  const theirs = [ended('a', 'alice'), ended('b', 'mallory'), ended('c', 'mallory'), ended('d', 'mallory')]
  assert.deepEqual(forgettable([...own, ...theirs], bounds), ['b'])
  const more = [...own, ...theirs, ended('e', 'mallory'), ended('f', 'carol')]
  assert.deepEqual(forgettable(more, bounds), ['b', 'c', 'd'])
  const even = ['a', 'b', 'c', 'd'].map((id) => ended(id, `member-${id}`))
  assert.deepEqual(forgettable(even, bounds), ['a'], 'the oldest where all have one')
})
