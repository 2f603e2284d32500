import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Agreement, AgreementTally, type Level } from '../../src/consensus/statistics/agreement.ts'
import { seededRandom } from '../support/seeded-random.ts'
import { statisticsVectors } from '../support/statistics-vectors.ts'

type Unit = readonly (string | number | undefined)[]

function agreement(level: Level, units: readonly Unit[], raters = units[0]?.length ?? 0): Agreement {
  const tally = new AgreementTally({ level, raters })
  for (const unit of units) tally.add(unit)
  return tally.result()
}

for (const { name, level, units, expected, digits } of (await statisticsVectors()).agreement) {
  test(`vector: ${name}, ${level}`, () => {
    const found = agreement(
      level,
      units.map((unit) => unit.map((rating) => rating ?? undefined)),
    )
    for (const [key, value] of Object.entries(expected) as [keyof typeof expected, number | null][]) {
      const own = found[key]
      if (value === null) assert.equal(own, undefined, key)
      else assert.equal(own?.toFixed(digits), value.toFixed(digits), key)
    }
  })
}

/** As the definitions stand in the papers: all pairs, a coincidence matrix, no shortcuts. */
function byDefinition(level: Level, units: readonly (readonly (number | undefined)[])[]): number {
  const pairable = units.map((unit) => unit.filter((r) => r !== undefined)).filter((unit) => unit.length > 1)
  const all = pairable.flat()
  const values = [...new Set(all)].sort((a, b) => a - b)
  const times = values.map((value) => all.filter((other) => other === value).length)
  const sum = (from: number, to: number) => times.slice(from, to + 1).reduce((a, b) => a + b, 0)
  const distance = (a: number, b: number) => {
    if (level === 'nominal') return a === b ? 0 : 1
    if (level === 'interval') return (a - b) ** 2
    const [c, k] = [values.indexOf(Math.min(a, b)), values.indexOf(Math.max(a, b))]
    return (sum(c, k) - ((times[c] as number) + (times[k] as number)) / 2) ** 2
  }
  let [observed, expected] = [0, 0]
  for (const unit of pairable)
    for (const [i, a] of unit.entries())
      for (const [j, b] of unit.entries()) if (i !== j) observed += distance(a, b) / (unit.length - 1)
  for (const [i, a] of all.entries())
    for (const [j, b] of all.entries()) if (i !== j) expected += distance(a, b) / (all.length - 1)
  return 1 - observed / expected
}

test('alpha is what its definition says, whatever is missing', () => {
  for (let seed = 1; seed <= 60; seed += 1) {
    const random = seededRandom(seed)
    const raters = 2 + Math.floor(random() * 5)
    const kinds = 2 + Math.floor(random() * 6)
    const units = Array.from({ length: 3 + Math.floor(random() * 20) }, () =>
      Array.from({ length: raters }, () => (random() < 0.2 ? undefined : Math.floor(random() * kinds) - 2.5)),
    )
    for (const level of ['nominal', 'ordinal', 'interval'] as const) {
      const own = agreement(level, units, raters).krippendorffAlpha
      const expected = byDefinition(level, units)
      if (own === undefined) assert.ok(Number.isNaN(expected), `seed ${seed}, ${level}`)
      else assert.ok(Math.abs(own - expected) < 1e-12, `seed ${seed}, ${level}: ${own}, ${expected}`)
    }
  }
})

