import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { inHalves } from '../../../src/datasets/in-halves.ts'

const bad = new Error('one of them is bad')
const numbers = (count: number) => Array.from({ length: count }, (_, index) => index)

async function sifted(count: number, faults: readonly number[], callsMax: number) {
  const done: number[] = []
  let calls = 0
  const work = async (some: readonly number[]) => {
    calls += 1
    if (some.some((one) => faults.includes(one))) throw bad
    done.push(...some)
  }
  const left = await inHalves(numbers(count), work, { mayBeOne: (error) => error === bad, callsMax })
  return {
    done: done.sort((a, b) => a - b),
    left: left.flatMap(({ items }) => items).sort((a, b) => a - b),
    calls,
  }
}

suite('many things at once, of which some are at fault', () => {
  test('all others are done, in few calls', async () => {
    for (const faults of [[], [0], [63], [20, 21], [5, 40, 60]]) {
      const { done, left, calls } = await sifted(64, faults, 32)
      assert.deepEqual(left, faults)
      assert.equal(done.length, 64 - faults.length)
      assert.ok(calls <= 1 + 12 * faults.length, `${calls} calls for ${faults.length}`)
    }
  })

  test('calls are bounded, and nothing is lost of what is left', async () => {
    const { done, left, calls } = await sifted(64, numbers(64), 32)
    assert.deepEqual([done, left, calls], [[], numbers(64), 32])
  })

  test('what none of them is to blame for ends it', async () => {
    const gone = new Error('nobody is there')
    let calls = 0
    const work = async () => {
      calls += 1
      throw gone
    }
    const left = await inHalves([1, 2, 3], work, { mayBeOne: (error) => error === bad, callsMax: 32 })
    assert.deepEqual([left, calls], [[{ items: [1, 2, 3], error: gone }], 1])
    assert.deepEqual(await inHalves([], work, { mayBeOne: () => true, callsMax: 32 }), [])
  })
})
