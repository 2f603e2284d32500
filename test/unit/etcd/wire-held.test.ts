import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HeldByCall, HeldBytes } from '../../../src/etcd/wire/call-scope.ts'

const MIB = 1024 * 1024

test('who holds too much is full; where all together do, who holds little is not', () => {
  const all = new HeldBytes(10 * MIB)
  const [greedy, other] = [new HeldBytes(8 * MIB, all), new HeldBytes(8 * MIB, all)]
  greedy.add(8 * MIB)
  assert.deepEqual([greedy.isFull, other.isFull, all.isFull], [true, false, false])
  const second = new HeldBytes(8 * MIB, all)
  second.add(2 * MIB)
  assert.deepEqual([second.isFull, other.isFull, all.isFull], [true, false, true])
  assert(!other.isFullFor(100_000), 'who holds nothing is not served')
  assert(other.isFullFor(MIB), 'who holds nothing may hold anything')
  greedy.remove(8 * MIB)
  assert.deepEqual([greedy.isFull, second.isFull, other.isFullFor(MIB)], [false, false, false])
})

test('a call that is over holds nothing, whatever is said of it later', () => {
  const held = new HeldBytes(10)
  const call = new HeldByCall(held)
  call.set(4)
  call.set(10)
  assert(held.isFull)
  call.end()
  call.set(10)
  assert(!held.isFull)
})
