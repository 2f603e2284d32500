import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import type { ServiceError } from '@grpc/grpc-js'
import type { IEvent } from 'etcd3'
import fc from 'fast-check'
import { BACKENDS } from '../support/etcd-backend.ts'
import type { Ending } from '../support/etcd-cluster.ts'
import { levelled, type Place, placed, type RandomCall, randomCall } from '../support/etcd-random.ts'
import { RawEtcd } from '../support/etcd-raw.ts'
import { below } from '../support/etcd-words.ts'

const RUNS = 60
const CALLS_MAX = 30
const LEASES = 2

let runs = 0

/** One server through one run: what it answered, and what it told those who watched. */
async function live(raw: RawEtcd, run: number, calls: readonly RandomCall[]) {
  const prefix = `/local/alike-${run}/`
  const leases = 1_000_000 + 10 * run
  for (let i = 1; i <= LEASES; i++) await raw.grant({ ID: `${leases + i}`, TTL: 3_600 })
  const base = await raw.revision()
  const place: Place = { prefix, base, leases }
  const now = raw.watch()
  await now.create(below(prefix))
  const answers: unknown[] = []
  let compacted = base
  for (const { service, method, request } of calls) {
    const sent = placed(request, place)
    const answer = await raw.call<object>(service, method, sent).then(
      (said) => levelled(said, place),
      ({ code, details }: ServiceError) => ({ code, details }),
    )
    if (method === 'Compact' && !('code' in answer)) {
      compacted = Math.max(compacted, (sent as { revision: number }).revision)
    }
    answers.push({ method, answer })
  }
  await raw.put({ key: Buffer.from(`${prefix}over`) })
  const past = raw.watch()
  // Whether a delete at the very revision compacted to is still told depends on how far the compaction is.
  await past.create({ ...below(prefix), start_revision: compacted + 1, prev_kv: true })
  const told = { live: await untilOver(now, place), replayed: await untilOver(past, place) }
  for (const watch of [now, past]) watch.cancel()
  for (let i = 1; i <= LEASES; i++) await raw.revoke(`${leases + i}`).catch(() => undefined)
  await raw.delete(below(prefix))
  return { answers, told }
}

async function untilOver(watch: { events(count: number): Promise<IEvent[]> }, place: Place) {
  const events: object[] = []
  for (;;) {
    const some = await watch.events(1)
    events.push(...some.map((event) => levelled(event, place)))
    if (some.some(({ kv }) => String(kv.key) === `${place.prefix}over`)) return events
  }
}

suite('etcd: alike', () => {
  const undo: (() => void | Promise<void>)[] = []
  const ending: Ending = { after: (step) => void undo.push(step) }
  const servers: { name: string; raw: RawEtcd }[] = []
  before(async () => {
    const started = BACKENDS.map(async ({ name, start }) => {
      const [address] = await start(ending)
      return { name, raw: new RawEtcd(address as string) }
    })
    servers.push(...(await Promise.all(started)))
  })
  after(async () => {
    for (const { raw } of servers) raw.close()
    for (const step of undo.reverse()) await step()
  })

  test('whatever is called in whatever order is answered by all alike', async () => {
    const alike = fc.asyncProperty(
      fc.array(randomCall, { minLength: 1, maxLength: CALLS_MAX, size: 'max' }),
      async (calls) => {
        const run = ++runs
        const lives = await Promise.all(servers.map(({ raw }) => live(raw, run, calls)))
        for (const [i, life] of lives.entries()) assert.deepEqual(life, lives[0], servers[i]?.name)
      },
    )
    await fc.assert(alike, { numRuns: RUNS })
  })
})
