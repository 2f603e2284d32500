import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readRequest } from '../../src/federation/request-claims.ts'
import { sourceOf, toGiveWay } from '../../src/federation/request-pace.ts'

const words = { name: 'pete', message: 'hello', contact: 'pete@uni.example', askedMs: 5 }
const denied = { reason: 'no', atMs: 9 }
const readers = { self: 'me', isOperator: (peer: string) => peer.startsWith('op') }

test('of several words about who asks, only an operator denies, and what this node was told itself comes first', () => {
  const kept = { author: 'bob', value: words }
  const forged = { author: 'carol', value: { ...words, contact: 'carol@evil.example', denied } }
  // A member says first, by its own word, that the request is denied and where to write to.
  const read = readRequest([forged, kept], readers)
  assert.equal(read?.denied, undefined)
  assert.deepEqual(read?.disputedBy, ['bob'])
  const own = { author: 'me', value: words }
  assert.partialDeepStrictEqual(readRequest([forged, own], readers), {
    ...words,
    by: 'me',
    disputedBy: ['carol'],
  })
  // An operator's no counts although another operator keeps the request.
  const asked = { author: 'op1', value: words }
  const no = { author: 'op2', value: { ...words, denied } }
  assert.partialDeepStrictEqual(readRequest([asked, forged, no], readers), { ...words, denied, by: 'op2' })
  assert.equal(readRequest([], readers), undefined)
})

test('the oldest request of the source with most gives way, and none to one that has as many', () => {
  const kept = [
    { peer: 'a', source: '10.0.0.1', askedMs: 3 },
    { peer: 'b', source: '10.0.0.1', askedMs: 2 },
    { peer: 'c', source: '10.0.0.1', askedMs: 4 },
    { peer: 'd', source: '10.0.0.2', askedMs: 1 },
  ]
  assert.equal(toGiveWay(kept, '10.0.0.3'), 'b')
  assert.equal(toGiveWay(kept, '10.0.0.2'), 'b')
  assert.equal(toGiveWay(kept, '10.0.0.1'), undefined)
  assert.equal(toGiveWay(kept.slice(2), '10.0.0.3'), undefined)
  // Who has a network of IPv6 has all its addresses.
  assert.equal(sourceOf('/ip6/2001:db8:1:2::7/tcp/1'), sourceOf('/ip6/2001:db8:1:2:9::1/tcp/2'))
  assert.notEqual(sourceOf('/ip6/2001:db8:1:2::7/tcp/1'), sourceOf('/ip6/2001:db8:1:3::7/tcp/1'))
})
