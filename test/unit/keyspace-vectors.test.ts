import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { z } from 'zod'
import { admit, arrange, isLeftBehind, kindOf, type Roster } from '../../src/federation/keyspace.ts'
import { membersSchema, orders, recordSchema, rosterOf } from '../support/registry-vectors.ts'

const vectors = z
  .strictObject({
    members: membersSchema,
    /** Former members, the hashes that lists have, and about whom there is a whole list. */
    former: z.array(z.string()),
    listed: z.array(z.string().regex(/^[0-9a-f]{32}$/)),
    whole: z.array(z.string()),
    /** Which key follows which. */
    successions: z.record(z.string(), z.string()),
    kinds: z.array(z.tuple([z.string(), z.enum(['shared', 'reserved', 'local'])])).min(1),
    admissions: z
      .array(z.strictObject({ name: z.string(), record: recordSchema, refusal: z.string().nullable() }))
      .min(1),
    departures: z.array(z.strictObject({ name: z.string(), record: recordSchema, goes: z.boolean() })).min(1),
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
const roster: Roster = {
  ...rosterOf(vectors.members),
  isFormer: (peer) => vectors.former.includes(peer),
  stays: (hash) => vectors.listed.includes(hash.slice(0, 32)),
  isListed: (peer) => vectors.whole.includes(peer),
  presentOf: (peer) => vectors.successions[peer] ?? peer,
}

for (const [key, kind] of vectors.kinds) {
  test(`vector: ${JSON.stringify(key.slice(0, 40))} is ${kind}`, () => assert.equal(kindOf(key), kind))
}

for (const { name, record, refusal } of vectors.admissions) {
  test(`vector: ${name}: ${refusal ?? 'admitted'}`, () => {
    const refused = admit(record, roster)
    assert.equal(refused === undefined ? null : `${refused.action} ${refused.code}`, refusal)
  })
}

for (const { name, record, goes } of vectors.departures) {
  test(`vector: ${name}: ${goes ? 'goes' : 'stays'}`, () => assert.equal(isLeftBehind(record, roster), goes))
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
