import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type ProvenWorkParts, workersOf } from '../../src/consensus/proven-work.ts'
import type { RoundId } from '../../src/consensus/round-id.ts'

const members = ['a', 'b', 'c', 'd', 'e']
const rounds = ['collect', 'assess'].map((step) => ({ dataset: 'data', step, slot: 1 }))

/** Members whose past has put them into these lines, one of each step. */
function parts(lines: Readonly<Record<string, readonly string[]>>): ProvenWorkParts {
  const repetition = async ({ step }: RoundId) => ({ needed: 1, workers: lines[step] ?? [], check: false })
  const datasets = { find: () => ({ policy: 'shared' }) } as unknown as ProvenWorkParts['datasets']
  const voters = () => members.map((peer) => ({ peer, since: 0 }))
  return { registry: { get: () => undefined }, datasets, terms: { repetition }, voters, now: () => 1 }
}

test('one run for several steps is left to those whose word stands alone in each of their rounds, or to nobody', async () => {
  const shared = await workersOf(
    rounds,
    parts({ collect: ['a', 'b', 'c', 'd', 'e'], assess: ['e', 'd', 'c', 'b', 'a'] }),
  )
  assert.ok(typeof shared === 'object')
  assert.deepEqual(shared.workers, ['c'])
  const none = parts({ collect: ['a', 'b', 'c', 'd'], assess: ['d', 'e'] })
  assert.equal(await workersOf(rounds, none), 'everybody')
})
