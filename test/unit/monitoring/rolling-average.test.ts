import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { rollingAverage } from '../../../src/monitoring/detectors/rolling-average.ts'

const table: { values: number[]; verdict: string; gain?: number; why: string }[] = [
  { values: [], verdict: 'too-few-snapshots', why: 'nothing is there' },
  { values: [1], verdict: 'too-few-snapshots', why: 'one value' },
  { values: [1, 500], verdict: 'too-few-snapshots', why: 'two values, however far apart' },
  { values: [100, 100, 100], verdict: 'steady', gain: 0, why: 'nothing moved' },
  { values: [100, 100, 106], verdict: 'steady', gain: 6, why: 'exactly +6 % is on the border, not beyond' },
  { values: [100, 100, 106.01], verdict: 'spike', gain: 6.01, why: 'a little beyond +6 %' },
  { values: [100, 100, 94], verdict: 'steady', gain: -6, why: 'exactly -6 %' },
  { values: [100, 100, 93.99], verdict: 'spike', gain: -6.01, why: 'a little beyond -6 %' },
  {
    values: [1, 1, 1.06],
    verdict: 'steady',
    gain: 6,
    why: '+6 % that binary fractions make 6.000000000000005 %',
  },
  { values: [0.1, 0.3, 0.212], verdict: 'steady', gain: 6, why: '+6 % of a mean that is not exact either' },
  { values: [90, 110, 106], verdict: 'steady', gain: 6, why: 'the mean of two, not the last' },
  { values: [1, 9999, 100, 100, 105], verdict: 'steady', gain: 5, why: 'only the two before count' },
  { values: [-100, -100, -93], verdict: 'spike', gain: 7, why: 'a negative metric that rose' },
  { values: [-100, -100, -106], verdict: 'steady', gain: -6, why: 'a negative metric on the border' },
  { values: [0, 0, 0], verdict: 'steady', why: 'zero stays zero' },
  { values: [0, 0, 0.001], verdict: 'spike', why: 'any departure from zero' },
  { values: [5, -5, 0.5], verdict: 'spike', why: 'a mean of zero of values that are not' },
]

for (const { values, verdict, gain, why } of table) {
  test(`${JSON.stringify(values)} is ${verdict}: ${why}`, () => {
    const judgement = rollingAverage(values)
    assert.equal(judgement.verdict, verdict)
    if (gain === undefined) assert.equal(judgement.gainPercent, undefined)
    else assert.ok(Math.abs((judgement.gainPercent ?? Number.NaN) - gain) < 1e-9, `${judgement.gainPercent}`)
  })
}

test('the verdict does not depend on the unit of the metric', () => {
  const value = fc.integer({ min: 1, max: 1_000_000 })
  const scale = fc.constantFrom(0.001, 0.1, 3, 1024)
  fc.assert(
    fc.property(value, value, value, scale, (a, b, c, k) => {
      assert.equal(rollingAverage([a * k, b * k, c * k]).verdict, rollingAverage([a, b, c]).verdict)
    }),
  )
})
