/** Records and members as the vectors of the registry's protocols write them. */
import { z } from 'zod'
import type { Roster } from '../../src/federation/keyspace.ts'
import { encodeRecord, hashOf, type RegistryRecord, type SealedRecord } from '../../src/registry/record.ts'

export const membersSchema = z.record(
  z.string(),
  z.strictObject({ role: z.enum(['operator', 'member', 'observer']), since: z.number() }),
)

export const recordSchema = z
  .strictObject({
    federation: z.string(),
    key: z.string(),
    value: z.string().nullable(),
    version: z.number(),
    time: z.number(),
    since: z.number(),
    expires: z.number().optional(),
    author: z.string(),
    hash: z.string(),
  })
  .transform(({ hash, value, ...fields }, context): SealedRecord => {
    const bytes = value === null ? null : new Uint8Array(Buffer.from(value, 'hex'))
    const record: RegistryRecord = { ...fields, value: bytes }
    const actual = hashOf(encodeRecord(record))
    if (actual !== hash) context.addIssue(`the hash of ${fields.key} ${fields.author} is ${actual}`)
    return { ...record, hash, envelope: new Uint8Array() }
  })

export function rosterOf(members: z.infer<typeof membersSchema>): Roster {
  return { role: (peer) => members[peer]?.role, admittedMs: (peer) => members[peer]?.since }
}

/** All orders of a few things, or some of many. */
export function orders<T>(things: readonly T[]): T[][] {
  if (things.length > 5) {
    return things
      .map((_, at) => [...things.slice(at), ...things.slice(0, at)])
      .flatMap((o) => [o, o.toReversed()])
  }
  if (things.length < 2) return [[...things]]
  return things.flatMap((first, at) => orders(things.toSpliced(at, 1)).map((rest) => [first, ...rest]))
}
