import assert from 'node:assert/strict'
import { test } from 'node:test'
import { membersKeptMax, operatorsKeptMax } from '../../src/base/limits.ts'
import { membersToDial } from '../../src/network/kept-members.ts'

const names = (count: number) => Array.from({ length: count }, (_, at) => `peer-${at}`)
const wanted = (peers: readonly string[]) => peers.map((peer) => ({ peer, addresses: [`/at/${peer}`] }))
const isOperator = (peer: string) => Number(peer.slice(5)) < 10

test('a small federation is connected as a whole', () => {
  const [self = '', ...others] = names(12)
  const nobody = { self, members: wanted(others), connected: new Set<string>(), isOperator }
  const { missing, most } = membersToDial(nobody)
  assert(most >= others.length)
  assert.deepEqual(missing.map(({ peer }) => peer).sort(), [...others].sort())
  assert.equal(membersToDial({ ...nobody, connected: new Set(others) }).missing.length, 0)
})

test('in a large one each keeps a bounded number, some operators among them, and all hang together', () => {
  const all = names(200)
  const edges = new Map(all.map((peer) => [peer, new Set<string>()]))
  for (const self of all) {
    const members = wanted(all.filter((peer) => peer !== self))
    const { missing, most } = membersToDial({ self, members, connected: new Set(), isOperator })
    assert.equal(most, membersKeptMax)
    const chosen = missing.slice(0, most).map(({ peer }) => peer)
    assert.equal(chosen.filter(isOperator).length >= operatorsKeptMax, true)
    for (const peer of chosen) edges.get(self)?.add(peer) && edges.get(peer)?.add(self)
  }
  const plain = all.filter((peer) => !isOperator(peer))
  for (const peer of plain) {
    const degree = edges.get(peer)?.size ?? 0
    assert(degree <= 2 * membersKeptMax, `${peer} has ${degree} connections`)
  }
  // Also without the operators, and without every other one of the rest.
  const left = new Set(plain.filter((_, at) => at % 2 === 0))
  const [start = ''] = left
  const reached = new Set([start])
  for (const peer of reached) for (const next of edges.get(peer) ?? []) if (left.has(next)) reached.add(next)
  assert.equal(reached.size, left.size)
})

test('who does not answer makes room for others, and who is connected takes it', () => {
  const [self = '', ...others] = names(100)
  const plain = others.filter((peer) => !isOperator(peer))
  const connected = new Set(plain.slice(0, membersKeptMax))
  const facts = { self, members: wanted(others), connected, isOperator }
  // With enough others only the operators are missing.
  assert.equal(membersToDial(facts).most, operatorsKeptMax)
  const alone = membersToDial({ ...facts, connected: new Set() })
  assert.equal(alone.most, membersKeptMax)
  assert.equal(alone.missing.length, others.length)
})

test('the choice is the same each time, and a newcomer displaces one at most', () => {
  const choice = (all: readonly string[]) =>
    membersToDial({
      ...{ self: 'peer-3', connected: new Set<string>(), isOperator: () => false, kept: 5 },
      members: wanted(all.filter((peer) => peer !== 'peer-3')),
    })
      .missing.slice(0, 5)
      .map(({ peer }) => peer)
  const before = choice(names(60))
  assert.deepEqual(choice(names(60).reverse()), before)
  const after = choice(names(61))
  assert(before.filter((peer) => !after.includes(peer)).length <= 1)
})
