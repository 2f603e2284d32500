import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { Pace, PacedStream } from '../../../src/datasets/exchange/pace.ts'
import { ProgressTeller, type TransferProgress } from '../../../src/datasets/exchange/progress.ts'
import { byteStreamPair } from '../../support/byte-stream-pair.ts'

const limits = { windowMs: 1_000, bytesMin: 100 }

test('a trickle is too slow however steadily it comes', () => {
  const pace = new Pace(limits)
  let now = 0
  for (; now < 5_000 && !pace.isTooSlow(now); now += 50) {
    pace.wait(now)
    pace.moved(4, now + 50)
  }
  assert.equal(now, 1_000)
})

test('silence is too slow after one window, and a burst before it buys no more than that window', () => {
  const pace = new Pace(limits)
  pace.wait(0)
  pace.moved(1_000_000, 10)
  pace.wait(10)
  assert.equal(pace.isTooSlow(999), false)
  assert.equal(pace.isTooSlow(1_000), false)
  assert.equal(pace.isTooSlow(1_999), false)
  assert.equal(pace.isTooSlow(2_000), true)
})

test('time in which we were busy ourselves counts for nothing', () => {
  const pace = new Pace(limits)
  for (let now = 0; now < 100_000; now += 1_000) {
    pace.wait(now)
    pace.moved(1, now + 5)
    assert.equal(pace.isTooSlow(now + 1_000), false, `after ${now} ms`)
    if (now > 100_000) break
    pace.moved(100, now + 1_000)
  }
})

test('a stream whose other side dribbles is cut, and says why', async () => {
  const [ours, theirs] = byteStreamPair('us', 'them')
  const paced = new PacedStream(ours, { windowMs: 100, bytesMin: 1_000 })
  const dribble = setInterval(() => void theirs.write(Buffer.from('x')).catch(() => undefined), 5)
  paced.watch('read')
  await assert.rejects(
    async () => {
      while ((await paced.read()) !== undefined);
    },
    { code: 'TIMED_OUT', message: /fewer than 1000 bytes in 100 ms/ },
  )
  clearInterval(dribble)
})

test('progress is told in measure, the newest of it, and none of what is over at once', async () => {
  const told: TransferProgress[] = []
  const teller = new ProgressTeller((progress) => told.push(progress), 50)
  for (let bytes = 1; bytes <= 40; bytes += 1) {
    teller.offer({ phase: 'receiving', bytes, objectsTotal: 3 })
    await sleep(5)
  }
  teller.offer({ phase: 'checking', bytes: 40 })
  await sleep(100)
  teller.end()
  assert.ok(told.length >= 2 && told.length <= 8, `told ${told.length} times`)
  assert.deepEqual(told.at(-1), { phase: 'checking', bytes: 40 })
  const brief = new ProgressTeller((progress) => told.push(progress), 50)
  brief.offer({ phase: 'receiving', bytes: 77 })
  brief.end()
  await sleep(80)
  assert.ok(told.every(({ bytes }) => bytes !== 77))
})
