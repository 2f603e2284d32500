import assert from 'node:assert/strict'
import { test } from 'node:test'
import { dawidSkeneLabelsMax, dawidSkeneWorkMax } from '../../src/base/limits-statistics.ts'
import { dawidSkene, dawidSkeneInTurns, type Label } from '../../src/consensus/statistics/dawid-skene.ts'
import { iterationsFor } from '../../src/consensus/statistics/label-estimate.ts'
import { seededRandom } from '../support/seeded-random.ts'
import { statisticsVectors } from '../support/statistics-vectors.ts'

for (const vector of (await statisticsVectors()).dawidSkene) {
  const { items, raters, classes } = vector
  const labels = items.flatMap((digits, item) =>
    [...digits].map((digit, at) => ({ item, rater: raters[at] as number, label: Number(digit) - 1 })),
  )
  const sizes = { items: items.length, raters: Math.max(...raters) + 1, classes }

  test(`vector: ${vector.name}`, async () => {
    const found = dawidSkene(labels, sizes)
    assert.equal(found.converged, true)
    assert.equal(found.logLikelihood.toFixed(5), vector.logLikelihood)
    assert.deepEqual(
      found.shares.map((share) => share.toFixed(4)),
      vector.shares,
    )
    assert.equal(found.labels.map((label) => (label === undefined ? '?' : label + 1)).join(''), vector.labels)
    const below = found.labels.flatMap((label, item) => {
      const posterior = found.posteriors[item * classes + (label ?? 0)] as number
      return posterior < 0.99 ? [[String(item + 1), posterior.toFixed(3)]] : []
    })
    assert.deepEqual(Object.fromEntries(below), vector.below99)
    for (const [rater, matrix] of Object.entries(vector.confusion)) {
      const own = found.confusion[Number(rater)]?.map((row) => row?.map((share) => share.toFixed(2)))
      assert.deepEqual(own, matrix)
    }
    assert.deepEqual(await dawidSkeneInTurns(labels, sizes), found)
    assert.deepEqual(dawidSkene(labels.toReversed(), sizes), found, 'the order of labels decides nothing')
  })
}

for (const { name, items, raters, classes, ...expected } of (await statisticsVectors()).exact) {
  test(`vector, to the last bit: ${name}`, () => {
    const letters = 'abcdefgh'
    const labels = items.flatMap((text, item) =>
      [...text.matchAll(/([0-9])([a-h])/g)].map(([, rater, letter]) => {
        return { item, rater: Number(rater), label: letters.indexOf(letter as string) }
      }),
    )
    const found = dawidSkene(labels, { items: items.length, raters, classes })
    assert.deepEqual(
      {
        iterations: found.iterations,
        converged: found.converged,
        labels: found.labels.map((label) => (label === undefined ? '?' : letters[label])).join(''),
        posteriors: items.map((_, item) =>
          [...found.posteriors.subarray(item * classes, (item + 1) * classes)].map((p) => p * 2 ** 32),
        ),
      },
      expected,
    )
  })
}

/** Items of known classes, labelled by raters who err at their own rates. */
function world(seed: number, { items, raters, classes, each }: Record<string, number> & object) {
  const random = seededRandom(seed)
  const below = (count = 1) => Math.floor(random() * count)
  const truth = Array.from({ length: items as number }, () => below(classes))
  const accuracy = Array.from({ length: raters as number }, () => 0.55 + 0.4 * random())
  const labels: Label[] = truth.flatMap((own, item) =>
    Array.from({ length: each as number }, () => {
      const rater = below(raters)
      const isRight = random() < (accuracy[rater] as number)
      return { item, rater, label: isRight ? own : below(classes) }
    }),
  )
  return {
    truth,
    labels,
    sizes: { items, raters, classes } as { items: number; raters: number; classes: number },
  }
}

