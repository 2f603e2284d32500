import assert from 'node:assert/strict'
import { test } from 'node:test'
import { encode } from '@ipld/dag-cbor'
import {
  DAY_MS,
  listingAnnounceMinMs,
  listingBytesMax,
  listingsPerAuthorMax,
  MINUTE_MS,
  newAuthorsBurst,
} from '../../src/base/limits.ts'
import { createGenesis } from '../../src/federation/genesis.ts'
import { seal } from '../../src/identity/envelope.ts'
import { Catalogue } from '../../src/marketplace/catalogue.ts'
import { judgeListing, type ListingBench } from '../../src/marketplace/judge.ts'
import { encodeListing, parseOffer } from '../../src/marketplace/listing.ts'
import { newcomers, renewals } from '../../src/marketplace/pace.ts'
import { sealListing } from '../support/listings.ts'
import { newIdentity, sealRecord } from '../support/records.ts'

const [amy, eve] = [await newIdentity(), await newIdentity()]

const bench = (catalogue = new Catalogue()): ListingBench => {
  return { catalogue, renewals: renewals(), newcomers: newcomers() }
}

async function verdictOn(envelope: Uint8Array, at = bench()): Promise<string> {
  const verdict = await judgeListing(envelope, 'a neighbour', at, Date.now())
  return verdict.action === 'accept' ? 'accept' : `${verdict.action} ${verdict.code}`
}

test('an honest listing is accepted', async () => {
  assert.equal(await verdictOn((await sealListing(amy)).envelope), 'accept')
})

test('a listing with a flipped bit is rejected', async () => {
  const envelope = (await sealListing(amy)).envelope.slice()
  envelope[envelope.length - 1] = (envelope[envelope.length - 1] as number) ^ 1
  assert.equal(await verdictOn(envelope), 'reject BAD_ENVELOPE')
})

test('a record of a federation is no listing', async () => {
  const { envelope } = await sealRecord(amy, { key: '/tools/a' })
  assert.equal(await verdictOn(envelope), 'reject BAD_ENVELOPE')
})

test('a listing larger than the limit is rejected before its signature is looked at', async () => {
  assert.equal(await verdictOn(new Uint8Array(listingBytesMax + 1)), 'reject TOO_LARGE')
})

test('a signed payload that is no listing is rejected', async () => {
  const listing = await sealListing(amy)
  const unfit = [
    encode({ hello: 'world' }),
    encodeListing({ ...listing, name: 'Not A Name' }),
    encodeListing({ ...listing, body: { image: '' } }),
    encodeListing({ ...listing, expires: listing.time + 31 * DAY_MS }),
  ]
  for (const payload of unfit) {
    assert.equal(await verdictOn(await seal('listing', payload, amy)), 'reject MALFORMED')
  }
})

test('a listing in the name of another is rejected', async () => {
  const { envelope } = await sealListing(eve, { author: amy.peerId })
  assert.equal(await verdictOn(envelope), 'reject AUTHOR_MISMATCH')
})

test('a listing from tomorrow is ignored, by its time as by its version', async () => {
  assert.equal(
    await verdictOn((await sealListing(amy, { time: Date.now() + DAY_MS })).envelope),
    'ignore FUTURE',
  )
  const { envelope } = await sealListing(amy, { version: Date.now() + DAY_MS })
  assert.equal(await verdictOn(envelope), 'ignore FUTURE')
})

test('an expired listing is ignored', async () => {
  const { envelope } = await sealListing(amy, { expires: Date.now() - 1 })
  assert.equal(await verdictOn(envelope), 'ignore EXPIRED')
})

test('a replay is a duplicate or stale', async () => {
  const catalogue = new Catalogue()
  const first = await sealListing(amy, { time: Date.now() - 10 })
  const second = await sealListing(amy)
  catalogue.apply(second)
  assert.equal(await verdictOn(second.envelope, bench(catalogue)), 'ignore DUPLICATE')
  assert.equal(await verdictOn(first.envelope, bench(catalogue)), 'ignore STALE')
})

