import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { z } from 'zod'
import { syncRecordBytesPerFrameMax } from '../../src/base/limits.ts'
import { answer, collect } from '../../src/registry/ranges.ts'
import type { RecordIndex } from '../../src/registry/record-index.ts'
import {
  decodeCompared,
  decodeFetched,
  decodeQuestion,
  encodeCompared,
  encodeFetched,
  encodeQuestion,
} from '../../src/registry/sync-messages.ts'
import { indexOf, looseRecord } from '../support/reconciliation.ts'

const held = z.array(z.strictObject({ place: z.string(), version: z.number(), hash: z.string() })).min(1)
const range = { from: z.string(), to: z.string().nullable() }
const vectors = z
  .strictObject({
    federation: z.string(),
    authors: z.record(z.string(), z.string()),
    server: held,
    puller: held,
    digests: z.array(z.strictObject({ ...range, count: z.number(), digest: z.string() })).min(1),
    exchanges: z
      .array(
        z.strictObject({
          name: z.string(),
          bytesMax: z.number().optional(),
          question: z.string(),
          answer: z.string(),
        }),
      )
      .min(1),
    refused: z.array(z.strictObject({ name: z.string(), question: z.string() })).min(1),
  })
  .parse(
    JSON.parse(
      await readFile(join(import.meta.dirname, '../../protocols/vectors/registry-sync.json'), 'utf8'),
    ),
  )

const hexOf = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')
const bytesOf = (hex: string) => new Uint8Array(Buffer.from(hex, 'hex'))

/** In the vectors a record's envelope is its hash: nothing in a catch-up looks into it. */
function load(records: z.infer<typeof held>): RecordIndex {
  return indexOf(
    records.map(({ place, version, hash }) => {
      const [key = '', author] = place.split(' ')
      return { ...looseRecord(key, version, author), hash, envelope: bytesOf(hash) }
    }),
  )
}
const server = load(vectors.server)
const puller = load(vectors.puller)

for (const { from, to, count, digest } of vectors.digests) {
  test(`vector: the digest from "${from}" to ${to}`, () => {
    assert.equal(server.count({ from, to }), count)
    assert.equal(server.digest({ from, to }), digest)
  })
}

for (const { name, question: asked, answer: expected, bytesMax } of vectors.exchanges) {
  test(`vector: ${name}`, () => {
    const { federation, question } = decodeQuestion(bytesOf(asked))
    assert.equal(federation, vectors.federation)
    assert.equal(hexOf(encodeQuestion(federation, question)), asked)
    if (question.kind === 'compare') {
      // The puller asks with its own digests.
      for (const range of question.ranges) assert.equal(puller.digest(range), range.digest)
      const answers = question.ranges.map((range) => answer(server, range))
      assert.equal(hexOf(encodeCompared(answers)), expected)
      assert.deepEqual(decodeCompared(bytesOf(expected), question.ranges.length), answers)
    } else {
      const fetched = collect(server, question, bytesMax ?? syncRecordBytesPerFrameMax)
      assert.equal(hexOf(encodeFetched(fetched)), expected)
      assert.deepEqual(decodeFetched(bytesOf(expected)), fetched)
    }
  })
}

for (const { name, question } of vectors.refused) {
  test(`vector: a question is refused: ${name}`, () => {
    assert.throws(() => decodeQuestion(bytesOf(question)))
  })
}
