import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { listingEstablishedMs } from '../../src/base/limits.ts'
import { Catalogue } from '../../src/marketplace/catalogue.ts'
import type { SealedListing } from '../../src/marketplace/listing.ts'
import { plainListing } from '../support/listings.ts'

/** Merges in the order given and tells the outcomes. */
function merge(catalogue: Catalogue, listings: readonly SealedListing[]): string[] {
  return listings.map((listing) => {
    const merged = catalogue.judge(listing)
    if (merged.outcome === 'newer') catalogue.apply(listing, merged.dropped)
    return merged.outcome
  })
}

const hashes = (catalogue: Catalogue) => catalogue.find({}, 0).map((listing) => listing.hash)

const listings = fc.array(
  fc
    .record({
      author: fc.constantFrom('amy', 'bob', 'cleo'),
      name: fc.constantFrom('a', 'b', 'c'),
      kind: fc.constantFrom('tool', 'dataset'),
      version: fc.integer({ min: 1, max: 4 }),
      description: fc.constantFrom('', 'x', 'y'),
      body: fc.constantFrom({ image: 'a:1' }, null),
    })
    .map((fields) => plainListing(fields)),
  { maxLength: 30 },
)

test('whatever the order of arrival, and however often, the catalogue comes out the same', () => {
  fc.assert(
    fc.property(listings, fc.integer({ min: 0, max: 1_000 }), (heard, turn) => {
      const [first, second] = [new Catalogue(), new Catalogue()]
      merge(first, heard)
      const cut = heard.length === 0 ? 0 : turn % heard.length
      merge(second, [...heard.slice(cut), ...heard.slice(0, cut)].reverse())
      merge(second, heard)
      assert.deepEqual(hashes(second), hashes(first))
    }),
  )
})

test('the same listing twice is a duplicate, an older one stale', () => {
  const catalogue = new Catalogue()
  const [first, second] = [plainListing({ version: 1 }), plainListing({ version: 2 })]
  assert.deepEqual(merge(catalogue, [second, second, first]), ['newer', 'duplicate', 'stale'])
})

test('nobody can take the place of another: a squatter stands beside', () => {
  const catalogue = new Catalogue()
  merge(catalogue, [plainListing({ author: 'amy' }), plainListing({ author: 'eve', version: 999 })])
  assert.deepEqual(
    catalogue.find({ name: 'collect' }, 0).map((listing) => listing.author),
    ['amy', 'eve'],
  )
})

test('what is withdrawn is gone, and its replay does not bring it back', () => {
  const catalogue = new Catalogue()
  const offered = plainListing({ version: 1 })
  merge(catalogue, [offered, plainListing({ version: 2, body: null }), offered])
  assert.deepEqual(catalogue.find({}, 0), [])
})

test('what has expired is not shown and can be forgotten, tombstones too', () => {
  const catalogue = new Catalogue()
  const old = plainListing({ name: 'old', expires: 2_000 })
  const gone = plainListing({ name: 'gone', expires: 2_000, body: null })
  merge(catalogue, [old, gone, plainListing({ name: 'new', expires: 5_000 })])
  assert.deepEqual(
    catalogue.find({}, 2_000).map((listing) => listing.name),
    ['new'],
  )
  assert.deepEqual(catalogue.expired(2_000), [old, gone])
  for (const listing of catalogue.expired(2_000)) catalogue.forget(listing)
  assert.equal(catalogue.size, 1)
})

test('an author with as many listings as are allowed may still renew them, but adds none', () => {
  const catalogue = new Catalogue({ perAuthorMax: 2 })
  const three = ['a', 'b', 'c'].map((name) => plainListing({ name }))
  assert.deepEqual(merge(catalogue, three), ['newer', 'newer', 'crowded'])
  assert.deepEqual(merge(catalogue, [plainListing({ name: 'a', version: 2 })]), ['newer'])
  assert.equal(catalogue.size, 2)
})

test('in a full catalogue a flood makes room for those who have little, and never for itself', () => {
  const catalogue = new Catalogue({ listingsMax: 4 })
  const flood = ['a', 'b', 'c', 'd', 'e'].map((name, at) =>
    plainListing({ name, author: 'eve', version: at + 1 }),
  )
  assert.deepEqual(merge(catalogue, flood), ['newer', 'newer', 'newer', 'newer', 'crowded'])
  merge(catalogue, [plainListing({ author: 'amy' }), plainListing({ author: 'bob' })])
  assert.deepEqual(
    catalogue.find({}, 0).map(({ author, name }) => `${author} ${name}`),
    ['eve c', 'amy collect', 'bob collect', 'eve d'],
  )
  assert.equal(catalogue.size, 4)
})

test("a node's own listings are never crowded out", () => {
  const catalogue = new Catalogue({ self: 'amy', listingsMax: 2 })
  const own = ['a', 'b', 'c'].map((name) => plainListing({ name }))
  assert.deepEqual(merge(catalogue, own), ['newer', 'newer', 'newer'])
  assert.deepEqual(merge(catalogue, [plainListing({ author: 'bob' })]), ['crowded'])
})

test('search finds every word anywhere in a listing, of the kind that is asked for', () => {
  const catalogue = new Catalogue()
  merge(catalogue, [
    plainListing({ name: 'collect', description: 'Reads package manifests', body: { image: 'lab/npm:1' } }),
    plainListing({ name: 'manifests', kind: 'dataset', description: 'npm packages', body: {} }),
  ])
  const found = (text: string, kind?: 'tool') => catalogue.find({ text, kind }, 0).map(({ name }) => name)
  assert.deepEqual(found('NPM manifests'), ['manifests', 'collect'])
  assert.deepEqual(found('npm', 'tool'), ['collect'])
  assert.deepEqual(found('lab/npm'), ['collect'])
  assert.deepEqual(found('npm absent'), [])
})

test('in a catalogue full of identities a newcomer is still heard, and neither members nor what is long known give way', () => {
  const day = listingEstablishedMs
  const catalogue = new Catalogue({ listingsMax: 20, self: 'amy', isTrusted: (peer) => peer === 'bob' })
  const known = plainListing({ author: 'known', heardMs: 0 })
  merge(catalogue, [known, plainListing({ author: 'bob', heardMs: 2 * day })])
  const flood = (from: number, to: number) =>
    Array.from({ length: to - from }, (_, n) =>
      plainListing({ author: `eve-${from + n}`, heardMs: 2 * day + from + n }),
    )
  merge(catalogue, flood(0, 18))
  assert.deepEqual(merge(catalogue, [plainListing({ author: 'cleo', heardMs: 2 * day + 20 })]), ['newer'])
  merge(catalogue, flood(18, 200))
  const authors = catalogue.find({}, 0).map(({ author }) => author)
  assert.equal(authors.length, 20)
  assert(authors.includes('known') && authors.includes('bob'), authors.join(' '))
  // Who was displaced announces again, and is heard again.
  assert.deepEqual(merge(catalogue, [plainListing({ author: 'dora', heardMs: 2 * day + 300 })]), ['newer'])
  // What has been there for a day does not give way to strangers at all.
  assert.deepEqual(merge(catalogue, [plainListing({ author: 'late', heardMs: 4 * day })]), ['crowded'])
})

test('a listing is known since its place is, whatever is said there anew', () => {
  const catalogue = new Catalogue()
  merge(catalogue, [plainListing({ heardMs: 5 }), plainListing({ version: 2, heardMs: 9 })])
  assert.deepEqual(
    catalogue.find({}, 0).map(({ version, heardMs }) => [version, heardMs]),
    [[2, 5]],
  )
})
