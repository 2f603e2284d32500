import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type Detector, detectorSchema, historyOf, judge } from '../../../src/monitoring/detector.ts'
import { ewmaChart } from '../../../src/monitoring/detectors/ewma.ts'
import { modifiedZ } from '../../../src/monitoring/detectors/modified-z.ts'

const wanted = (options: Record<string, unknown>): Detector => detectorSchema.parse(options)

/** NIST/SEMATECH e-Handbook of Statistical Methods, 6.3.2.4: twenty values, lambda 0.3, target 50, sigma 2.0539. */
const NIST_VALUES = [
  52.0, 47.0, 53.0, 49.3, 50.1, 47.0, 51.0, 50.1, 51.2, 50.5, 49.6, 47.6, 49.9, 51.3, 47.8, 51.2, 52.6, 52.4,
  53.6, 52.1,
]
const NIST_EWMA = [
  50.6, 49.52, 50.56, 50.18, 50.16, 49.21, 49.75, 49.85, 50.26, 50.33, 50.11, 49.36, 49.52, 50.05, 49.38,
  49.92, 50.73, 51.23, 51.94, 51.99,
]

test('the weighted averages and the control limits of the NIST handbook come out to the digits given', () => {
  const chart = ewmaChart(NIST_VALUES, { target: 50, sigma: 2.0539, lambda: 0.3, limit: 3 })
  assert.deepEqual(
    chart.map(({ average }) => Number(average.toFixed(2))),
    NIST_EWMA,
  )
  // The handbook's limits are those that the chart settles at: 52.5884 and 47.4115.
  assert.equal((50 + (chart.at(-1)?.allowed ?? 0)).toFixed(2), '52.59')
})

test('a modified z-score by hand: median 3.25, MAD 0.2', () => {
  const sample = [3.2, 3.3, 8.1, 3.2, 2.9, 3.7, 3.1, 3.5, 3.3, 2.1]
  assert.equal(modifiedZ(8.1, sample)?.toFixed(2), '16.36')
  assert.equal(modifiedZ(2.1, sample)?.toFixed(2), '-3.88')
})

test('where most of a sample is equal, the mean deviation takes the place of MAD; where all is, nothing can', () => {
  // Deviations 0 0 0 0 5: mean 1.
  assert.equal(modifiedZ(12, [7, 7, 7, 7, 12])?.toFixed(4), (5 / 1.253314).toFixed(4))
  assert.equal(modifiedZ(8, [7, 7, 7, 7]), undefined)
})

const steadyWeek = Array.from({ length: 40 }, (_, day) => [5, 6, 5, 6, 5, 20, 22][day % 7] as number)

const cases: { why: string; options: Record<string, unknown>; values: number[]; verdict: string }[] = [
  { why: 'too few', options: { detector: 'rolling-z' }, values: [1, 2, 3], verdict: 'too-few-snapshots' },
  {
    why: 'within three deviations',
    options: { detector: 'rolling-z' },
    values: [10, 11, 9, 10, 11, 9, 12],
    verdict: 'steady',
  },
  {
    why: 'beyond three deviations',
    options: { detector: 'rolling-z' },
    values: [10, 11, 9, 10, 11, 9, 14],
    verdict: 'spike',
  },
  {
    why: 'a flat window, no move',
    options: { detector: 'rolling-z' },
    values: [0.1, 0.1, 0.1, 0.1, 0.1, 0.1],
    verdict: 'steady',
  },
  {
    why: 'a flat window, any move',
    options: { detector: 'rolling-z' },
    values: [5, 5, 5, 5, 5, 5.01],
    verdict: 'spike',
  },
  {
    why: 'an earlier outlier makes the plain z-score blind',
    options: { detector: 'rolling-z' },
    values: [10, 11, 9, 10, 90, 9, 11, 40],
    verdict: 'steady',
  },
  {
    why: 'and does not blind the robust one',
    options: { detector: 'mad' },
    values: [10, 11, 9, 10, 90, 9, 11, 40],
    verdict: 'spike',
  },
  {
    why: 'a slow drift that no single value shows',
    options: { detector: 'ewma', lambda: 0.2, limit: 2.5, window: 20 },
    values: [10, 10.4, 9.6, 10.2, 9.8, 10.1, 9.9, 10, 10.3, 9.7, 10.4, 10.5, 10.6, 10.7, 10.8, 10.9],
    verdict: 'spike',
  },
  {
    why: 'the same values, one at a time',
    options: { detector: 'rolling-z', window: 20 },
    values: [10, 10.4, 9.6, 10.2, 9.8, 10.1, 9.9, 10, 10.3, 9.7, 10.4, 10.5, 10.6, 10.7, 10.8, 10.9],
    verdict: 'steady',
  },
  {
    why: 'a weekend like every weekend',
    options: { detector: 'seasonal', period: 7 },
    values: [...steadyWeek.slice(0, 34)],
    verdict: 'steady',
  },
  {
    why: 'the weekend value on a weekday',
    options: { detector: 'seasonal', period: 7 },
    values: [...steadyWeek.slice(0, 35), 20],
    verdict: 'spike',
  },
  {
    why: 'less than a period and changes',
    options: { detector: 'seasonal', period: 7 },
    values: steadyWeek.slice(0, 12),
    verdict: 'too-few-snapshots',
  },
]

for (const { why, options, values, verdict } of cases) {
  test(`${options.detector}: ${why} is ${verdict}`, () => {
    const judgement = judge(values, wanted(options))
    assert.equal(judgement.verdict, verdict, judgement.why)
    assert.equal(judgement.detector, options.detector)
    assert.ok((judgement.why ?? '').length > 20, 'it does not say why')
  })
}

const ALL = [
  { detector: 'rolling-average' },
  { detector: 'rolling-z' },
  { detector: 'ewma' },
  { detector: 'mad' },
  { detector: 'seasonal', period: 7 },
]

test('no verdict depends on the unit of the metric or on values that a detector does not look at', () => {
  const value = fc.integer({ min: 1, max: 1_000 })
  const series = fc.array(value, { minLength: 0, maxLength: 80 })
  fc.assert(
    fc.property(series, fc.constantFrom(...ALL), fc.constantFrom(0.5, 4, 1_024), (values, options, unit) => {
      const detector = wanted(options)
      const { verdict } = judge(values, detector)
      const scaled = values.map((each) => each * unit)
      assert.equal(judge(scaled, detector).verdict, verdict)
      const older = [777, ...values]
      if (values.length >= historyOf(detector)) assert.equal(judge(older, detector).verdict, verdict)
    }),
    { verbose: 1 },
  )
})

test('a detector that looks further back than is kept, or at too few cycles, is refused', () => {
  assert.throws(() => wanted({ detector: 'seasonal', period: 400, cycles: 2 }), /400 snapshots at most/)
  assert.throws(() => wanted({ detector: 'seasonal', period: 2, cycles: 2 }), /too few cycles/)
  assert.throws(() => wanted({ detector: 'rolling-z', windows: 3 }))
})

test('no detector comes to a figure that is no number, from any values that are let in', () => {
  const size = fc.double({ min: -100, max: 100, noNaN: true }).map((power) => 10 ** power)
  const value = fc.oneof(
    fc.constant(0),
    size,
    size.map((each) => -each),
  )
  fc.assert(
    fc.property(fc.array(value, { maxLength: 60 }), fc.constantFrom(...ALL), (values, options) => {
      for (const [name, figure] of Object.entries(judge(values, wanted(options)))) {
        if (typeof figure === 'number') assert.ok(Number.isFinite(figure), `${name} is ${figure}`)
      }
    }),
    { verbose: 1 },
  )
})
