import assert from 'node:assert/strict'
import { test } from 'node:test'
import { encode } from '@ipld/dag-cbor'
import { DAY_MS, listingAnnounceMinMs, listingBytesMax, listingsPerAuthorMax } from '../../src/base/limits.ts'
import { seal } from '../../src/identity/envelope.ts'
import { AuthorPace } from '../../src/marketplace/author-pace.ts'
import { Catalogue } from '../../src/marketplace/catalogue.ts'
import { judgeListing, type ListingBench } from '../../src/marketplace/judge.ts'
import { encodeListing, parseOffer } from '../../src/marketplace/listing.ts'
import { sealListing } from '../support/listings.ts'
import { newIdentity, sealRecord } from '../support/records.ts'

const [amy, eve] = [await newIdentity(), await newIdentity()]

const bench = (catalogue = new Catalogue()): ListingBench => ({ catalogue, pace: new AuthorPace() })

async function verdictOn(envelope: Uint8Array, at = bench()): Promise<string> {
  const verdict = await judgeListing(envelope, at, Date.now())
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
  for (let n = 0; n < 2 * listingsPerAuthorMax; n += 1) assert(at.pace.allows(amy.peerId, now))
  assert.equal(await verdictOn((await sealListing(amy)).envelope, at), 'ignore HASTY')
  assert.equal(await verdictOn((await sealListing(eve)).envelope, at), 'accept')
  assert(at.pace.allows(amy.peerId, now + listingAnnounceMinMs), 'patience is rewarded')
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
