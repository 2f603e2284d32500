import fc from 'fast-check'

/**
 * Random calls of etcd's API. Keys are names below a prefix, revisions are counted from where a run begins, leases from
 * one; so one and the same call can be made at servers that have another past.
 */
export interface RandomCall {
  readonly service: 'KV' | 'Lease'
  readonly method: string
  readonly request: object
}

const name = fc.constantFrom('', 'a', 'b', 'b\x00', 'c', 'd', '\xff')
const value = fc.constantFrom('', '0', '1', '2').map((text) => Buffer.from(text))
/** The first two are granted before a run, the third never. */
const lease = fc.constantFrom(0, 0, 1, 2, 3)
const revision = fc.integer({ min: 0, max: 25 })
const some = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined, freq: 2 })
/** Only what is there is sent. */
const message = (shape: Record<string, fc.Arbitrary<unknown>>) => fc.record(shape, { requiredKeys: ['key'] })
const key = name.map((text) => Buffer.from(text, 'latin1'))

const where = { key, range_end: fc.oneof(key, fc.constant(Buffer.from('\xff', 'latin1'))) }
const put = message({
  key,
  value,
  lease,
  prev_kv: fc.boolean(),
  ignore_value: rarely(),
  ignore_lease: rarely(),
})
const remove = message({ ...where, prev_kv: fc.boolean() })
const range = message({
  ...where,
  limit: fc.integer({ min: -1, max: 4 }),
  revision: some(revision),
  sort_order: fc.constantFrom('None', 'Ascend', 'Descend'),
  sort_target: fc.constantFrom('Key', 'Version', 'Create', 'Mod', 'Value'),
  serializable: fc.boolean(),
  keys_only: fc.boolean(),
  count_only: rarely(),
  min_mod_revision: some(revision),
  max_mod_revision: some(revision),
  min_create_revision: some(revision),
  max_create_revision: some(revision),
})
const comparison = fc
  .record({
    key,
    range_end: some(key),
    result: fc.constantFrom('Equal', 'Greater', 'Less', 'NotEqual'),
    against: fc.oneof(
      fc.record({ target: fc.constant('Version'), version: fc.integer({ min: 0, max: 4 }) }),
      fc.record({ target: fc.constant('Create'), create_revision: revision }),
      fc.record({ target: fc.constant('Mod'), mod_revision: revision }),
      fc.record({ target: fc.constant('Value'), value }),
      fc.record({ target: fc.constant('Lease'), lease }),
    ),
  })
  .map(({ range_end, against, ...rest }) => ({ ...rest, ...against, ...(range_end && { range_end }) }))

const { txn } = fc.letrec((tie) => ({
  txn: fc.record(
    {
      compare: fc.array(comparison, { maxLength: 2 }),
      success: fc.array(tie('op'), { maxLength: 3 }),
      failure: fc.array(tie('op'), { maxLength: 3 }),
    },
    { requiredKeys: [] },
  ),
  op: fc.oneof(
    { maxDepth: 2, withCrossShrink: true },
    { weight: 4, arbitrary: put.map((request_put) => ({ request_put })) },
    { weight: 3, arbitrary: range.map((request_range) => ({ request_range })) },
    { weight: 2, arbitrary: remove.map((request_delete_range) => ({ request_delete_range })) },
    { weight: 1, arbitrary: tie('txn').map((request_txn) => ({ request_txn })) },
  ),
}))

function rarely(): fc.Arbitrary<boolean> {
  return fc.nat(5).map((n) => n === 0)
}

const call =
  (service: 'KV' | 'Lease', method: string) =>
  (request: unknown): RandomCall => ({ service, method, request: request as object })

export const randomCall: fc.Arbitrary<RandomCall> = fc.oneof(
  { weight: 10, arbitrary: put.map(call('KV', 'Put')) },
  { weight: 6, arbitrary: range.map(call('KV', 'Range')) },
  { weight: 3, arbitrary: remove.map(call('KV', 'DeleteRange')) },
  { weight: 8, arbitrary: txn.map(call('KV', 'Txn')) },
  { weight: 1, arbitrary: fc.record({ revision }).map(call('KV', 'Compact')) },
  {
    weight: 1,
    // Not its keys: after a Txn that was refused half-way, the members of a real cluster do not agree on them.
    arbitrary: fc.record({ ID: lease }).map(call('Lease', 'LeaseTimeToLive')),
  },
  { weight: 1, arbitrary: fc.record({ ID: lease }).map(call('Lease', 'LeaseRevoke')) },
)

export interface Place {
  readonly prefix: string
  /** The revision at which the run began at this server. */
  readonly base: number
  /** Leases are counted from here. */
  readonly leases: number
}

const KEYS = ['key', 'range_end']
const LEASES = ['lease', 'ID']

/** The request as it is sent to a server at which the run began so. */
export function placed(request: object, { prefix, base, leases }: Place): object {
  return mapped(request, (field, content) => {
    if (KEYS.includes(field)) return Buffer.concat([Buffer.from(prefix), content as Buffer])
    if (field === 'revision' || field.endsWith('_revision')) return base + (content as number)
    if (LEASES.includes(field)) return content === 0 ? 0 : leases + (content as number)
    return content
  })
}

/** Its answer, without what is the server's own. */
export function levelled(answer: object, { prefix, base, leases }: Place): object {
  return mapped(answer, (field, content) => {
    if (Buffer.isBuffer(content)) return content.toString('latin1').replace(prefix, '')
    if (['cluster_id', 'member_id', 'raft_term', 'TTL'].includes(field)) return undefined
    if (field === 'revision' || field.endsWith('_revision')) return Number(content) && Number(content) - base
    if (LEASES.includes(field)) return Number(content) && Number(content) - leases
    if (field === 'keys') return (content as Buffer[]).map(String).toSorted()
    return content
  })
}

function mapped(from: unknown, change: (field: string, content: unknown) => unknown, field = ''): object {
  const changed = change(field, from)
  if (changed !== from || Buffer.isBuffer(from) || typeof from !== 'object' || from === null) {
    return changed as object
  }
  if (Array.isArray(from)) return from.map((item) => mapped(item, change, ''))
  return Object.fromEntries(
    Object.entries(from).map(([name, content]) => [name, mapped(content, change, name)]),
  )
}
