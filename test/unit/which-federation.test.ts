import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ListingView } from '../../src/api/market-views.ts'
import { federationsIn, identityText, unmistakable } from '../../src/cli/install/which-federation.ts'

const ID = `mao${'a'.repeat(30)}`
const OTHER = `mao${'b'.repeat(30)}`

function listing(
  author: string,
  federation: string | undefined,
  more: Partial<ListingView> = {},
): ListingView {
  const times = { heardMs: 1, renewedMs: 1, expiresMs: 2 }
  return {
    ...{
      kind: 'federation',
      name: 'lab',
      description: '',
      own: false,
      standing: 'stranger',
      author,
      ...times,
    },
    body: { ...(federation === undefined ? {} : { federation }), addresses: [`/dns4/${author}/tcp/1`] },
    ...more,
  }
}

test('a name is taken without a question only where all that list it show one and the same federation', () => {
  const meant = (wanted: string, ...listings: ListingView[]) =>
    unmistakable(federationsIn(listings), wanted)?.federation
  const proven = listing('amy', ID, { founder: 'amy' })
  assert.equal(meant('lab', proven), ID)
  assert.equal(meant('lab', proven, listing('bob', ID)), ID, 'another member lists it, without its genesis')
  assert.equal(meant('lab', listing('eve', OTHER)), undefined, 'that it is one is only said')
  assert.equal(meant('lab', listing('eve', undefined)), undefined)
  assert.equal(meant('lab', proven, listing('eve', OTHER, { founder: 'eve' })), undefined)
  assert.equal(meant('lab', listing('eve', undefined), proven), undefined)
  assert.equal(meant('', proven), undefined, 'nobody said which')
  // An id says itself what it is: whoever answers has to show the genesis that it is the hash of.
  assert.equal(meant(ID, listing('eve', ID)), ID)
})

test('one federation is one choice, reached on all ways that are told, and told from others by more than words', () => {
  const two = [listing('bob', ID, { heardMs: 5 }), listing('amy', ID, { founder: 'ann', heardMs: 9 })]
  const [only, ...rest] = federationsIn(two)
  assert.deepEqual(rest, [])
  assert.deepEqual(only?.addresses, ['/dns4/bob/tcp/1', '/dns4/amy/tcp/1'])
  assert.equal(
    identityText(only as never),
    `${ID}, founded by ann, listed by amy, known here since 1970-01-01 00:00:00Z`,
  )
  const many = Array.from({ length: 40 }, (_, n) => listing(`p${n}`, ID))
  assert.equal(federationsIn(many)[0]?.addresses.length, 32)
})
