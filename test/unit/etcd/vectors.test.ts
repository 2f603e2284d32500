import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { z } from 'zod'
import { silentLogger } from '../../../src/base/logger.ts'
import type { RequestOp, TxnRequest } from '../../../src/etcd/requests.ts'
import { sendSnapshot } from '../../../src/etcd/snapshot.ts'
import { EtcdError, refusals } from '../../../src/etcd/status.ts'
import { checkCompareAndSwap, checkTxn } from '../../../src/etcd/txn-rules.ts'
import { kindOf } from '../../../src/federation/keyspace.ts'
import { EVERY_KEY } from '../../../src/registry/key-range.ts'
import { KeyValue } from '../../../src/registry/key-value.ts'
import { deleteOp, missing, putOp, rangeOp, txnOp } from '../../support/etcd-requests.ts'
import { eventually } from '../../support/eventually.ts'

interface Txn {
  readonly compare: string[]
  readonly success: Op[]
  readonly failure: Op[]
}
type Op = [string, string | Txn, string?]
const txn: z.ZodType<Txn> = z.lazy(() => {
  const op = z.union([
    z.tuple([z.string(), z.union([z.string(), txn])]),
    z.tuple([z.string(), z.string(), z.string()]),
  ])
  return z.object({ compare: z.array(z.string()), success: z.array(op), failure: z.array(op) })
})
const refusal = z.object({ code: z.number(), details: z.string() })
const version = z.object({
  key: z.string(),
  modified: z.number(),
  created: z.number().default(0),
  version: z.number().default(0),
  lease: z.number().default(0),
  value: z.string().default(''),
  deleted: z.boolean().default(false),
})
const path = join(import.meta.dirname, '../../../protocols/vectors/etcd.json')
const vectors = z
  .object({
    txns: z.array(z.object({ name: z.string(), txn, refusal: refusal.nullable() })).min(1),
    refusals: z.record(z.string(), refusal),
    snapshot: z.object({
      compacted: z.number(),
      versions: z.array(version),
      leases: z.array(z.object({ id: z.number(), ttlSeconds: z.number() })),
      bytes: z.number(),
      sha256: z.string(),
    }),
  })
  .parse(JSON.parse(await readFile(path, 'utf8')))

function opOf([kind, what, end = '']: Op): RequestOp {
  if (typeof what !== 'string') return txnOp(requestOf(what))
  return (
    { put: putOp(what), delete: deleteOp(what, end), range: rangeOp(what, end) }[kind] ?? assert.fail(kind)
  )
}

function requestOf({ compare, success, failure }: Txn): TxnRequest {
  return { compare: compare.map(missing), success: success.map(opOf), failure: failure.map(opOf) }
}

for (const { name, txn, refusal } of vectors.txns) {
  test(`a Txn in which ${name} is ${refusal === null ? 'taken' : 'refused'}`, () => {
    const check = () => {
      checkTxn(requestOf(txn))
      checkCompareAndSwap(requestOf(txn), kindOf)
    }
    if (refusal === null) return check()
    assert.throws(check, (error) => {
      return (
        error instanceof EtcdError && error.code === refusal.code && error.details.startsWith(refusal.details)
      )
    })
  })
}

test("refusals are etcd's, letter by letter", () => {
  for (const [name, { code, details }] of Object.entries(vectors.refusals)) {
    const { code: ours, details: words } = refusals[name as keyof typeof refusals]()
    assert.deepEqual({ code: ours, details: words }, { code, details }, name)
  }
})

test('a snapshot has the very bytes that are written down', async () => {
  const { compacted, versions, leases, bytes, sha256 } = vectors.snapshot
  const all = versions.map(({ value, deleted, lease, ...fields }) => {
    if (deleted) return KeyValue.tombstone(fields.key, fields.modified)
    return KeyValue.of({ ...fields, lease: BigInt(lease) }, Buffer.from(value))
  })
  const times = new Map(leases.map(({ id, ttlSeconds }) => [BigInt(id), ttlSeconds]))
  const keyValues = {
    compacted,
    range: (range: unknown, at: number) => {
      assert.equal(range, EVERY_KEY)
      return all.filter((kv) => kv.modified <= at)
    },
    events: (from: number) => {
      return all
        .filter((kv) => kv.modified >= from)
        .map((kv) => ({
          type: kv.isTombstone ? ('delete' as const) : ('put' as const),
          kv,
          previous: undefined,
        }))
    },
    leases: {
      list: () => [...times.keys()],
      timeToLive: (id: bigint) => ({ ttlSeconds: 1, grantedSeconds: times.get(id) ?? 0, keys: [] }),
    },
  }
  const parts: Buffer[] = []
  const nothing = () => undefined
  let ask: (request: object) => void = nothing
  let ended = false
  const call = {
    ...{ onEnd: nothing, onClose: nothing, onDrain: nothing },
    onMessage: (heard: (request: object) => void) => {
      ask = heard
    },
    write: (response: object) => parts.push((response as { blob: Buffer }).blob) > 0,
    end: () => {
      ended = true
    },
  }
  sendSnapshot(call, {
    keyValues: keyValues as Parameters<typeof sendSnapshot>[1]['keyValues'],
    log: silentLogger,
  })
  ask({})
  await eventually(() => ended, 'the snapshot did not end')
  const whole = Buffer.concat(parts)
  const database = whole.subarray(0, -32)
  const hash = createHash('sha256').update(database).digest()
  assert.deepEqual(whole.subarray(-32), hash)
  assert.deepEqual([database.length, hash.toString('hex')], [bytes, sha256])
})
