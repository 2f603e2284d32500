import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { z } from 'zod'
import { parsePipeline } from '../../../src/execution/catalogue/pipeline.ts'
import { claimSchema } from '../../../src/execution/schedules/claim.ts'
import { counting, decide, rankFor } from '../../../src/execution/schedules/claims.ts'
import { runIdentity } from '../../../src/execution/schedules/run-identity.ts'
import { scopeSchema } from '../../../src/execution/schedules/schedule.ts'
import { jitterOf, nextSlots } from '../../../src/execution/schedules/slots.ts'

const slotName = z.object({ pipeline: z.string(), slot: z.int() })
const heard = claimSchema.pick({ state: true, end: true }).extend({ heardMs: z.int() })
const vectors = z
  .strictObject({
    slots: z
      .array(
        z.strictObject({
          cron: z.string(),
          timezone: z.string(),
          after: z.string(),
          slots: z.array(z.string()),
        }),
      )
      .min(1),
    jitters: z
      .array(slotName.extend({ cron: z.string(), jitterMs: z.int(), who: z.string(), ms: z.int() }))
      .min(1),
    ranks: z.array(slotName.extend({ peers: z.array(z.string()), line: z.array(z.string()) })).min(1),
    identities: z
      .array(slotName.extend({ plan: z.array(z.unknown()), scope: scopeSchema, identity: z.string() }))
      .min(1),
    slot: slotName,
    decisions: z
      .array(
        z.strictObject({
          name: z.string(),
          runners: z.int(),
          takeOverMs: z.int(),
          live: z.array(z.string()),
          claims: z.record(z.string(), heard),
          begun: z.boolean(),
          nowMs: z.int(),
          self: z.string(),
          act: z.string(),
          untilMs: z.int().optional(),
        }),
      )
      .min(1),
    countings: z
      .array(
        z.strictObject({
          name: z.string(),
          runners: z.int(),
          identity: z.string(),
          claims: z.record(z.string(), claimSchema.pick({ state: true, identity: true })),
          counting: z.array(z.string()),
        }),
      )
      .min(1),
  })
  .parse(
    JSON.parse(
      await readFile(join(import.meta.dirname, '../../../protocols/vectors/schedules.json'), 'utf8'),
    ),
  )

test('vectors: slots of rules', () => {
  for (const { cron, timezone, after, slots } of vectors.slots) {
    const found = nextSlots({ cron, timezone }, Date.parse(after), slots.length)
    assert.deepEqual(
      found.map((slot) => new Date(slot).toISOString()),
      slots,
      `${cron} in ${timezone}`,
    )
  }
})

test('vectors: jitters and ranks', () => {
  for (const { who, ms, slot, ...schedule } of vectors.jitters)
    assert.equal(jitterOf(schedule, slot, who), ms)
  for (const { peers, line, ...slot } of vectors.ranks) assert.deepEqual(rankFor(slot, peers), line)
})

test('vectors: identities', () => {
  for (const { plan, identity, ...rest } of vectors.identities) {
    const { pipeline } = parsePipeline({ steps: plan })
    assert.equal(runIdentity({ ...rest, plan: pipeline.steps }), identity)
  }
})

for (const { name, claims, act, untilMs, ...given } of vectors.decisions) {
  test(`vector: ${name}: ${act}`, () => {
    const { slot } = vectors
    const heardClaims = new Map(
      Object.entries(claims).map(([peer, { end, ...claim }]) => [
        peer,
        { ...claim, ...(end === undefined ? {} : { end }) },
      ]),
    )
    const decision = decide({ slot, sinceMs: slot.slot, ...given, claims: heardClaims })
    assert.equal(decision.act, act)
    assert.equal('untilMs' in decision ? decision.untilMs : undefined, untilMs)
  })
}

for (const { name, claims, counting: counted, ...given } of vectors.countings) {
  test(`vector: ${name}`, () => {
    const done = new Map(Object.entries(claims))
    assert.deepEqual(counting(vectors.slot, { ...given, claims: done as never }), counted)
  })
}
