import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { z } from 'zod'
import { admit, arrange, kindOf } from '../../src/federation/keyspace.ts'
import { membersSchema, orders, recordSchema, rosterOf } from '../support/registry-vectors.ts'

const vectors = z
  .strictObject({
    members: membersSchema,
    kinds: z.array(z.tuple([z.string(), z.enum(['shared', 'reserved', 'local'])])).min(1),
    admissions: z
      .array(z.strictObject({ name: z.string(), record: recordSchema, refusal: z.string().nullable() }))
      .min(1),
    arrangements: z
      .array(
        z.strictObject({
          name: z.string(),
          arranged: z.array(recordSchema),
        }),
      )
      .min(1),
  })
  .parse(
    JSON.parse(await readFile(join(import.meta.dirname, '../../protocols/vectors/keyspace.json'), 'utf8')),
  )
const roster = rosterOf(vectors.members)

for (const [key, kind] of vectors.kinds) {
  test(`vector: ${JSON.stringify(key.slice(0, 40))} is ${kind}`, () => assert.equal(kindOf(key), kind))
}

for (const { name, record, refusal } of vectors.admissions) {
  test(`vector: ${name}: ${refusal ?? 'admitted'}`, () => {
    const refused = admit(record, roster)
    assert.equal(refused === undefined ? null : `${refused.action} ${refused.code}`, refusal)
  })
}

for (const { name, arranged } of vectors.arrangements) {
  test(`vector: ${name}`, () => {
    const hashes = arranged.map(({ hash }) => hash)
    for (const claims of orders(arranged)) {
      assert.deepEqual(
        arrange(claims, roster).map(({ hash }) => hash),
        hashes,
      )
    }
  })
}
