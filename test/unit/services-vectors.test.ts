import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { z } from 'zod'
import { isNodeError } from '../../src/base/errors.ts'
import { parseServiceLabels, serviceDescriptionSchema } from '../../src/execution/images/service.ts'

const labels = z.record(z.string(), z.string())
const vectors = z
  .strictObject({
    accepted: z.array(z.strictObject({ name: z.string(), labels, service: serviceDescriptionSchema })).min(1),
    refused: z.array(z.strictObject({ name: z.string(), labels, wrong: z.array(z.string()).min(1) })).min(1),
  })
  .parse(
    JSON.parse(await readFile(join(import.meta.dirname, '../../protocols/vectors/services.json'), 'utf8')),
  )

for (const { name, labels, service } of vectors.accepted) {
  test(`services.md: ${name}`, () => assert.deepEqual(parseServiceLabels(labels), service))
}

for (const { name, labels, wrong } of vectors.refused) {
  test(`services.md refuses ${name}, by the label`, () => {
    assert.throws(
      () => parseServiceLabels(labels),
      (error) => {
        assert(isNodeError(error, 'INVALID_INPUT'))
        const told = error.data.problems as string[]
        assert.deepEqual(
          told.map((problem) => problem.split(/[ :]/)[0]),
          wrong,
        )
        return true
      },
    )
  })
}
