/** From the start of a newcomer's process to "member, connected, complete", beside a new member of an etcd cluster. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { withDeadline } from '../../src/base/wait.ts'
import { freePorts } from '../support/free-port.ts'
import { startTestNode } from '../support/quiet-node.ts'
import { clientOf, startEtcd } from './etcd.ts'
import { median, type Row, row } from './figures.ts'
import { inTurns, startProgram, type Workplace } from './harness.ts'

const RECORDS = 10_000
const RECORD_BYTES = 200
const COMPLETE_TIMEOUT_MS = 120_000
const LOOK_MS = 20
const MAIN = join(import.meta.dirname, '../../src/cli/main.ts')

interface Told {
  readonly url: string
  readonly tokenFile: string
}

export async function joining(work: Workplace): Promise<Row> {
  work.say(`a newcomer to ${RECORDS} records, and one to an etcd that holds as many`)
  const founder = await startTestNode(work.test, 'founder', { directory: await work.directory() })
  await founder.createFederation({ name: 'bench' })
  const { registry } = founder.federation
  const value = new TextEncoder().encode(JSON.stringify('x'.repeat(RECORD_BYTES)))
  await inParts(RECORDS, (n) => registry.put(`/shared/filled/${n}`, value))
  const etcd = await startEtcd(work)
  const client = clientOf(work, etcd.address)
  await inParts(RECORDS, (n) => client.put(`/shared/filled/${n}`).value(Buffer.from(value)).exec())

  const ours = async () => {
    const { token } = await founder.invite()
    return newcomer(work, token, () => registry.index.size)
  }
  let number = 0
  const anchor = async () => {
    number += 1
    return newMember(work, etcd.address, `newcomer-${number}`)
  }
  const measured = await inTurns(work.size(5, 2), { ours, anchor })
  return row({
    name: `start of the process to member, connected, complete (${RECORDS} records) / an etcd member`,
    ours: median(measured.ours),
    anchor: median(measured.anchor),
    unit: 'ms',
    aim: 'seconds',
  })
}

/** Some hundred at a time. */
async function inParts(count: number, work: (n: number) => Promise<unknown>): Promise<void> {
  for (let from = 0; from < count; from += 500) {
    await Promise.all(Array.from({ length: Math.min(500, count - from) }, (_, n) => work(from + n)))
  }
}

/** A whole node as a process: started, joined by its API, looked at until it holds what the founder holds. */
async function newcomer(
  work: Workplace,
  invitation: string,
  recordsOfFounder: () => number,
): Promise<number> {
  const data = await work.directory()
  const beginMs = performance.now()
  const child = spawn(
    process.execPath,
    [MAIN, '--json', '--data', data, 'instance', 'start', '--port', '0', '--no-mdns'],
    {
      env: { ...process.env, MAO_ETCD_SERVE: 'never', MAO_LOG_LEVEL: 'silent' },
      stdio: ['ignore', 'pipe', 'ignore'],
    },
  )
  const ended = once(child, 'close')
  try {
    const [line] = await withDeadline(
      once(child.stdout, 'data'),
      COMPLETE_TIMEOUT_MS,
      'The start of a newcomer',
    )
    const { url, tokenFile } = JSON.parse(String(line)) as Told
    const authorization = `Bearer ${(await readFile(tokenFile, 'utf8')).trim()}`
    const ask = async (path: string, body?: unknown) => {
      const headers = { authorization, 'content-type': 'application/json' }
      const how = body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) }
      const answer = await fetch(`${url}/api/v1${path}`, { headers, ...how })
      if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`)
      return answer.json()
    }
    await ask('/federation/join', { token: invitation })
    const isComplete = async () => {
      const { records, peers } = (await ask('/peers')) as { records: number; peers: { connected: boolean }[] }
      return records >= recordsOfFounder() && peers.some(({ connected }) => connected)
    }
    await until(isComplete, 'the newcomer never had everything')
    return performance.now() - beginMs
  } finally {
    child.kill('SIGTERM')
    await ended
  }
}

/** A second member of the etcd: added, started, asked until it has all keys itself; and removed again. */
async function newMember(work: Workplace, address: string, name: string): Promise<number> {
  const ask = async (path: string, body: unknown, at = address) => {
    const answer = await fetch(`http://${at}/v3/${path}`, { method: 'POST', body: JSON.stringify(body) })
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`)
    return (await answer.json()) as {
      count?: string
      member?: { ID: string }
      members?: { name?: string; peerURLs: string[] }[]
    }
  }
  const [clients, peers] = (await freePorts(2)) as [number, number]
  const [clientUrl, peerUrl] = [`http://127.0.0.1:${clients}`, `http://127.0.0.1:${peers}`]
  const directory = await work.directory()
  const beginMs = performance.now()
  const { member, members = [] } = await ask('cluster/member/add', { peerURLs: [peerUrl] })
  const cluster = members.map((one) => `${one.name ?? name}=${one.peerURLs[0]}`).join(',')
  const child = startProgram(work, 'etcd', [
    ...[
      '--name',
      name,
      '--data-dir',
      directory,
      '--initial-cluster-state',
      'existing',
      '--log-level',
      'error',
    ],
    ...['--listen-client-urls', clientUrl, '--advertise-client-urls', clientUrl],
    ...[
      '--listen-peer-urls',
      peerUrl,
      '--initial-advertise-peer-urls',
      peerUrl,
      '--initial-cluster',
      cluster,
    ],
  ])
  const range = { key: btoa('/shared/'), range_end: btoa('/shared0'), count_only: true, serializable: true }
  const isComplete = async () => {
    const told = await ask('kv/range', range, `127.0.0.1:${clients}`).catch(() => undefined)
    return Number(told?.count ?? 0) >= RECORDS
  }
  await until(isComplete, 'the new etcd member never had everything')
  const tookMs = performance.now() - beginMs
  // A cluster refuses changes until it has seen the last one's member for some seconds.
  const isRemoved = () =>
    ask('cluster/member/remove', { ID: member?.ID }).then(
      () => true,
      () => false,
    )
  await until(isRemoved, 'the new etcd member could not be removed')
  child.kill('SIGKILL')
  return tookMs
}

async function until(isSo: () => Promise<boolean>, message: string): Promise<void> {
  const deadline = performance.now() + COMPLETE_TIMEOUT_MS
  while (!(await isSo())) {
    if (performance.now() > deadline) throw new Error(message)
    await sleep(LOOK_MS)
  }
}
