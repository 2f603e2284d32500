import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { delay } from '../../../src/base/wait.ts'
import { type Asked, askBeside } from '../../../src/datasets/exchange/beside.ts'

const LIMITS = { afterMs: 20, silentMaxMs: 60 }
const HOUR = 3_600_000

async function asking(
  ways: Readonly<Record<string, (asked: Asked) => Promise<void>>>,
  signal = AbortSignal.timeout(10_000),
) {
  const asked: string[] = []
  const failures: unknown[] = []
  let [atWork, most] = [0, 0]
  const ask = async (peer: string, one: Asked) => {
    asked.push(peer)
    atWork += 1
    most = Math.max(most, atWork)
    await ways[peer]?.(one).finally(() => {
      atWork -= 1
    })
  }
  const onFailure = (error: unknown) => failures.push(error)
  const isDone = await askBeside(Object.keys(ways), ask, { signal, limits: LIMITS, onFailure })
  return { isDone, asked, failures, most, atWork }
}

const silent = ({ signal }: Asked) => delay(HOUR, signal)
const gives = async () => undefined
const fails = async () => {
  throw new Error('no')
}

suite('who is asked while somebody waits', () => {
  test('the first that gives it is the last that is asked', async () => {
    const { isDone, asked, failures } = await asking({ a: fails, b: gives, c: gives })
    assert.deepEqual([isDone, asked, failures.length], [true, ['a', 'b'], 1])
  })

  test('those who send nothing keep nobody from being asked, two at once, and are ended', async () => {
    const { isDone, asked, most, atWork } = await asking({ a: silent, b: silent, c: silent, d: gives })
    assert.deepEqual([isDone, asked, most, atWork], [true, ['a', 'b', 'c', 'd'], 2, 0])
  })

  test('whoever has begun to send is waited for alone', async () => {
    const slow = async ({ begun }: Asked) => {
      begun()
      await sleep(100)
    }
    const { isDone, asked } = await asking({ a: slow, b: gives })
    assert.deepEqual([isDone, asked], [true, ['a']])
  })

  test('where all have failed, each is told; where the caller ends it, nothing is left at work', async () => {
    const { isDone, failures } = await asking({ a: fails, b: fails })
    assert.deepEqual([isDone, failures.length], [false, 2])
    await assert.rejects(asking({ a: silent, b: silent }, AbortSignal.timeout(50)), { name: 'TimeoutError' })
  })
})
