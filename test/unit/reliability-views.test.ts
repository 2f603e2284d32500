import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isNodeError } from '../../src/base/errors.ts'
import { Reliabilities } from '../../src/consensus/reliability/reliabilities.ts'
import type { ResultFacts } from '../../src/consensus/reliability/result-facts.ts'
import { PLAIN_RULE, type TruthRule } from '../../src/datasets/truth-rule.ts'

const WEIGHTED: TruthRule = { method: { name: 'weighted' }, adaptive: { proven: 2, checks: 10 } }

/** A result of a step in which these members differed in so many entries. */
function result(step: string, height: number, differs: Record<string, number>): ResultFacts {
  const ballots = Object.entries(differs).map(([peer, count]) => {
    return { peer, commit: 'c'.repeat(40), agrees: count === 0, differs: count }
  })
  return {
    round: { dataset: 'data', step, slot: height },
    height,
    method: 'identical',
    contested: 0,
    ballots,
  }
}

const past = [
  result('collect', 1, { ann: 0, ben: 0, zoe: 0 }),
  result('assess', 2, { ann: 0, ben: 7 }),
  result('collect', 3, { ann: 0, ben: 4, zoe: 0 }),
  result('collect', 4, { ann: 0, ben: 0 }),
]

function reliabilities(): Reliabilities {
  const member = (peer: string) => ({ peer, name: peer.toUpperCase(), role: 'member' as const, since: 0 })
  const members = ['ben', 'ann', 'cat'].map(member)
  const policies: Record<string, string> = {
    data: 'shared',
    mine: 'local-only',
    far: 'shared',
    left: 'shared',
  }
  return new Reliabilities({
    datasets: {
      list: () => Object.keys(policies).map((name) => ({ name })),
      find: (name: string) => (name in policies ? { policy: policies[name] } : undefined),
      follows: (name: string) => name !== 'left',
    } as never,
    members: { list: () => members } as never,
    nameOf: (peer) => peer.toUpperCase(),
    voters: () => members,
    terms: {
      read: async (dataset) =>
        dataset === 'data' ? past : 'the past results of this dataset are not here yet',
      rule: (_, step) => (step === 'collect' ? WEIGHTED : PLAIN_RULE),
    },
  })
}

test('of every member it is told what it was right in, what follows from it, and where it differed', async () => {
  const { members, unknown } = await reliabilities().list()
  assert.deepEqual(unknown, [{ dataset: 'far', reason: 'the past results of this dataset are not here yet' }])
  assert.deepEqual(
    members.map(({ name, isMember, counted, agreed }) => [name, isMember, counted, agreed]),
    [
      ['ANN', true, 4, 4],
      ['BEN', true, 4, 2],
      ['CAT', true, 0, 0],
      ['ZOE', false, 2, 2],
    ],
  )
  const [, ben] = members
  assert.deepEqual(ben?.steps, [
    {
      ...{ dataset: 'data', step: 'assess', counted: 1, agreed: 0, inARow: 0, reliability: 1 / 3 },
      differences: [{ round: 'data/assess/2', differs: 7 }],
    },
    {
      ...{ dataset: 'data', step: 'collect', counted: 3, agreed: 2, inARow: 1, reliability: 3 / 5 },
      ...{ weight: 600, proven: { is: false, needed: 2 } },
      differences: [{ round: 'data/collect/3', differs: 4 }],
    },
  ])
})

test('one member is asked for by name or by peer id, one dataset by name, and what is none is said to be none', async () => {
  const found = reliabilities()
  const names = async (asked: { member?: string; dataset?: string }) =>
    (await found.list(asked)).members.map(({ name }) => name)
  assert.deepEqual(await names({ member: 'BEN' }), ['BEN'])
  assert.deepEqual(await names({ member: 'zoe', dataset: 'data' }), ['ZOE'])
  const coded = (code: string) => (error: unknown) => isNodeError(error) && error.code === code
  await assert.rejects(names({ member: 'nobody' }), coded('MEMBER_NOT_FOUND'))
  await assert.rejects(names({ dataset: 'none' }), coded('DATASET_NOT_FOUND'))
  assert.deepEqual((await found.list({ dataset: 'mine' })).unknown, [
    { dataset: 'mine', reason: 'nobody votes on it' },
  ])
  assert.equal((await found.list({ dataset: 'left' })).unknown[0]?.dataset, 'left')
})
