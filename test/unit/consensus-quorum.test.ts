import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { isDecisive, isQuorum, quorumOf } from '../../src/consensus/quorum.ts'
import { lineUp, turnMs } from '../../src/consensus/rendezvous.ts'
import { names } from '../support/voting.ts'

test('two quorums of one electorate share more than a third of it', () => {
  for (let all = 1; all <= 200; all += 1) {
    const quorum = quorumOf(all)
    assert.ok(isQuorum(quorum, all) && !isQuorum(quorum - 1, all), `${quorum} of ${all}`)
    assert.ok(3 * (2 * quorum - all) > all, `two quorums of ${all} overlap in too few`)
  }
  assert.equal(isQuorum(0, 0), false, 'nobody decides for nobody')
})

test('nobody wins by writing down an electorate of its own choice', () => {
  const members = names(4).map((peer) => ({ peer, since: 100 }))
  const [first, second, third] = names(4) as [string, string, string]
  assert.ok(isDecisive([first, second, third], names(4), 200, members))
  assert.ok(!isDecisive([first], [first], 200, members), 'members were left out')
  assert.ok(
    isDecisive([first], [first], 50, [{ peer: first, since: 0 }, ...members.slice(1)]),
    'it was alone then',
  )
  const strangers = ['x1', 'x2', 'x3', 'x4', 'x5', 'x6', 'x7', 'x8', 'x9']
  assert.ok(!isDecisive([first, ...strangers], [first, ...strangers], 200, members), 'strangers were put in')
  assert.ok(!isDecisive([first, first, first], names(4), 200, members), 'one vote was counted three times')
})

test('every node computes the same line, everybody is in it once, and one that leaves moves nobody else', () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.string({ minLength: 1 }), { minLength: 1, maxLength: 12 }),
      fc.nat(),
      (members, n) => {
        const line = lineUp('data/collect/1', 'closing', members)
        assert.deepEqual(lineUp('data/collect/1', 'closing', [...members].reverse()), line)
        assert.deepEqual([...line].sort(), [...members].sort())
        const gone = members[n % members.length] as string
        const rest = members.filter((member) => member !== gone)
        assert.deepEqual(
          lineUp('data/collect/1', 'closing', rest),
          line.filter((member) => member !== gone),
        )
      },
    ),
  )
})

test('each member steps in two seconds after the one before it, and a bystander never', () => {
  const line = ['b', 'a', 'c']
  assert.deepEqual(
    ['a', 'b', 'c', 'd'].map((self) => turnMs(line, self, 1_000)),
    [3_000, 1_000, 5_000, undefined],
  )
})