test('a listing for which there is no room is ignored', async () => {
  const { envelope } = await sealListing(amy)
  assert.equal(await verdictOn(envelope, bench(new Catalogue({ perAuthorMax: 0 }))), 'ignore CROWDED')
})

test('an author that renews without end is ignored, others are not', async () => {
  const at = bench()
  const now = Date.now()
  for (let n = 0; n < 2 * listingsPerAuthorMax; n += 1) assert(at.renewals.allows(amy.peerId, now))
  assert.equal(await verdictOn((await sealListing(amy)).envelope, at), 'ignore HASTY')
  assert.equal(await verdictOn((await sealListing(eve)).envelope, at), 'accept')
  assert(at.renewals.allows(amy.peerId, now + listingAnnounceMinMs), 'patience is rewarded')
})

test('a neighbour that brings one new identity after the other is ignored, and those who are known are not', async () => {
  const catalogue = new Catalogue({ isTrusted: (peer) => peer === eve.peerId })
  const at = bench(catalogue)
  const now = Date.now()
  for (let n = 0; n < newAuthorsBurst; n += 1) assert(at.newcomers.allows('a neighbour', now))
  const first = await sealListing(amy)
  assert.equal(await verdictOn(first.envelope, at), 'ignore THRONG')
  assert.equal(await verdictOn((await sealListing(eve)).envelope, at), 'accept', 'a member is no stranger')
  catalogue.apply(first)
  assert.equal(await verdictOn((await sealListing(amy, { name: 'more' })).envelope, at), 'accept')
  assert(at.newcomers.allows('another neighbour', now))
  assert(at.newcomers.allows('a neighbour', now + MINUTE_MS), 'patience is rewarded')
})

test('a federation is listed under its own id and name, or without proof; another genesis is rejected', async () => {
  const genesis = await createGenesis(
    { name: 'observatory', description: '', founderName: 'amy', createdMs: 1 },
    amy,
  )
  const proof = { federation: genesis.federation, genesis: Buffer.from(genesis.envelope).toString('base64') }
  const listed = async (name: string, body: object) => {
    const fields = { kind: 'federation' as const, name, body: { contacts: [], addresses: [], ...body } }
    return judgeListing((await sealListing(eve, fields)).envelope, 'a neighbour', bench(), Date.now())
  }
  // Anybody may list it; who founded it is proven all the same.
  const verdict = await listed('observatory', proof)
  assert(verdict.action === 'accept', JSON.stringify(verdict))
  assert.equal(verdict.listing.founder, amy.peerId)
  for (const [name, body] of [
    ['observatory', { ...proof, federation: 'maoanother' }],
    ['debian', proof],
    ['observatory', { genesis: proof.genesis }],
    ['observatory', { ...proof, genesis: 'AAAA' }],
  ] as const) {
    assert.partialDeepStrictEqual(await listed(name, body), { action: 'reject', code: 'FALSE_GENESIS' })
  }
  const unproven = await listed('debian', { federation: genesis.federation })
  assert(unproven.action === 'accept' && unproven.listing.founder === undefined)
})

test('an address that does not say who is to answer there is no address of a federation', async () => {
  for (const address of [
    '203.0.113.7:80',
    '/ip4/203.0.113.7/tcp/80',
    'https://203.0.113.7/',
    '/unix/tmp/x',
  ]) {
    const body = { contacts: [], addresses: [address] }
    const { envelope } = await sealListing(eve, { kind: 'federation', name: 'x', body })
    assert.equal(await verdictOn(envelope), 'reject MALFORMED', address)
  }
})

test('an offer that does not fit is told everything that is wrong with it', () => {
  assert.throws(() => parseOffer({ kind: 'tool', name: 'A b', body: {} }), { code: 'INVALID_INPUT' })
  assert.throws(
    () => parseOffer({ kind: 'tool', name: 'ok', body: { data_repo: 7 } }),
    (error: unknown) => {
      assert.match(String(error), /image: .*data_repo: /)
      return true
    },
  )
  assert.throws(() => parseOffer({ kind: 'spell', name: 'ok' }), { code: 'INVALID_INPUT' })
})
