import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { z } from 'zod'
import { arrange } from '../../src/federation/keyspace.ts'
import { FederationPolicy } from '../../src/federation/policy.ts'
import { Draft } from '../../src/registry/draft.ts'
import { examine } from '../../src/registry/judge.ts'
import { merge, shownOf } from '../../src/registry/merge.ts'
import { compare } from '../../src/registry/order.ts'
import type { SealedRecord } from '../../src/registry/record.ts'
import { State } from '../../src/registry/state.ts'
import { outliving } from '../../src/registry/sweep.ts'
import { mergeRefusal } from '../../src/registry/verdict.ts'
import { standingOf } from '../support/records.ts'
import { membersSchema, orders, recordSchema, rosterOf } from '../support/registry-vectors.ts'

const names = z.array(z.string())
const named = { name: z.string() }
const vectors = z
  .strictObject({
    federation: z.string(),
    members: membersSchema,
    records: z.record(z.string(), recordSchema),
    order: z.array(names).min(1),
    merges: z
      .array(
        z.strictObject({
          ...named,
          arrivals: names,
          kept: names,
          shown: z.string().nullable(),
          evidence: names,
        }),
      )
      .min(1),
    verdicts: z
      .array(
        z.strictObject({
          ...named,
          held: names,
          record: z.string(),
          nowMs: z.number(),
          verdict: z.string(),
        }),
      )
      .min(1),
    forgetting: z.array(z.strictObject({ ...named, claims: names, nowMs: z.number(), left: names })).min(1),
  })
  .parse(
    JSON.parse(
      await readFile(join(import.meta.dirname, '../../protocols/vectors/registry-gossip.json'), 'utf8'),
    ),
  )

const { federation } = vectors
const roster = rosterOf(vectors.members)
const policy = new FederationPolicy()
policy.use(roster)
policy.prove('/truth/', { refuse: async () => undefined, compare: Buffer.compare })
const order = (claims: readonly SealedRecord[]) => arrange(claims, roster)
const record = (name: string) => vectors.records[name] as SealedRecord
const nameOf = (one: SealedRecord) =>
  Object.keys(vectors.records).find((name) => record(name).hash === one.hash)

/** What is held once the records have come in this order, and what is kept as evidence. */
function held(records: readonly SealedRecord[]): { state: State; evidence: SealedRecord[] } {
  const state = new State()
  const evidence: SealedRecord[] = []
  for (const one of records) {
    const draft = new Draft(standingOf(state), 1)
    draft.take(one, order)
    evidence.push(...draft.evidence)
    for (const [key, claims] of draft.changedClaims) state.replace(key, claims)
  }
  return { state, evidence }
}

for (const ascending of vectors.order) {
  test(`vector: the order of ${ascending.join(' < ')}`, () => {
    for (const given of orders(ascending.map(record))) {
      assert.deepEqual(given.sort(compare).map(nameOf), ascending)
    }
  })
}

for (const { name, arrivals, kept, shown, evidence } of vectors.merges) {
  test(`vector: ${name}`, () => {
    for (const arrived of orders(arrivals.map(record))) {
      const { state, evidence: proofs } = held([...arrived, ...arrived])
      const claims = state.claims(record(arrivals[0] as string).key)
      const first = shownOf(claims)
      assert.deepEqual(claims.map(nameOf), kept)
      assert.equal(first === undefined ? null : nameOf(first), shown)
      assert.deepEqual([...new Set(proofs.map(nameOf))].sort(), evidence)
    }
  })
}

for (const { name, held: before, record: judged, nowMs, verdict } of vectors.verdicts) {
  test(`vector: ${name}: ${verdict}`, async () => {
    const { state } = held(before.map(record))
    const refusal =
      (await examine(record(judged), { federation, held: state, policy }, nowMs)) ??
      mergeRefusal(merge(state, record(judged), order))
    assert.equal(refusal === undefined ? 'accept' : `${refusal.action} ${refusal.code}`, verdict)
  })
}

for (const { name, claims, nowMs, left } of vectors.forgetting) {
  test(`vector: ${name}`, () => {
    assert.deepEqual(outliving(order(claims.map(record)), nowMs).map(nameOf), left)
  })
}
