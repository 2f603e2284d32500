import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { generateKeyPairFromSeed } from '@libp2p/crypto/keys'
import { z } from 'zod'
import { seal } from '../../src/identity/envelope.ts'
import { identityOf } from '../../src/identity/node-key.ts'
import { Catalogue } from '../../src/marketplace/catalogue.ts'
import { judgeListing } from '../../src/marketplace/judge.ts'
import { encodeListing, LISTING_KINDS } from '../../src/marketplace/listing.ts'
import { newcomers, renewals } from '../../src/marketplace/pace.ts'

const listing = z.object({
  kind: z.enum(LISTING_KINDS),
  name: z.string(),
  description: z.string(),
  author: z.string(),
  version: z.number(),
  time: z.number(),
  expires: z.number(),
  body: z.record(z.string(), z.unknown()).nullable(),
})
const vectors = z
  .object({
    nowMs: z.number(),
    listings: z
      .array(
        z.object({
          ...{ name: z.string(), signer: z.enum(['amy', 'eve']), listing, hash: z.string() },
          ...{ founder: z.string().optional(), envelope: z.string() },
        }),
      )
      .min(1),
    verdicts: z
      .array(
        z.object({
          ...{ name: z.string(), held: z.array(z.string()), envelope: z.string() },
          ...{ action: z.string(), code: z.string().optional() },
        }),
      )
      .min(1),
  })
  .parse(
    JSON.parse(await readFile(join(import.meta.dirname, '../../protocols/vectors/marketplace.json'), 'utf8')),
  )

const bytes = (hex: string) => new Uint8Array(Buffer.from(hex, 'hex'))
const identity = async (seed: number) =>
  identityOf(await generateKeyPairFromSeed('Ed25519', new Uint8Array(32).fill(seed)))
const signers = { amy: await identity(1), eve: await identity(2) }

function judge(envelope: string, catalogue: Catalogue) {
  const bench = { catalogue, renewals: renewals(), newcomers: newcomers() }
  return judgeListing(bytes(envelope), 'a neighbour', bench, vectors.nowMs)
}

for (const vector of vectors.listings) {
  test(`vector: ${vector.name} is sealed to these bytes, and opens to its fields`, async () => {
    const sealed = await seal('listing', encodeListing(vector.listing), signers[vector.signer])
    assert.equal(Buffer.from(sealed).toString('hex'), vector.envelope)
    const verdict = await judge(vector.envelope, new Catalogue())
    assert(verdict.action === 'accept', JSON.stringify(verdict))
    assert.partialDeepStrictEqual(verdict.listing, { ...vector.listing, hash: vector.hash })
    assert.equal(verdict.listing.founder, vector.founder)
  })
}

for (const vector of vectors.verdicts) {
  test(`vector: ${vector.name}`, async () => {
    const catalogue = new Catalogue()
    for (const held of vector.held) {
      const before = await judge(held, catalogue)
      assert(before.action === 'accept', JSON.stringify(before))
      catalogue.apply(before.listing, before.dropped)
    }
    const { action, ...rest } = await judge(vector.envelope, catalogue)
    assert.deepEqual([action, 'code' in rest ? rest.code : undefined], [vector.action, vector.code])
  })
}
