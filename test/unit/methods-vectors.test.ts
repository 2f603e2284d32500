import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { z } from 'zod'
import { inspectFile, mergeFile } from '../../src/consensus/methods/entry-methods.ts'
import type { EntryMethod } from '../../src/consensus/methods/file-merge.ts'
import { outlierReach } from '../../src/consensus/methods/numbers.ts'
import { matchesPattern } from '../../src/consensus/methods/path-pattern.ts'
import { strangeness } from '../../src/consensus/methods/strangeness.ts'
import { methodSchema } from '../../src/datasets/truth-rule.ts'

const method = methodSchema.transform((value, context) => {
  if (value.name !== 'identical' && value.name !== 'strangeness') return value satisfies EntryMethod
  context.addIssue('looks into no file')
  return z.NEVER
})
const names = z.record(z.string(), z.array(z.string())).default({})
const vectors = z
  .object({
    merges: z
      .array(
        z.object({
          name: z.string(),
          method,
          path: z.string(),
          truth: z.string().nullable(),
          ballots: z.record(z.string(), z.string().nullable()),
          weights: z.record(z.string(), z.number()).optional(),
          /** False where a ballot could not be cast under this method. */
          countable: z.boolean().default(true),
          expected: z.object({
            file: z.string().nullable(),
            changed: z.boolean(),
            contested: z.array(z.string()),
            whole: z.boolean(),
            missing: names,
            extra: names,
            different: names,
            notes: z.array(z.string()).optional(),
          }),
        }),
      )
      .min(1),
    inspections: z
      .array(
        z.object({
          name: z.string(),
          method,
          path: z.string(),
          text: z.string().optional(),
          base64: z.string().optional(),
          reason: z.string().nullable(),
        }),
      )
      .min(1),
    patterns: z.array(z.tuple([z.string(), z.string(), z.boolean()])).min(1),
    strangeness: z
      .array(
        z.object({
          name: z.string(),
          candidates: z.record(z.string(), z.record(z.string(), z.string())),
          scores: z.record(z.string(), z.number()),
          winners: z.array(z.string()),
          drawn: z.boolean(),
        }),
      )
      .min(1),
    outliers: z
      .array(z.object({ values: z.array(z.number()), median: z.number(), reach: z.number() }))
      .min(1),
  })
  .parse(
    JSON.parse(await readFile(join(import.meta.dirname, '../../protocols/vectors/methods.json'), 'utf8')),
  )

for (const vector of vectors.merges) {
  test(`${vector.method.name}: ${vector.name}`, async (context) => {
    const scratch = await mkdtemp(join(tmpdir(), 'mao-methods-'))
    context.after(() => rm(scratch, { recursive: true, force: true }))
    const ballots = Object.entries(vector.ballots)
    for (const [peer, text] of ballots) {
      const reason =
        text === null ? undefined : await inspectFile(vector.method, vector.path, Buffer.from(text))
      if (vector.countable) assert.equal(reason, undefined, `${peer} cannot be counted`)
    }
    const texts = [...new Set([vector.truth, ...ballots.map(([, text]) => text)])]
    const idOf = (text: string | null) => (text === null ? undefined : `id-${texts.indexOf(text)}`)
    const merged = await mergeFile(
      vector.method,
      {
        path: vector.path,
        parent: idOf(vector.truth),
        ballots: new Map(ballots.map(([peer, text]) => [peer, idOf(text)])),
        ...(vector.weights && { weights: new Map(Object.entries(vector.weights)) }),
      },
      { read: async (id) => Buffer.from(texts[Number(id.slice(3))] ?? ''), scratch: async () => scratch },
    )
    const { expected } = vector
    const file = merged.bytes === undefined ? null : Buffer.from(merged.bytes).toString()
    assert.equal(file, expected.file)
    assert.equal(merged.changed, expected.changed)
    assert.equal(merged.whole !== undefined, expected.whole)
    assert.deepEqual(merged.contested.first, expected.contested)
    assert.equal(merged.contested.count, expected.contested.length)
    for (const kind of ['missing', 'extra', 'different'] as const) {
      if (vector.method.name === 'dawid-skene' && Object.keys(expected.different).length === 0) break
      const found = [...merged.members].filter(([, departures]) => departures[kind].count > 0)
      const departing = found.map(([peer, departures]) => [peer, departures[kind].first])
      const wanted = Object.entries(expected[kind])
      if (wanted.length > 0) assert.deepEqual(Object.fromEntries(departing), Object.fromEntries(wanted), kind)
    }
    if (expected.notes !== undefined) assert.deepEqual(merged.notes, expected.notes)
  })
}

for (const { name, method: own, path, text, base64, reason } of vectors.inspections) {
  test(`an inspection of ${name} says ${reason ?? 'nothing'}`, async () => {
    const bytes = base64 === undefined ? Buffer.from(text ?? '') : Buffer.from(base64, 'base64')
    assert.equal((await inspectFile(own, path, bytes)) ?? null, reason)
  })
}

test('patterns of paths match as the table says', () => {
  for (const [pattern, path, matches] of vectors.patterns) {
    assert.equal(matchesPattern(pattern, path), matches, `${pattern} and ${path}`)
  }
})

for (const { name, candidates, scores, winners, drawn } of vectors.strangeness) {
  test(`strangeness: ${name}`, () => {
    const found = strangeness(
      new Map(Object.entries(candidates).map(([peer, entries]) => [peer, new Map(Object.entries(entries))])),
    )
    assert.deepEqual(Object.fromEntries(found.scores), scores)
    assert.deepEqual(found.winners, winners)
    assert.equal(found.drawn, drawn)
  })
}

test('outliers lie beyond three scaled median absolute deviations', () => {
  for (const { values, median, reach } of vectors.outliers) {
    assert.deepEqual(outlierReach(values), { middle: median, reach })
  }
})
