/** Calls of etcd clients, each client in a process of its own as the servers are, so that only the servers differ. */
import type { RegistryNode } from '../support/registry-node.ts'
import { startFarClient, type Verb } from './far-client.ts'
import { type Row, row } from './figures.ts'
import { callsPerSecond, mediansInTurns, type Workplace } from './harness.ts'

const VALUE = Buffer.alloc(300, 'v')
const CALLERS = [1, 16, 64] as const
const PROCESSES = 4
const AIM = '>= 1.00x etcd'
/** A node's own keys are what etcd's are; shared ones are signed and gossiped besides. */
const LOCAL = '/local/bench/'
const SHARED = '/tools/bench-'

export interface CallParts {
  /** `host:port`. */
  readonly ours: string
  readonly etcd: string
  /** A node in this process, for what the rooms of a node see. */
  readonly own: RegistryNode
}

interface Load {
  readonly verb: Verb
  readonly processes: number
  readonly callers: number
  /** Calls of each process. */
  readonly count: number
}

export async function calls(work: Workplace, parts: CallParts): Promise<Row[]> {
  const clients = Array.from({ length: PROCESSES }, () => startFarClient(work))
  const rate = async (endpoint: string, prefix: string, { verb, processes, callers, count }: Load) => {
    const rates = clients
      .slice(0, processes)
      .map((client) => client({ endpoint, verb, prefix, count, callers }))
    return (await Promise.all(rates)).reduce((sum, each) => sum + each, 0)
  }
  // All keys are there, and everybody is warm.
  for (const [endpoint, prefix] of [
    [parts.ours, LOCAL],
    [parts.ours, SHARED],
    [parts.etcd, LOCAL],
  ] as const) {
    await rate(endpoint, prefix, { verb: 'put', processes: 1, callers: 64, count: 1_000 })
    await rate(endpoint, prefix, { verb: 'get', processes: PROCESSES, callers: 16, count: 500 })
  }
  const rows: Row[] = []
  for (const load of loads(work)) {
    const { verb, processes, callers } = load
    const whose = processes === 1 ? `${callers} at once` : `${processes} clients of ${callers}`
    work.say(`${verb}, ${whose}`)
    const measured = await mediansInTurns(work.size(5, 3), {
      local: () => rate(parts.ours, LOCAL, load),
      etcd: () => rate(parts.etcd, LOCAL, load),
      ...(verb === 'put' ? { shared: () => rate(parts.ours, SHARED, load) } : {}),
    })
    const about = { anchor: measured.etcd, unit: '/s', aim: AIM }
    const name = verb === 'put' ? `durable put, ${whose}` : `${verb}, ${whose}`
    rows.push(row({ ...about, name, ours: measured.local }))
    if (measured.shared !== undefined)
      rows.push(row({ ...about, name: `${name}, shared key`, ours: measured.shared }))
  }
  return [...rows, ...(await inProcess(work, parts.own))]
}

function loads(work: Workplace): Load[] {
  const counts: Record<Verb, number> = { put: 600, get: 2_000, 'range of 1,000': 100 }
  return (Object.keys(counts) as Verb[]).flatMap((verb) => {
    const count = (callers: number) =>
      Math.ceil((counts[verb] * Math.min(callers, 8)) / (verb === 'range of 1,000' ? 8 : work.size(1, 4)))
    const alone = CALLERS.map((callers) => ({ verb, processes: 1, callers, count: count(callers) }))
    return [...alone, { verb, processes: PROCESSES, callers: 16, count: count(16) }]
  })
}

/** What no client of etcd can have: calls without a wire. */
async function inProcess(work: Workplace, { registry }: RegistryNode): Promise<Row[]> {
  const rows: Row[] = []
  for (const callers of CALLERS) {
    const count = work.size(4_000, 1_000)
    const { ours } = await mediansInTurns(3, {
      ours: () => callsPerSecond(count, callers, (index) => registry.put(`${SHARED}${index % 1_000}`, VALUE)),
    })
    const name = `durable put, ${callers} at once, shared key, in-process`
    rows.push(row({ name, ours, anchor: null, unit: '/s', aim: '-' }))
  }
  return rows
}
