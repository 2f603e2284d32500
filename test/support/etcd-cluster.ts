import { join } from 'node:path'
import { type Running, spawnProgram } from './child-process.ts'
import { eventually } from './eventually.ts'
import { freePorts } from './free-port.ts'
import { temporaryDirectory } from './temporary-directory.ts'

/** Whatever undoes a start in reverse order: a test's context, or a suite's. */
export interface Ending {
  after(undo: () => void | Promise<void>): void
}

/** A watch that asks for it hears of progress this often; etcd's own ten minutes are too long for a test. */
export const PROGRESS_NOTIFY_MS = 300
const START_TIMEOUT_MS = 30_000
/** No story may wait longer than this for its server to go. */
const LIFETIME_MS = 300_000
/** Another program may take a free port before etcd does. */
const START_ATTEMPTS = 3

interface Member {
  readonly name: string
  readonly clients: string
  readonly peers: string
}

/** A real etcd of `count` members on loopback, each ready to serve. @returns their client addresses */
export async function startEtcd(ending: Ending, count: number): Promise<readonly string[]> {
  for (let attempt = 1; ; attempt++) {
    const members = await place(count)
    const directory = await temporaryDirectory(ending)
    const running = members.map((member) => startMember(ending, directory, member, members))
    const ready = members.map((member, i) => answers(member, running[i] as Running))
    try {
      await Promise.all(ready)
      return members.map(({ clients }) => clients)
    } catch (error) {
      for (const { child } of running) child.kill('SIGKILL')
      await Promise.allSettled([...ready, ...running.map(({ ended }) => ended)])
      const lostPort = error instanceof Error && error.message.includes('address already in use')
      if (!lostPort || attempt === START_ATTEMPTS) throw error
    }
  }
}

async function place(count: number): Promise<Member[]> {
  const ports = await freePorts(2 * count)
  return Array.from({ length: count }, (_, i) => ({
    name: `member-${i}`,
    clients: `127.0.0.1:${ports[2 * i]}`,
    peers: `127.0.0.1:${ports[2 * i + 1]}`,
  }))
}

function startMember(ending: Ending, directory: string, member: Member, all: readonly Member[]): Running {
  const { name, clients, peers } = member
  const cluster = all.map((other) => `${other.name}=http://${other.peers}`).join(',')
  const running = spawnProgram(
    { after: () => undefined },
    'etcd',
    [
      ...['--name', name, '--data-dir', join(directory, name), '--log-level', 'error', '--logger', 'zap'],
      ...['--log-outputs', 'stderr'],
      ...['--listen-client-urls', `http://${clients}`, '--advertise-client-urls', `http://${clients}`],
      ...['--listen-peer-urls', `http://${peers}`, '--initial-advertise-peer-urls', `http://${peers}`],
      ...['--initial-cluster', cluster, '--initial-cluster-token', cluster],
      ...['--experimental-watch-progress-notify-interval', `${PROGRESS_NOTIFY_MS}ms`],
    ],
    { deadlineMs: LIFETIME_MS },
  )
  ending.after(async () => {
    running.child.kill('SIGKILL')
    await running.ended.catch(() => undefined)
  })
  return running
}

async function answers({ name, clients }: Member, { child, ended }: Running): Promise<void> {
  const healthy = async () => {
    if (child.exitCode !== null || child.signalCode !== null) {
      throw new Error(`etcd ${name} ended at once: ${(await ended).stderr}`)
    }
    return (await fetch(`http://${clients}/health`).catch(() => undefined))?.ok === true
  }
  await eventually(healthy, `etcd ${name} does not answer`, START_TIMEOUT_MS)
}
