import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { decode } from '@ipld/dag-cbor'
import { z } from 'zod'
import { branchOf, stepFor } from '../../../../src/datasets/branches.ts'
import { followedSchema, questionSchema } from '../../../../src/execution/remote/run-protocol.ts'
import { holds, parseWhere } from '../../../../src/execution/remote/where.ts'

const messages = z
  .array(z.strictObject({ name: z.string(), hex: z.string(), kind: z.string().nullable() }))
  .min(1)
const vectors = z
  .strictObject({
    questions: messages,
    followed: messages,
    facts: z.strictObject({
      cpus: z.number(),
      memoryBytes: z.number(),
      diskBytes: z.number(),
      gpus: z.number(),
      architecture: z.string(),
      engine: z.string(),
      peers: z.array(z.string()),
      labels: z.record(z.string(), z.string()),
      datasets: z.array(z.string()),
    }),
    branches: z
      .array(z.strictObject({ asker: z.string(), step: z.string(), host: z.string(), branch: z.string() }))
      .min(1),
    predicates: z.array(z.strictObject({ text: z.string(), holds: z.boolean().nullable() })).min(1),
  })
  .parse(
    JSON.parse(await readFile(join(import.meta.dirname, '../../../../protocols/vectors/run.json'), 'utf8')),
  )

for (const [set, schema] of [
  ['questions', questionSchema],
  ['followed', followedSchema],
] as const) {
  for (const { name, hex, kind } of vectors[set]) {
    test(`${set}: ${name} is ${kind ?? 'refused'}`, () => {
      const parsed = schema.safeParse(decode(Buffer.from(hex, 'hex')))
      assert.equal(parsed.success ? parsed.data.kind : null, kind)
    })
  }
}

for (const { asker, step, host, branch } of vectors.branches) {
  test(`what ${host} makes of the step ${step} for another stands on ${branch}`, () => {
    assert.equal(branchOf(stepFor(asker, step), host), branch)
  })
}

for (const { text, holds: expected } of vectors.predicates) {
  test(`the predicate ${text} is ${expected ?? 'refused'}`, () => {
    const { datasets, ...facts } = vectors.facts
    if (expected === null) return assert.throws(() => parseWhere(text), { code: 'INVALID_INPUT' })
    const where = parseWhere(text)
    assert.equal(holds(where, { ...facts, holds: (dataset) => datasets.includes(dataset) }), expected)
  })
}