test('where nothing can be said nothing is said, and never NaN', () => {
  const nothing = { percent: undefined, fleissKappa: undefined, krippendorffAlpha: undefined }
  for (const level of ['nominal', 'ordinal', 'interval'] as const) {
    const { level: _, ...none } = agreement(level, [], 3)
    assert.deepEqual(none, { units: 0, raters: 3, ...nothing, sampled: false })
    assert.equal(agreement(level, [], 0).units, 0)
    const lone = agreement(level, [[1], [2]])
    assert.deepEqual([lone.units, lone.percent, lone.krippendorffAlpha], [0, undefined, undefined])
    const missing = agreement(level, [
      [1, undefined],
      [undefined, 2],
      [Number.NaN, 3],
    ])
    assert.deepEqual([missing.units, missing.fleissKappa], [0, undefined])
    const alike = agreement(level, [
      [7, 7],
      [7, 7],
    ])
    assert.deepEqual(
      [alike.units, alike.percent, alike.fleissKappa, alike.krippendorffAlpha],
      [2, 1, undefined, undefined],
    )
    const opposite = agreement(level, [[1, 2]])
    assert.deepEqual([opposite.percent, opposite.fleissKappa, opposite.krippendorffAlpha], [0, -1, 0])
  }
  const words = agreement('interval', [
    ['1', 1],
    [Number.POSITIVE_INFINITY, 1],
    [1, 1],
    [2, 2],
  ])
  assert.deepEqual([words.units, words.krippendorffAlpha], [2, 1], 'only finite numbers have distances')
  assert.equal(agreement('nominal', [['1', 1]]).percent, 0)
})

test('interval alpha keeps its digits far from zero and at the ends of what a number can be', () => {
  const near = [
    [1, 2],
    [2, 2],
    [3, 4],
    [5, 5],
  ]
  const alpha = agreement('interval', near).krippendorffAlpha as number
  const far = near.map((unit) => unit.map((value) => value + 1e15))
  assert.equal(agreement('interval', far).krippendorffAlpha, alpha)
  const tiny = near.map((unit) => unit.map((value) => value * 5e-324))
  assert.ok(Math.abs((agreement('interval', tiny).krippendorffAlpha as number) - alpha) < 1e-15)
  const huge = [
    [-Number.MAX_VALUE, -Number.MAX_VALUE],
    [Number.MAX_VALUE, Number.MAX_VALUE],
    [0, Number.MAX_VALUE],
  ]
  const scaled = [
    [-1, -1],
    [1, 1],
    [0, 1],
  ]
  assert.equal(agreement('interval', huge).krippendorffAlpha, agreement('interval', scaled).krippendorffAlpha)
})

test('of many units, or many values, a sample is looked at, the same one everywhere, also where units repeat', () => {
  const random = seededRandom(11)
  // Every fourth unit is a quarrel: a sample of every fourth would see nothing else, or none.
  const units = Array.from({ length: 40_000 }, (_, i) => {
    const value = Math.floor(random() * 4)
    return [value, i % 4 === 0 ? Math.floor(random() * 4) : value, value]
  })
  const whole = agreement('nominal', units)
  assert.equal(whole.sampled, true)
  const bounded = () => {
    const tally = new AgreementTally({ level: 'nominal', raters: 3, unitsMax: 4_000 })
    for (const unit of units) tally.add(unit)
    return tally.result()
  }
  const found = bounded()
  assert.deepEqual(bounded(), found)
  assert.deepEqual([found.units, found.sampled], [40_000, true])
  const exact = 1 - (0.75 * 0.25 * 2) / 3
  assert.ok(Math.abs((found.percent as number) - exact) < 0.02, `${found.percent}`)
  assert.ok(Math.abs((whole.percent as number) - exact) < 0.01, `${whole.percent}`)

  const distinct = new AgreementTally({ level: 'nominal', raters: 2, categoriesMax: 100 })
  for (let i = 0; i < 5_000; i += 1) distinct.add([`value ${i} ${'x'.repeat(i % 100)}`, `other ${i}`])
  const quarrel = distinct.result()
  assert.deepEqual([quarrel.units, quarrel.sampled, quarrel.percent], [5_000, true, 0])
  const same = new AgreementTally({ level: 'nominal', raters: 2, unitsMax: 1 })
  for (let i = 0; i < 100; i += 1) same.add(['a', 'a'])
  assert.deepEqual([same.result().percent, same.result().sampled], [1, true])
})
