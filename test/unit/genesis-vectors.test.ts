import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { z } from 'zod'
import { endorsementSchema, policyInForce, policySchema } from '../../src/federation/federation-policy.ts'
import { createGenesis, openGenesis } from '../../src/federation/genesis.ts'
import { generateIdentity } from '../../src/identity/node-key.ts'

async function vectorsOf<T>(name: string, schema: z.ZodType<T>): Promise<T> {
  const path = join(import.meta.dirname, `../../protocols/vectors/${name}.json`)
  return schema.parse(JSON.parse(await readFile(path, 'utf8')))
}
const bytes = (hex: string) => new Uint8Array(Buffer.from(hex, 'hex'))

const genesisVectors = await vectorsOf(
  'genesis',
  z.object({
    opens: z.array(z.object({ name: z.string(), envelope: z.string(), genesis: z.looseObject({}) })).min(1),
    refused: z.array(z.object({ name: z.string(), envelope: z.string() })).min(1),
  }),
)
for (const { name, envelope, genesis } of genesisVectors.opens) {
  test(`vector: ${name}`, async () => {
    const { envelope: _, ...read } = await openGenesis(bytes(envelope))
    assert.deepEqual(read, genesis)
  })
}
for (const { name, envelope } of genesisVectors.refused) {
  test(`vector: refused: ${name}`, async () => {
    await assert.rejects(openGenesis(bytes(envelope)), { code: 'SIGNATURE_INVALID' })
  })
}

test('[G8] a further founder is somebody who can prove it', async () => {
  const identity = await generateIdentity()
  const founding = { name: 'a', description: '', founderName: 'amy', createdMs: 1 }
  const founders = [{ peer: (await generateIdentity()).peerId, name: 'ben' }]
  await createGenesis({ ...founding, founders }, identity)
  for (const peer of ['ben', `${founders[0]?.peer}x`]) {
    const wanted = createGenesis({ ...founding, founders: [{ peer, name: 'ben' }] }, identity)
    await assert.rejects(wanted, { code: 'INVALID_INPUT' })
  }
})

test('[G2] a genesis of another federation is not believed', async () => {
  const identity = await generateIdentity()
  const genesis = await createGenesis(
    { name: 'a', description: '', founderName: 'amy', createdMs: 1 },
    identity,
  )
  await openGenesis(genesis.envelope, genesis.federation)
  await assert.rejects(openGenesis(genesis.envelope, 'maobother'), { code: 'SIGNATURE_INVALID' })
})

const policyVectors = await vectorsOf(
  'federation-policy',
  z.object({
    vectors: z.array(
      z.object({
        name: z.string(),
        genesis: policySchema,
        operators: z.array(z.string()),
        founders: z.array(z.string()),
        endorsements: z.array(endorsementSchema.extend({ peer: z.string() })),
        inForce: z.looseObject({}),
      }),
    ),
  }),
)
for (const { name, genesis, operators, founders, endorsements, inForce } of policyVectors.vectors) {
  test(`vector: ${name}`, () => {
    const { chain, ...read } = policyInForce(genesis, { operators, founders }, endorsements)
    assert.deepEqual(read, inForce)
    assert.equal(chain.length, read.sequence)
    assert.deepEqual(policyInForce(genesis, { operators, founders }, endorsements.toReversed()), {
      chain,
      ...read,
    })
  })
}

test('[P1] fewer operators than are needed never change anything, whatever they write', () => {
  const policy = fc.record({
    join: fc.constantFrom('invitation' as const, 'open' as const),
    newcomers: fc.constant('member' as const),
    operatorsNeeded: fc.integer({ min: 1, max: 4 }),
    contacts: fc.constant<string[]>([]),
  })
  const chain = fc.array(policy, { maxLength: 3 })
  fc.assert(
    fc.property(fc.tuple(chain, chain), chain, ([a, b], other) => {
      const genesis = {
        join: 'request' as const,
        newcomers: 'member' as const,
        operatorsNeeded: 3,
        contacts: [],
      }
      const endorsements = [
        { peer: 'a', chain: a },
        { peer: 'b', chain: b },
        { peer: 'stranger', chain: other },
      ]
      const founders = ['a', 'b', 'c', 'd', 'e']
      // Whoever of the others is an operator at the moment, and whoever one of the two has made one.
      for (const operators of [founders, ['a', 'b'], ['a', 'b', 'stranger']])
        assert.equal(policyInForce(genesis, { operators, founders }, endorsements).sequence, 0)
    }),
  )
})
