import assert from 'node:assert/strict'
import { test } from 'node:test'
import { encode } from '@ipld/dag-cbor'
import { DAY_MS, recordBytesMax } from '../../src/base/limits.ts'
import { seal } from '../../src/identity/envelope.ts'
import { type Bench, judgeAll, type Policy } from '../../src/registry/judge.ts'
import { State } from '../../src/registry/state.ts'
import { ignore } from '../../src/registry/verdict.ts'
import { FEDERATION, newIdentity, openPolicy, sealRecord, take } from '../support/records.ts'

const bench = (policy = openPolicy): Bench & { held: State } => ({
  federation: FEDERATION,
  held: new State(),
  policy,
})
const amy = await newIdentity()
const ben = await newIdentity()

async function verdictOn(envelope: Uint8Array, at = bench()): Promise<string> {
  const [verdict] = await judgeAll([envelope], at, Date.now())
  assert(verdict !== undefined)
  return verdict.action === 'accept' ? 'accept' : `${verdict.action} ${verdict.code}`
}

test('an honest record is accepted', async () => {
  assert.equal(await verdictOn((await sealRecord(amy, { key: '/tools/a' })).envelope), 'accept')
})

test('a flipped bit anywhere in the envelope is never accepted', async () => {
  const { envelope } = await sealRecord(amy, { key: '/tools/a' })
  for (let at = 0; at < envelope.length; at += 1) {
    const forged = Uint8Array.from(envelope)
    forged[at] = (forged[at] as number) ^ 1
    const verdict = await verdictOn(forged)
    assert(verdict.startsWith('reject'), `byte ${at}: ${verdict}`)
  }
})

test('a signer that is not the claimed author is rejected', async () => {
  const { envelope } = await sealRecord(amy, { key: '/tools/a', author: ben.peerId })
  assert.equal(await verdictOn(envelope), 'reject AUTHOR_MISMATCH')
})

test('a record of another federation is rejected', async () => {
  const { envelope } = await sealRecord(amy, { key: '/tools/a', federation: 'maoelsewhere' })
  assert.equal(await verdictOn(envelope), 'reject FOREIGN_FEDERATION')
})

test('a signature given for another purpose is rejected', async () => {
  const envelope = await seal('genesis', encode({ any: 'thing' }), amy)
  assert.equal(await verdictOn(envelope), 'reject BAD_ENVELOPE')
})

test('a signed payload that is no record is rejected', async () => {
  for (const payload of [encode({ federation: FEDERATION }), new Uint8Array([255, 0]), new Uint8Array()]) {
    assert.equal(await verdictOn(await seal('record', payload, amy)), 'reject MALFORMED')
  }
})

test('keys that climb, repeat slashes or hold other characters are rejected', async () => {
  for (const key of ['tools/a', '/tools//a', '/tools/a/', '/tools/a b', '/tools/ä', '/']) {
    assert.equal(await verdictOn((await sealRecord(amy, { key })).envelope), 'reject MALFORMED', key)
  }
})

test('an envelope above the bound is rejected before it is opened', async () => {
  assert.equal(await verdictOn(new Uint8Array(recordBytesMax + 1)), 'reject BAD_ENVELOPE')
})

test('a record from a day ahead is ignored, and its author is not stuck with it', async () => {
  const ahead = await sealRecord(amy, { key: '/tools/a', time: Date.now() + DAY_MS })
  assert.equal(await verdictOn(ahead.envelope), 'ignore FUTURE')
  assert.equal(await verdictOn((await sealRecord(amy, { key: '/tools/a' })).envelope), 'accept')
})

test('an expired record is ignored', async () => {
  const { envelope } = await sealRecord(amy, { key: '/tools/a', expires: Date.now() - 1 })
  assert.equal(await verdictOn(envelope), 'ignore EXPIRED')
})

test('a replay is a duplicate or stale, however old', async () => {
  const at = bench()
  const first = await sealRecord(amy, { key: '/tools/a' })
  const second = await sealRecord(amy, { key: '/tools/a', version: 2 })
  take(at.held, second, at.policy.arrange)
  assert.equal(await verdictOn(second.envelope, at), 'ignore DUPLICATE')
  assert.equal(await verdictOn(first.envelope, at), 'ignore STALE')
})

test("a policy's refusal is the verdict", async () => {
  const closed: Policy = { ...openPolicy, admit: async () => ignore('UNKNOWN_AUTHOR', 'nobody knows it') }
  const { envelope } = await sealRecord(amy, { key: '/tools/a' })
  assert.equal(await verdictOn(envelope, bench(closed)), 'ignore UNKNOWN_AUTHOR')
})
