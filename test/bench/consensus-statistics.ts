/**
 * Dawid and Skene's estimate on data of the shape of Snow et al. 2008 (recognising textual entailment): 800 items with ten
 * labels each by 164 workers. The anchor is the paper's text written down as it stands, in maps. Both have to find the
 * same labels.
 */
import { dawidSkene, type Label } from '../../src/consensus/statistics/dawid-skene.ts'
import { seededRandom } from '../support/seeded-random.ts'
import { type Row, row } from './figures.ts'
import { mediansInTurns, secondsOf, type Workplace } from './harness.ts'

const SIZES = { items: 800, raters: 164, classes: 2 }
const LABELS_EACH = 10
const SEED = 20_080_101
const TOLERANCE = 2 ** -31
const ITERATIONS_MAX = 1_000

export async function estimates(work: Workplace): Promise<Row[]> {
  const labels = labelsOf()
  work.say(`Dawid–Skene on ${labels.length} labels by ${SIZES.raters} workers`)
  const found = dawidSkene(labels, SIZES)
  const expected = byTheBook(labels)
  const same = found.labels.filter((label, item) => label === expected.labels[item]).length
  if (same !== SIZES.items)
    throw new Error(`The estimates differ in ${SIZES.items - same} of ${SIZES.items} items`)
  work.say(`${found.iterations} iterations, by the book ${expected.iterations}; the same labels`)
  const timed = (estimate: () => unknown) => () =>
    secondsOf(async () => {
      estimate()
    })
  const medians = await mediansInTurns(work.size(15, 5), {
    ours: timed(() => dawidSkene(labels, SIZES)),
    anchor: timed(() => byTheBook(labels)),
  })
  return [
    row({
      name: `Dawid–Skene, ${labels.length} labels by ${SIZES.raters} workers, to convergence (anchor: the paper's EM in maps)`,
      ours: medians.ours * 1_000,
      anchor: medians.anchor * 1_000,
      unit: 'ms',
      aim: '<= 1.00x',
    }),
  ]
}

/** Workers of a reliability of their own, as a seed has it. */
function labelsOf(): Label[] {
  const random = seededRandom(SEED)
  const right = Array.from({ length: SIZES.raters }, () => 0.6 + 0.38 * random())
  const labels: Label[] = []
  for (let item = 0; item < SIZES.items; item += 1) {
    const truth = random() < 0.5 ? 0 : 1
    const raters = new Set<number>()
    while (raters.size < LABELS_EACH) raters.add(Math.floor(random() * SIZES.raters))
    for (const rater of raters) {
      labels.push({ item, rater, label: random() < (right[rater] as number) ? truth : 1 - truth })
    }
  }
  return labels
}

/** Dawid & Skene 1979, equations 2.3 to 2.5, one after the other. */
function byTheBook(labels: readonly Label[]): { labels: number[]; iterations: number } {
  const classes = Array.from({ length: SIZES.classes }, (_, own) => own)
  const byItem = Map.groupBy(labels, ({ item }) => item)
  let posteriors = new Map<number, number[]>()
  for (const [item, given] of byItem) {
    posteriors.set(
      item,
      classes.map((own) => given.filter(({ label }) => label === own).length / given.length),
    )
  }
  for (let iteration = 1; ; iteration += 1) {
    const shares = classes.map(
      (own) => [...posteriors.values()].reduce((sum, of) => sum + (of[own] ?? 0), 0) / posteriors.size,
    )
    const errors = errorRates(labels, posteriors, classes)
    const next = new Map<number, number[]>()
    let moved = 0
    for (const [item, given] of byItem) {
      const products = classes.map((own) =>
        given.reduce(
          (p, { rater, label }) => p * (errors.get(rater)?.get(own)?.get(label) ?? 0),
          shares[own] ?? 0,
        ),
      )
      const sum = products.reduce((a, b) => a + b, 0)
      const found = products.map((product) => product / sum)
      for (const own of classes)
        moved = Math.max(moved, Math.abs((found[own] ?? 0) - (posteriors.get(item)?.[own] ?? 0)))
      next.set(item, found)
    }
    posteriors = next
    if (moved > TOLERANCE && iteration < ITERATIONS_MAX) continue
    const best = (of: readonly number[]) => of.indexOf(Math.max(...of))
    return {
      labels: [...posteriors].sort(([a], [b]) => a - b).map(([, of]) => best(of)),
      iterations: iteration,
    }
  }
}

/** By rater, by true class, by label. */
function errorRates(
  labels: readonly Label[],
  posteriors: ReadonlyMap<number, readonly number[]>,
  classes: readonly number[],
): Map<number, Map<number, Map<number, number>>> {
  const rates = new Map<number, Map<number, Map<number, number>>>()
  for (const { item, rater, label } of labels) {
    const own = rates.get(rater) ?? new Map(classes.map((one) => [one, new Map<number, number>()]))
    rates.set(rater, own)
    for (const one of classes) {
      const row = own.get(one) as Map<number, number>
      row.set(label, (row.get(label) ?? 0) + (posteriors.get(item)?.[one] ?? 0))
    }
  }
  for (const own of rates.values()) {
    for (const row of own.values()) {
      const sum = [...row.values()].reduce((a, b) => a + b, 0)
      for (const [label, rate] of row) row.set(label, sum === 0 ? 0 : rate / sum)
    }
  }
  return rates
}