/** The paper's equations with logarithms and nested arrays, for a fixed number of iterations. */
function textbook(
  labels: readonly Label[],
  { items, raters, classes }: Record<string, number>,
  iterations: number,
) {
  const zeros = (a = 0, b = 0) => Array.from({ length: a }, () => new Array<number>(b).fill(0))
  let posteriors = zeros(items, classes)
  const add = (rows: number[][], row: number, column: number, value: number) => {
    const own = rows[row] as number[]
    own[column] = (own[column] as number) + value
  }
  const normed = (row: readonly number[]) => {
    const sum = row.reduce((a, b) => a + b, 0)
    return row.map((value) => (sum === 0 ? 0 : value / sum))
  }
  for (const { item, label } of labels) add(posteriors, item, label, 1)
  posteriors = posteriors.map(normed)
  for (let iteration = 0; iteration < iterations; iteration += 1) {
    const shares = normed(posteriors.reduce((a, b) => a.map((value, j) => value + (b[j] as number))))
    const rates = Array.from({ length: (raters as number) * (classes as number) }, () =>
      new Array<number>(classes as number).fill(0),
    )
    for (const { item, rater, label } of labels)
      for (const [j, p] of (posteriors[item] as number[]).entries())
        add(rates, rater * (classes as number) + j, label, p)
    const error = rates.map(normed)
    const logs = posteriors.map(() => shares.map(Math.log))
    for (const { item, rater, label } of labels)
      for (let j = 0; j < (classes as number); j += 1)
        add(logs, item, j, Math.log(error[rater * (classes as number) + j]?.[label] as number))
    posteriors = logs.map((row) => normed(row.map((value) => Math.exp(value - Math.max(...row)))))
  }
  return posteriors
}

test('it finds what a plain rendering of the equations finds, with thirty labels on an item too', () => {
  for (const seed of [1, 2, 3, 4]) {
    const { labels, sizes } = world(seed, { items: 40, raters: 6, classes: 3, each: seed === 4 ? 30 : 5 })
    const found = dawidSkene(labels, sizes, { iterationsMax: 30, tolerance: 0 })
    const expected = textbook(labels, sizes, found.iterations)
    for (const [at, posterior] of found.posteriors.entries()) {
      const own = expected[Math.floor(at / 3)]?.[at % 3] as number
      assert.ok(Math.abs(posterior - own) < 1e-6, `seed ${seed}, ${at}: ${posterior}, ${own}`)
    }
  }
})

test('it comes nearer the truth than a count of votes, in whatever order the labels come', () => {
  let [ours, votes] = [0, 0]
  for (const seed of [5, 6, 7]) {
    const { labels, sizes, truth } = world(seed, { items: 300, raters: 12, classes: 3, each: 5 })
    const found = dawidSkene(labels, sizes)
    const random = seededRandom(seed)
    const shuffled = labels
      .map((label) => ({ label, at: random() }))
      .sort((a, b) => a.at - b.at)
      .map(({ label }) => label)
    assert.deepEqual(dawidSkene(shuffled, sizes), found, `seed ${seed}`)
    const counted = dawidSkene(labels, sizes, { iterationsMax: 0 })
    assert.deepEqual([counted.iterations, counted.converged], [0, false])
    ours += truth.filter((own, item) => found.labels[item] === own).length
    votes += truth.filter((own, item) => counted.labels[item] === own).length
  }
  assert.ok(ours > votes, `${ours} against ${votes} of 900`)
})

test('an even quarrel stays one, be it of two or of three', () => {
  const two = [0, 1, 2, 3].flatMap((item) => [
    { item, rater: 0, label: item % 2 },
    { item, rater: 1, label: 1 - (item % 2) },
  ])
  const found = dawidSkene(two, { items: 4, raters: 2, classes: 2 })
  assert.deepEqual(found.labels, [undefined, undefined, undefined, undefined])
  assert.deepEqual([...found.posteriors], new Array(8).fill(0.5))
  const three = Array.from({ length: 9 }, (_, at) => ({
    item: Math.floor(at / 3),
    rater: at % 3,
    label: (at + Math.floor(at / 3)) % 3,
  }))
  assert.deepEqual(
    dawidSkene(three, { items: 3, raters: 3, classes: 3 }).labels,
    new Array(3).fill(undefined),
  )
})

