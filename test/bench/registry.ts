/**
 * The registry against a real etcd of one node. Both are reached with the same client over gRPC, each in a process of
 * its own; the rows that say `in-process` are what the rooms of a node see, which no client of etcd can have.
 */
import type { Etcd3 } from 'etcd3'
import { withDeadline } from '../../src/base/wait.ts'
import type { Registry } from '../../src/registry/registry.ts'
import { startRegistryNode } from '../support/registry-node.ts'
import { clientOf, startEtcd } from './etcd.ts'
import { type FarNode, startFarNode } from './far-node.ts'
import { percentile, type Row, row } from './figures.ts'
import { type Bench, callsPerSecond, inTurns, mediansInTurns, secondsOf, type Workplace } from './harness.ts'

const VALUE = Buffer.alloc(300, 'v')
const CALLERS = [1, 16, 64] as const
const EVENT_TIMEOUT_MS = 10_000
const CATCH_UP_TIMEOUT_MS = 120_000
const AIM_RATE = '>= 1.00x etcd'
const AIM_EVENT = '<= 1.00x etcd'

/** The same few keys again and again: neither side grows while it is measured. */
const keyOf = (index: number) => `/tools/bench-${index % 1_000}`

interface Subject {
  put(key: string): Promise<unknown>
  get(key: string): Promise<unknown>
}
type Subjects = Readonly<Record<'surface' | 'inProcess' | 'etcd', Subject>>

export const registry: Bench = {
  about: 'put, get, watch and catch-up, against etcd',
  async run(work) {
    const etcd = await startEtcd(work)
    const far = await startFarNode(work)
    const surface = clientOf(work, far.etcd)
    const own = await startRegistryNode(work.test, { directory: await work.directory() })
    const inProcess = {
      put: (key: string) => own.registry.put(key, VALUE),
      get: async (key: string) => own.registry.get(key),
    }
    const subjects = { surface: over(surface), inProcess, etcd: over(etcd) }
    return [
      ...(await puts(work, subjects)),
      ...(await gets(work, subjects)),
      ...(await events(work, { surface, etcd, inProcess: own.registry })),
      await catchUp(work, await startFarNode(work)),
    ]
  },
}

function over(client: Etcd3): Subject {
  return { put: (key) => client.put(key).value(VALUE).exec(), get: (key) => client.get(key).buffer() }
}

async function puts(work: Workplace, subjects: Subjects): Promise<Row[]> {
  const rows: Row[] = []
  for (const { put } of Object.values(subjects)) await callsPerSecond(64, 16, (index) => put(keyOf(index)))
  for (const callers of CALLERS) {
    work.say(`durable put, ${callers} at once`)
    const count = work.size(1_000, 150) * Math.min(callers, 4)
    rows.push(...(await rates(work, `durable put, ${callers} at once`, count, callers, subjects, 'put')))
  }
  return rows
}

async function gets(work: Workplace, subjects: Subjects): Promise<Row[]> {
  const rows: Row[] = []
  for (const { put } of Object.values(subjects)) await callsPerSecond(1_000, 64, (index) => put(keyOf(index)))
  for (const callers of CALLERS) {
    work.say(`get, ${callers} at once`)
    const count = work.size(2_000, 250) * Math.min(callers, 4)
    rows.push(...(await rates(work, `get, ${callers} at once`, count, callers, subjects, 'get')))
  }
  return rows
}

async function rates(
  work: Workplace,
  name: string,
  count: number,
  callers: number,
  subjects: Subjects,
  verb: keyof Subject,
): Promise<Row[]> {
  const run = (subject: Subject) => () =>
    callsPerSecond(count, callers, (index) => subject[verb](keyOf(index)))
  const measured = await mediansInTurns(work.size(5, 3), {
    surface: run(subjects.surface),
    inProcess: run(subjects.inProcess),
    etcd: run(subjects.etcd),
  })
  const about = { anchor: measured.etcd, unit: '/s', aim: AIM_RATE }
  return [
    row({ ...about, name: `${name}, etcd client`, ours: measured.surface }),
    row({ ...about, name: `${name}, in-process Registry`, ours: measured.inProcess }),
  ]
}

