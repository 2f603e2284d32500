import assert from 'node:assert/strict'
import { test } from 'node:test'
import { answersTaker, type Claimed, countedWords } from '../../src/federation/contests.ts'
import { admit, arrange, type Role, type Roster } from '../../src/federation/keyspace.ts'
import { type MemberRecord, memberSchema, standingOf } from '../../src/federation/standing.ts'
import { decodeJson, encodeJson } from '../../src/registry/collection.ts'
import type { SealedRecord } from '../../src/registry/record.ts'
import { plainRecord } from '../support/records.ts'
import { seededRandom } from '../support/seeded-random.ts'

const genesis = { founders: [{ peer: 'amy', name: 'amy' }], createdMs: 1 }

/** What an operator says about somebody: `time` orders the words. */
function word(author: string, peer: string, time: number, value: Partial<MemberRecord>): SealedRecord {
  const record = { name: peer, role: 'operator', ...value }
  return plainRecord({
    key: `/members/${peer}`,
    author,
    time,
    since: time,
    version: time,
    value: encodeJson(record),
  })
}
const removes = (author: string, peer: string, time = 100) =>
  word(author, peer, time, { removed: { reason: '' } })
const demotes = (author: string, peer: string, time = 100) =>
  word(author, peer, time, { role: 'member', was: 'operator' })

/** A node that hears of records in some order, and again of what it did not take, as catch-up has it. */
class Hearer {
  readonly #held: SealedRecord[] = []

  hear(records: readonly SealedRecord[]): void {
    for (let waiting = this.#unheard(records), taken = true; taken; ) {
      taken = false
      for (const record of waiting) {
        if (admit(record, this.#roster) !== undefined) continue
        this.#held.push(record)
        taken = true
      }
      waiting = this.#unheard(waiting)
    }
  }

  #unheard(records: readonly SealedRecord[]): SealedRecord[] {
    return records.filter((record) => !this.#held.includes(record))
  }

  get operators(): string {
    const { members } = this.#standing()
    return [...members]
      .flatMap(([peer, { role }]) => (role === 'operator' ? [peer] : []))
      .sort()
      .join()
  }

  get held(): string {
    return this.#held
      .map(({ hash }) => hash)
      .sort()
      .join()
  }

  readonly #claims = (peer: string): Claimed[] => {
    const claims = this.#held.filter(({ key }) => key === `/members/${peer}`)
    return arrange(claims, { role: () => undefined, admittedMs: () => undefined }).map((record) => {
      const value = memberSchema.parse(decodeJson(record.value as Uint8Array))
      return { peer, author: record.author, value, sinceMs: record.since, timeMs: record.time }
    })
  }

  #standing() {
    const peers = [...new Set(this.#held.map(({ key }) => key.slice('/members/'.length)))]
    const shown = peers.flatMap((peer) => this.#claims(peer).slice(0, 1))
    return standingOf(genesis, countedWords(genesis, shown, this.#claims), 1_000)
  }

  readonly #roster: Roster = {
    role: (peer): Role | undefined => this.#standing().members.get(peer)?.role,
    admittedMs: () => 0,
    isFormer: (peer) => this.#standing().former.has(peer),
    answers: (record) => {
      const value = record.value && memberSchema.safeParse(decodeJson(record.value)).data
      return value != null && answersTaker(record, value, this.#claims)
    },
  }
}

const before = ['bob', 'cas', 'dot'].map((peer, at) => word('amy', peer, 10 + at, {}))

/** What is left whatever comes first. */
function outcome(records: readonly SealedRecord[], seed = 7): string {
  const random = seededRandom(seed)
  const outcomes = new Set<string>()
  for (let turn = 0; turn < 60; turn += 1) {
    const node = new Hearer()
    node.hear(before)
    const order = [...records].sort(() => random() - 0.5)
    for (const record of order) node.hear([record])
    node.hear(order)
    outcomes.add(`${node.operators} ${node.held}`)
  }
  assert.equal(outcomes.size, 1, `seed ${seed}: ${outcomes.size} outcomes`)
  return [...outcomes][0]?.split(' ')[0] ?? ''
}

test('of two operators that remove each other the founder stays, else the lower id, whichever is heard of first', () => {
  assert.equal(outcome([removes('amy', 'bob'), removes('bob', 'amy')]), 'amy,cas,dot')
  assert.equal(outcome([removes('bob', 'cas', 100), removes('cas', 'bob', 90)]), 'amy,bob,dot')
  assert.equal(outcome([demotes('amy', 'bob', 50), removes('bob', 'amy', 60)]), 'amy,cas,dot')
  assert.equal(outcome([demotes('bob', 'cas'), demotes('cas', 'bob')]), 'amy,bob,dot')
})

test('a third operator tips the balance, also against the founder', () => {
  const both = [removes('amy', 'bob'), removes('bob', 'amy')]
  assert.equal(outcome([...both, removes('cas', 'amy', 120)]), 'bob,cas,dot')
  assert.equal(outcome([...both, removes('cas', 'bob', 120)]), 'amy,cas,dot')
  // Who stayed says so: when the other is taken in again, its word of before is no danger.
  const firm = word('amy', 'amy', 150, {})
  assert.equal(outcome([...both, firm, word('cas', 'bob', 200, {})]), 'amy,bob,cas,dot')
})

test('who was removed by one that it did not remove has no answer, and a member never has', () => {
  const node = new Hearer()
  node.hear([...before, word('amy', 'eve', 20, { role: 'member' }), removes('cas', 'bob')])
  node.hear([removes('bob', 'amy', 90), removes('bob', 'dot', 90)])
  assert.equal(node.operators, 'amy,cas,dot')
  node.hear([word('cas', 'eve', 100, { role: 'member', removed: { reason: '' } }), removes('eve', 'cas', 90)])
  assert.equal(node.operators, 'amy,cas,dot')
  // What somebody gives up itself is nobody's to contest.
  node.hear([demotes('amy', 'amy', 110), removes('dot', 'amy', 105)])
  assert.equal(node.operators, 'cas,dot')
})

test('random quarrels of two, with others who join in, end the same in every order of arrival', () => {
  for (let seed = 1; seed <= 30; seed += 1) {
    const random = seededRandom(seed)
    const [a = '', b = '', c = ''] = ['amy', 'bob', 'cas', 'dot'].sort(() => random() - 0.5)
    const say = (author: string, peer: string) =>
      (random() < 0.5 ? removes : demotes)(author, peer, 50 + Math.floor(random() * 100))
    const records = [say(a, b), say(b, a)]
    if (random() < 0.5) records.push(say(c, random() < 0.5 ? a : b))
    outcome(records, seed)
  }
})
