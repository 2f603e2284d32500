import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { z } from 'zod'
import { datasetId } from '../../../src/datasets/dataset-record.ts'
import { lineFor } from '../../../src/datasets/following.ts'
import { judgeHead } from '../../../src/datasets/head-marks.ts'
import { headHash, headSchema, isOf } from '../../../src/datasets/heads.ts'
import { stateOf } from '../../../src/datasets/replicas.ts'
import { encodeJson } from '../../../src/registry/collection.ts'

const text = z.string()
const vectors = z
  .strictObject({
    ids: z.array(z.strictObject({ founder: text, name: text, seed: text, id: text })).min(1),
    states: z.array(z.strictObject({ branches: z.record(text, text), state: text })).min(1),
    lines: z.array(z.strictObject({ dataset: text, members: z.array(text), line: z.array(text) })).min(1),
    heads: z
      .array(
        z.strictObject({
          name: text,
          dataset: z.strictObject({ name: text, id: text.optional() }),
          head: headSchema,
          seen: z.strictObject({ sequence: z.int(), hash: text }).nullable(),
          verdict: text,
        }),
      )
      .min(1),
  })
  .parse(
    JSON.parse(
      await readFile(join(import.meta.dirname, '../../../protocols/vectors/dataset-heads.json'), 'utf8'),
    ),
  )

for (const { founder, name, seed, id } of vectors.ids) {
  test(`vector: the dataset ${id} is its founder's`, () => assert.equal(datasetId(founder, name, seed), id))
}

for (const { branches, state } of vectors.states) {
  test(`vector: the state of ${Object.keys(branches).length} branches`, () => {
    assert.equal(stateOf(Object.entries(branches)), state)
  })
}

for (const { dataset, members, line } of vectors.lines) {
  test(`vector: who keeps copies of ${dataset.slice(0, 8)}, in line`, () => {
    assert.deepEqual(lineFor(dataset, members), line)
  })
}

for (const { name, dataset, head, seen, verdict } of vectors.heads) {
  test(`vector: a head, ${name}: ${verdict}`, () => {
    const mark = seen === null ? undefined : { ...seen, resets: {} }
    const hash = headHash(encodeJson(head))
    assert.equal(judgeHead(head, hash, isOf(head, dataset.name, dataset), mark), verdict)
  })
}
