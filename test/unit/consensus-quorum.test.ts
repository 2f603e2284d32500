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
  const decides = (signers: readonly string[], electorate: readonly string[], openedMs = 200) =>
    isDecisive(signers, { electorate, openedMs }, members)
  assert.ok(decides([first, second, third], names(4)))
  assert.ok(!decides([first], [first]), 'members were left out')
  assert.ok(!decides([first, second], [first, second]), 'members were left out')
  const strangers = names(20).slice(4)
  assert.ok(!decides([first, ...strangers], [first, ...strangers]), 'strangers were put in')
  assert.ok(!decides([first, first, first], names(4)), 'one vote was counted three times')
  assert.ok(decides([first], [first], 50), 'before the others were members it was alone')
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
