import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { listsOf, successorOf } from '../../src/federation/departures.ts'
import { standingOf, type Word } from '../../src/federation/standing.ts'
import {
  presentOf,
  refuseSuccession,
  succeeded,
  successionOf,
  withFormerKeys,
} from '../../src/federation/successions.ts'
import { generateIdentity } from '../../src/identity/node-key.ts'
import { FEDERATION } from '../support/records.ts'

test('a succession holds when the new key says the same, of this key and in this federation', async () => {
  const [old, next, other] = await Promise.all([generateIdentity(), generateIdentity(), generateIdentity()])
  const value = successionOf(FEDERATION, old.peerId, next)
  const record = { federation: FEDERATION, author: old.peerId, value }
  assert.equal(await refuseSuccession(record), undefined)
  assert.match(String(await refuseSuccession({ ...record, author: other.peerId })), /has not said/)
  assert.match(String(await refuseSuccession({ ...record, federation: 'another' })), /has not said/)
  const named = new TextEncoder().encode(new TextDecoder().decode(value).replace(next.peerId, other.peerId))
  assert.match(String(await refuseSuccession({ ...record, value: named })), /has not said/)
  assert.match(String(await refuseSuccession({ ...record, value: null })), /no succession/)
})

test('words about any key of a node are about the one of now, the last of them counts, and circles end', () => {
  const genesis = { founders: [{ peer: 'amy', name: 'amy' }], createdMs: 5 }
  const word = (peer: string, role: 'operator' | 'member', timeMs: number, removed = false): Word => ({
    ...{ peer, sinceMs: 10, timeMs },
    value: { name: 'ben', role, ...(removed ? { removed: { reason: 'r' } } : {}) },
  })
  const keys = new Map([
    ['ben', 'ben2'],
    ['ben2', 'ben3'],
    ['amy', 'amy2'],
  ])
  const stand = (words: readonly Word[]) => {
    const now = succeeded(genesis, words, keys)
    return withFormerKeys(standingOf({ ...genesis, founders: now.founders }, now.words, 1_000), keys)
  }
  const { members, former } = stand([word('ben', 'member', 20), word('ben2', 'operator', 30)])
  assert.deepEqual(
    [members.get('ben3')?.role, members.get('ben3')?.name, members.get('ben3')?.since],
    ['operator', 'ben', 10],
  )
  assert.deepEqual([members.get('amy2')?.role, members.get('amy2')?.since], ['operator', 5])
  assert.deepEqual([...members.keys()].sort(), ['amy2', 'ben3'])
  assert.deepEqual([former.get('ben')?.successor, former.get('ben2')?.successor], ['ben3', 'ben3'])
  // Who removed the old key before it heard of the new one has removed the node.
  const removed = stand([word('ben3', 'member', 30), word('ben', 'member', 40, true)])
  assert.deepEqual([removed.members.has('ben3'), removed.former.get('ben3')?.reason], [false, 'r'])
  const circle = new Map([
    ['a', 'b'],
    ['b', 'a'],
  ])
  assert.deepEqual([presentOf('a', circle), presentOf('b', circle)], ['a', 'a'])
})

test('no succession makes two members of one, however keys follow each other', () => {
  const keys = Array.from({ length: 9 }, (_, index) => `k${index}`)
  const key = fc.constantFrom(...keys)
  const membersWith = (words: readonly string[], successions: ReadonlyMap<string, string>) => {
    const about = words.map((peer): Word => {
      return { peer, sinceMs: 5, timeMs: 5, value: { name: peer, role: 'member' } }
    })
    const now = succeeded({ founders: [], createdMs: 1 }, about, successions)
    const standing = standingOf({ founders: now.founders, createdMs: 1 }, now.words, 100)
    const { members, former } = withFormerKeys(standing, successions)
    for (const peer of former.keys()) assert.ok(!members.has(peer), `${peer} is and was a member`)
    return members.size
  }
  fc.assert(
    fc.property(
      fc.uniqueArray(key),
      fc.uniqueArray(fc.tuple(key, key), { selector: ([old]) => old }),
      (words, followed) => {
        const pairs = followed.filter(([old, next]) => old !== next)
        let members = membersWith(words, new Map())
        pairs.forEach((_, at) => {
          const now = membersWith(words, new Map(pairs.slice(0, at + 1)))
          assert.ok(now <= members, `${now} members of ${members}`)
          members = now
        })
      },
    ),
  )
  const long = new Map(Array.from({ length: 80 }, (_, at) => [`k${at}`, `k${at + 1}`]))
  assert.equal(membersWith(['k0', 'k10', 'k70'], long), 1)
})

test('of several successors that lists name the one counts that most operators named, then the earliest', () => {
  const list = (author: string, successor: string | undefined, timeMs: number) => ({
    author,
    successor,
    timeMs,
  })
  const of = (...lists: ReturnType<typeof list>[]) => {
    assert.equal(successorOf(lists), successorOf(lists.toReversed()))
    return successorOf(lists)
  }
  assert.equal(of(list('op', undefined, 1)), undefined)
  assert.equal(of(list('op', 'zed', 9), list('ox', 'zed', 8), list('mal', 'ace', 1)), 'zed')
  assert.equal(of(list('mal', 'ace', 5), list('mal', 'ace', 6), list('op', 'zed', 4)), 'zed')
  assert.equal(of(list('op', 'zed', 4), list('ox', 'ace', 4)), 'ace')
})

test('a list is whole when all parts of one operator and one moment are there; what is listed adds up', () => {
  const part = (name: string, byte: string, of = 3) => {
    const hashes = Buffer.from(byte.repeat(16), 'hex').toString('base64')
    return { name, value: { of, to: null, parts: 2, hashes } }
  }
  const half = listsOf([part('bob/0/op', 'aa'), part('bob/1/ox', 'bb'), part('bob/1/op', 'cc', 2)])
  assert.deepEqual([half.whole.size, half.hashes.size], [0, 3])
  const whole = listsOf([part('bob/0/op', 'aa'), part('bob/1/op', 'bb')])
  assert.deepEqual([whole.whole.get('bob')?.length, whole.hashes.has('bb'.repeat(16))], [1, true])
})
