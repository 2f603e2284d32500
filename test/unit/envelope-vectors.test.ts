import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { generateKeyPairFromSeed } from '@libp2p/crypto/keys'
import { z } from 'zod'
import { seal } from '../../src/identity/envelope.ts'
import { identityOf } from '../../src/identity/node-key.ts'
import { judgeAll } from '../../src/registry/judge.ts'
import { encodeRecord } from '../../src/registry/record.ts'
import { State } from '../../src/registry/state.ts'
import type { Verdict } from '../../src/registry/verdict.ts'
import { openPolicy } from '../support/records.ts'

const record = z.object({
  federation: z.string(),
  key: z.string(),
  value: z.string().nullable(),
  version: z.number(),
  time: z.number(),
  since: z.number(),
  expires: z.number().optional(),
  author: z.string(),
})
const vectors = z
  .object({
    federation: z.string(),
    nowMs: z.number(),
    opens: z.array(z.object({ name: z.string(), record, hash: z.string(), envelope: z.string() })).min(1),
    refused: z.array(z.object({ name: z.string(), code: z.string(), envelope: z.string() })).min(1),
  })
  .parse(
    JSON.parse(await readFile(join(import.meta.dirname, '../../protocols/vectors/envelope.json'), 'utf8')),
  )

const bytes = (hex: string) => new Uint8Array(Buffer.from(hex, 'hex'))
async function verdictOn(envelope: string): Promise<Verdict> {
  const bench = { federation: vectors.federation, held: new State(), policy: openPolicy }
  const [verdict] = await judgeAll([bytes(envelope)], bench, vectors.nowMs)
  return verdict as Verdict
}

for (const vector of vectors.opens) {
  test(`vector: ${vector.name} opens to its record and hash`, async () => {
    const verdict = await verdictOn(vector.envelope)
    assert(verdict.action === 'accept', JSON.stringify(verdict))
    const { value, ...rest } = vector.record
    assert.partialDeepStrictEqual(verdict.record, { ...rest, hash: vector.hash })
    assert.deepEqual(verdict.record.value && Buffer.from(verdict.record.value).toString('hex'), value)
  })

  test(`vector: ${vector.name} is sealed to the same bytes`, async () => {
    const amy = identityOf(await generateKeyPairFromSeed('Ed25519', new Uint8Array(32).fill(1)))
    const value = vector.record.value === null ? null : bytes(vector.record.value)
    const sealed = await seal('record', encodeRecord({ ...vector.record, value }), amy)
    assert.equal(Buffer.from(sealed).toString('hex'), vector.envelope)
  })
}

for (const vector of vectors.refused) {
  test(`vector: ${vector.name} is rejected as ${vector.code}`, async () => {
    const verdict = await verdictOn(vector.envelope)
    assert.equal(verdict.action === 'reject' && verdict.code, vector.code)
  })
}
