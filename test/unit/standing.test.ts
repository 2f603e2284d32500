import assert from 'node:assert/strict'
import { test } from 'node:test'
import { keepsAnOperator, type MemberRecord, standingOf, type Word } from '../../src/federation/standing.ts'

const ALICE = { peer: 'peer-alice', name: 'alice' }
const CAROL = { peer: 'peer-carol', name: 'carol' }
const genesis = { founders: [ALICE], createdMs: 1_000 }

function word(peer: string, value: MemberRecord, atMs = 2_000): Word {
  return { peer, value, sinceMs: atMs, timeMs: atMs }
}

function roles(words: Word[], nowMs = 5_000, founders = [ALICE]): Record<string, string> {
  const { members } = standingOf({ ...genesis, founders }, words, nowMs)
  return Object.fromEntries([...members.values()].map(({ name, role }) => [name, role]))
}

test('the founders are operators while no record says otherwise', () => {
  assert.deepEqual(roles([]), { alice: 'operator' })
  assert.deepEqual(roles([], 5_000, [ALICE, CAROL]), { alice: 'operator', carol: 'operator' })
  const bob = word('peer-bob', { name: 'bob', role: 'operator' })
  assert.deepEqual(roles([bob, word(ALICE.peer, { name: 'alice', role: 'observer' })]), {
    alice: 'observer',
    bob: 'operator',
  })
  assert.deepEqual(
    roles([bob, word(ALICE.peer, { name: 'alice', role: 'operator', removed: { reason: '' } })]),
    {
      bob: 'operator',
    },
  )
})

test('a federation is never without an operator, whatever the records say', () => {
  const gone = { name: 'alice', role: 'operator', removed: { reason: 'gone' } } as const
  assert.deepEqual(roles([word(ALICE.peer, gone)]), { alice: 'operator' })
  assert.deepEqual(roles([word(ALICE.peer, { name: 'alice', role: 'member' })]), { alice: 'operator' })
  // Both founders ended each other's time at the same moment: the first founder it is, on every node.
  const both = [word(ALICE.peer, gone), word(CAROL.peer, { ...gone, name: 'carol' })]
  assert.deepEqual(roles(both, 5_000, [ALICE, CAROL]), { alice: 'operator' })
  // One that still belongs goes before one that does not.
  const other = [word(ALICE.peer, gone), word(CAROL.peer, { name: 'carol', role: 'member' })]
  assert.deepEqual(roles(other, 5_000, [ALICE, CAROL]), { carol: 'operator' })
})

test('a membership with an end is over from that moment on, and the standing says when to look again', () => {
  const guest = word('peer-guest', { name: 'guest', role: 'observer', until: 6_000 })
  const before = standingOf(genesis, [guest], 5_999)
  assert.equal(before.members.get('peer-guest')?.until, 6_000)
  assert.equal(before.nextEndMs, 6_000)
  const after = standingOf(genesis, [guest], 6_000)
  assert.equal(after.members.has('peer-guest'), false)
  assert.deepEqual(after.former.get('peer-guest'), {
    ...{ peer: 'peer-guest', name: 'guest', role: 'observer' },
    ...{ reason: 'its time was over', endedMs: 6_000 },
  })
  assert.equal(after.nextEndMs, Number.POSITIVE_INFINITY)
})

test('since is carried by the record, so that a change of role changes no electorate of the past', () => {
  const promoted = word('peer-bob', { name: 'bob', role: 'operator', since: 2_500 }, 9_000)
  assert.equal(standingOf(genesis, [promoted], 9_500).members.get('peer-bob')?.since, 2_500)
  const founder = word(ALICE.peer, { name: 'alice', role: 'observer' }, 9_000)
  assert.equal(standingOf(genesis, [founder, promoted], 9_500).members.get(ALICE.peer)?.since, 1_000)
})

test('an operator whose role ends does not keep a federation', () => {
  const member = (peer: string, until?: number) => {
    return {
      peer,
      name: peer,
      role: 'operator' as const,
      since: 1,
      ...(until === undefined ? {} : { until }),
    }
  }
  assert.equal(keepsAnOperator([member('a')], 'a'), false)
  assert.equal(keepsAnOperator([member('a'), member('b', 9)], 'a'), false)
  assert.equal(keepsAnOperator([member('a'), member('b')], 'a'), true)
})