/** From the call of a put until its event is here, one put after another. */
async function events(
  work: Workplace,
  { surface, etcd, inProcess }: { surface: Etcd3; etcd: Etcd3; inProcess: Registry },
): Promise<Row[]> {
  work.say('watch')
  const watched = { surface: await watch(surface), etcd: await watch(etcd), inProcess: watchHere(inProcess) }
  const { surface: ours, etcd: anchor, inProcess: here } = watched
  try {
    const delays = await inTurns(work.size(500, 100), {
      ours: ours.delayMs,
      anchor: anchor.delayMs,
      here: here.delayMs,
    })
    return ([50, 99] as const).flatMap((rank) => {
      const of = (values: readonly number[]) => percentile(values, rank / 100)
      const about = { anchor: of(delays.anchor), unit: 'ms', aim: AIM_EVENT }
      return [
        row({ ...about, name: `put to watch event p${rank}, etcd client`, ours: of(delays.ours) }),
        row({ ...about, name: `put to watch event p${rank}, in-process Registry`, ours: of(delays.here) }),
      ]
    })
  } finally {
    // A watcher whose server has gone would look for it for ever.
    for (const { cancel } of Object.values(watched)) await cancel()
  }
}

interface Watched {
  delayMs(): Promise<number>
  cancel(): Promise<void>
}

async function watch(client: Etcd3): Promise<Watched> {
  const watcher = await client.watch().prefix('/tools/').create()
  let told: () => void = () => undefined
  const listen = (heard: () => void) => {
    told = heard
  }
  watcher.on('put', () => told())
  const put = () => client.put(keyOf(0)).value(VALUE).exec()
  return {
    delayMs: () => delayOf(listen, put),
    cancel: () => watcher.cancel(),
  }
}

function watchHere(registry: Registry): Watched {
  let told: () => void = () => undefined
  const listen = (heard: () => void) => {
    told = heard
  }
  const unwatch = registry.watch('/tools/', () => told())
  return {
    delayMs: () => delayOf(listen, () => registry.put(keyOf(0), VALUE)),
    cancel: async () => unwatch(),
  }
}

/** Ms until what `listen` was given is called and `put` is answered; the delay is that of the first alone. */
async function delayOf(listen: (heard: () => void) => void, put: () => Promise<unknown>): Promise<number> {
  let heardMs = 0
  const heard = new Promise<void>((resolve) => {
    listen(() => {
      heardMs = performance.now()
      resolve()
    })
  })
  const begunMs = performance.now()
  await Promise.all([withDeadline(heard, EVENT_TIMEOUT_MS, 'The event of a put'), put()])
  return heardMs - begunMs
}

/** A newcomer pulls all that the far node holds; each run is another newcomer. */
async function catchUp(work: Workplace, far: FarNode): Promise<Row> {
  const count = work.size(10_000, 2_000)
  work.say(`catch-up of ${count} records`)
  await far.fill(count)
  let newcomers = 0
  const run = async () => {
    newcomers += 1
    const options = { genesis: far.genesis, directory: await work.directory() }
    const node = await startRegistryNode(work.test, options)
    await far.admit(node.identity.peerId, `newcomer-${newcomers}`)
    let held = 0
    const all = new Promise<void>((resolve) => {
      node.registry.watch('/tools/', () => {
        held += 1
        if (held === count) resolve()
      })
    })
    // Who connects pulls by itself, so nothing is asked for here.
    const seconds = await secondsOf(async () => {
      await node.network.dial(far.addresses)
      await withDeadline(all, CATCH_UP_TIMEOUT_MS, 'The catch-up')
    })
    await node.stop()
    return count / seconds
  }
  const { ours } = await mediansInTurns(3, { ours: run })
  const name = `catch-up of ${count} records, two nodes`
  return row({ name, ours, anchor: null, unit: 'records/s', aim: '>= 10000 records/s' })
}
