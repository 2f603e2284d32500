/** What many records cost: the time in which a newcomer has them, and the memory that they take. */
import { readFile } from 'node:fs/promises'
import { withDeadline } from '../../src/base/wait.ts'
import { startRegistryNode } from '../support/registry-node.ts'
import { startFarClient } from './far-client.ts'
import type { FarNode } from './far-node.ts'
import { type Row, row } from './figures.ts'
import { mediansInTurns, secondsOf, type Workplace } from './harness.ts'

const CATCH_UP_TIMEOUT_MS = 120_000
const HUNDRED_THOUSAND = 100_000

/** A newcomer pulls all that the far node holds; each run is another newcomer. */
export async function catchUp(work: Workplace, far: FarNode, count: number): Promise<Row> {
  work.say(`catch-up of ${count} records`)
  await far.fill(count)
  let newcomers = 0
  const run = async () => {
    newcomers += 1
    const options = { genesis: far.genesis, directory: await work.directory() }
    const node = await startRegistryNode(work.test, options)
    await far.admit(node.identity.peerId, `newcomer-${newcomers}-of-${count}`)
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
  const { ours } = await mediansInTurns(count < HUNDRED_THOUSAND ? 3 : 1, { ours: run })
  const name = `catch-up of ${count} records, two nodes`
  return row({ name, ours, anchor: null, unit: 'records/s', aim: '>= 10000 records/s' })
}

/** By how much a server's resident memory grows with a hundred thousand keys. */
export async function memory(
  work: Workplace,
  far: FarNode,
  etcd: { readonly address: string; readonly pid: number },
): Promise<Row> {
  const count = work.size(HUNDRED_THOUSAND, HUNDRED_THOUSAND / 5)
  work.say(`memory of ${count} records`)
  const mibibytes = (bytes: number) => (bytes * HUNDRED_THOUSAND) / count / 2 ** 20
  const before = await far.memoryBytes()
  await far.fill(count)
  const ours = mibibytes((await far.memoryBytes()) - before)
  const put = startFarClient(work)
  const etcdBefore = await residentBytes(etcd.pid)
  // A thousand keys a prefix.
  for (let part = 0; part < count / 1_000; part += 1) {
    const prefix = `/tools/filled-${part}-`
    await put({ endpoint: etcd.address, verb: 'put', prefix, count: 1_000, callers: 64 })
  }
  const anchor = mibibytes((await residentBytes(etcd.pid)) - etcdBefore)
  const name = 'memory per 100,000 records of 300 bytes'
  return row({ name, ours, anchor, unit: 'MiB', aim: '<= 1.00x etcd' })
}

async function residentBytes(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]) * 1_024
}
