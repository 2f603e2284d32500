import assert from 'node:assert/strict'
import { test } from 'node:test'
import { generateKeyPair } from '@libp2p/crypto/keys'
import { RecordEnvelope } from '@libp2p/peer-record'
import fc from 'fast-check'
import { recordBytesMax, signatureChecksMax, signatureChecksWaitingMax } from '../../src/base/limits.ts'
import { open, openAll, reopen, seal } from '../../src/identity/envelope.ts'
import { parseEnvelope } from '../../src/identity/envelope-form.ts'
import { generateIdentity, type Identity, identityOf } from '../../src/identity/node-key.ts'
import { SignatureChecks, Signers, signWith } from '../../src/identity/signatures.ts'

const amy = await generateIdentity()
const ben = await generateIdentity()
const type = new TextEncoder().encode('/mao/record/1')

async function sealByLibp2p(payload: Uint8Array, identity: Identity): Promise<Uint8Array> {
  const sealable = { domain: 'mao-record', codec: type, marshal: () => payload, equals: () => false }
  return (await RecordEnvelope.seal(sealable, identity.privateKey)).marshal()
}

/** What libp2p makes of some bytes, as this project read envelopes before it had a reader of its own. */
async function openByLibp2p(bytes: Uint8Array): Promise<Uint8Array | undefined> {
  try {
    const envelope = await RecordEnvelope.openAndCertify(bytes, 'mao-record')
    const canonical = Buffer.compare(envelope.marshal(), bytes) === 0
    const ours = Buffer.compare(envelope.payloadType, type) === 0 && envelope.publicKey.type === 'Ed25519'
    return canonical && ours ? envelope.payload.subarray() : undefined
  } catch {
    return undefined
  }
}

test('what is sealed here is, byte for byte, what libp2p seals', async () => {
  const lengths = fc.oneof(fc.constantFrom(0, 1, 127, 128, 16_383, 16_384), fc.nat(40_000))
  await fc.assert(
    fc.asyncProperty(lengths, fc.nat(255), async (length, fill) => {
      const payload = new Uint8Array(length).fill(fill)
      const sealed = seal('record', payload, amy)
      assert.deepEqual(Buffer.from(sealed), Buffer.from(await sealByLibp2p(payload, amy)))
      assert.deepEqual(await open('record', sealed), { author: amy.peerId, payload })
      assert.deepEqual(reopen(sealed), payload)
    }),
    { numRuns: 60 },
  )
})

test('whatever is done to an envelope, it opens here exactly when libp2p finds it valid and canonical', async () => {
  const good = seal('record', new Uint8Array(150).fill(7), amy)
  const edit = fc.record({
    at: fc.nat(good.length),
    remove: fc.nat(3),
    insert: fc.uint8Array({ maxLength: 3 }),
  })
  await fc.assert(
    fc.asyncProperty(fc.array(edit, { minLength: 1, maxLength: 2 }), async (edits) => {
      let bytes = [...good]
      for (const { at, remove, insert } of edits) bytes = bytes.toSpliced(at, remove, ...insert)
      const envelope = Uint8Array.from(bytes)
      const expected = await openByLibp2p(envelope)
      const [opened] = await openAll('record', [envelope])
      assert.deepEqual(opened instanceof Error ? undefined : opened?.payload, expected)
    }),
    { numRuns: 2_000 },
  )
})

test('an envelope inside a larger buffer is read from its own bytes', async () => {
  const sealed = seal('record', new Uint8Array([1, 2, 3]), amy)
  const larger = Buffer.alloc(sealed.length + 20)
  larger.set(sealed, 7)
  const opened = await open('record', larger.subarray(7, 7 + sealed.length))
  assert.deepEqual(opened, { author: amy.peerId, payload: new Uint8Array([1, 2, 3]) })
})

test('each of many is answered in its place', async () => {
  const payload = new Uint8Array([1])
  const forged = Uint8Array.from(seal('record', payload, amy))
  forged[forged.length - 1] = (forged.at(-1) as number) ^ 1
  const opened = await openAll('record', [
    seal('record', payload, amy),
    forged,
    seal('listing', payload, amy),
    new Uint8Array(recordBytesMax + 1),
    new Uint8Array(),
    seal('record', payload, ben),
  ])
  const told = opened.map((one) => (one instanceof Error ? one.code : one.author))
  const bad = 'SIGNATURE_INVALID'
  assert.deepEqual(told, [amy.peerId, bad, bad, 'TOO_LARGE', bad, ben.peerId])
})

test('more signatures than may wait are all checked, and rightly', async () => {
  const signers = new Signers()
  const checks = new SignatureChecks()
  const message = new Uint8Array([1, 2, 3])
  const signature = signWith(amy.privateKey, message)
  const wrong = signWith(ben.privateKey, message)
  const signer = signers.get(amy.privateKey.publicKey.raw)
  assert.equal(signer.peer, amy.peerId)
  const count = signatureChecksMax + signatureChecksWaitingMax + 500
  const answers = await Promise.all(
    Array.from({ length: count }, (_, n) => checks.holds(message, signer, n % 3 === 0 ? wrong : signature)),
  )
  for (const [n, holds] of answers.entries()) assert.equal(holds, n % 3 !== 0, `signature ${n}`)
})

test('a node with another kind of key cannot sign, and says so', async () => {
  const other = identityOf(await generateKeyPair('secp256k1'))
  assert.throws(() => seal('record', new Uint8Array([1]), other), { code: 'UNSUPPORTED' })
})

test('a key of another type is refused whatever its signature says', async () => {
  const other = identityOf(await generateKeyPair('secp256k1'))
  const sealed = await sealByLibp2p(new Uint8Array([1]), other)
  await assert.rejects(open('record', sealed), { code: 'SIGNATURE_INVALID', message: /Ed25519/ })
})

test('parts are views of the envelope, not copies', () => {
  const sealed = seal('record', new Uint8Array([1, 2, 3]), amy)
  assert.equal(parseEnvelope(sealed).payload.buffer, sealed.buffer)
})