test('a lone rater, items and classes that nobody named, and nothing at all', () => {
  const sizes = { items: 3, raters: 3, classes: 3 }
  const labels = [
    { item: 0, rater: 0, label: 0 },
    { item: 2, rater: 0, label: 1 },
    { item: 2, rater: 1, label: 1 },
  ]
  const found = dawidSkene(labels, sizes)
  assert.deepEqual(found.labels, [0, undefined, 1])
  assert.deepEqual(found.shares, [0.5, 0.5, 0])
  assert.deepEqual([...found.posteriors.subarray(3, 6)], [0, 0, 0])
  assert.deepEqual(found.confusion, [
    [[1, 0, 0], [0, 1, 0], undefined],
    [undefined, [0, 1, 0], undefined],
    [undefined, undefined, undefined],
  ])
  const none = dawidSkene([], { items: 2, raters: 1, classes: 2 })
  assert.deepEqual([none.labels, none.logLikelihood, none.converged], [[undefined, undefined], 0, true])
})

test('thousands of labels of one item underflow nothing', () => {
  const random = seededRandom(8)
  const labels = Array.from({ length: 12_000 }, (_, at) => {
    const item = at % 3
    return { item, rater: Math.floor(at / 3) % 40, label: random() < 0.52 ? item % 2 : 1 - (item % 2) }
  })
  const found = dawidSkene(labels, { items: 3, raters: 40, classes: 2 })
  assert.deepEqual(found.labels, [0, 1, 0])
  assert.ok(Number.isFinite(found.logLikelihood) && found.logLikelihood < -1_000)
  for (const value of [...found.posteriors, ...found.shares, ...found.confusion.flat(2)])
    assert.ok(value === undefined || (value >= 0 && value <= 1))
})

test('all columns of a file share one bound on work', async () => {
  for (const { most, ...work } of (await statisticsVectors()).iterations)
    assert.equal(iterationsFor(work), most, JSON.stringify(work))
  const { labels, sizes } = world(9, { items: 100, raters: 4, classes: 2, each: 4 })
  const found = dawidSkene(labels, sizes, {
    tolerance: 0,
    columns: Math.floor(dawidSkeneWorkMax / (7 * labels.length * 2)),
  })
  assert.equal(found.iterations, 7)
})

test('a long estimation lets others have their turn, and finds the same', async () => {
  const { labels, sizes } = world(10, { items: 60_000, raters: 5, classes: 20, each: 4 })
  let turns = 0
  let other = setImmediate(function turn() {
    turns += 1
    other = setImmediate(turn)
  })
  const found = await dawidSkeneInTurns(labels, sizes, { iterationsMax: 3 })
  clearImmediate(other)
  assert.ok(turns > found.iterations, `${turns} turns`)
  assert.deepEqual(dawidSkene(labels, sizes, { iterationsMax: 3 }).posteriors, found.posteriors)
})

test('what is outside of its sizes, or too much, is refused; what is called off ends', async () => {
  const one = { items: 1, raters: 1, classes: 2 }
  for (const label of [
    { item: 1, rater: 0, label: 0 },
    { item: 0, rater: 0, label: 2 },
    { item: 0, rater: -1, label: 0 },
    { item: 0, rater: 0, label: 0.5 },
  ])
    assert.throws(() => dawidSkene([label], one), { code: 'INVALID_INPUT' })
  assert.throws(() => dawidSkene([], { ...one, items: -1 }), { code: 'INVALID_INPUT' })
  assert.throws(() => dawidSkene([], { items: dawidSkeneLabelsMax + 1, raters: 1, classes: 1 }), {
    code: 'TOO_LARGE',
  })
  assert.throws(() => dawidSkene([], { items: 1, raters: 1, classes: 4_000 }), { code: 'TOO_LARGE' })
  const { labels, sizes } = world(9, { items: 30, raters: 4, classes: 2, each: 4 })
  await assert.rejects(dawidSkeneInTurns(labels, sizes, { signal: AbortSignal.abort() }), {
    name: 'AbortError',
  })
})
