import { Etcd3 } from 'etcd3'
import { eventually } from '../support/eventually.ts'
import { freePort } from '../support/free-port.ts'
import { START_TIMEOUT_MS, startProgram, type Workplace } from './harness.ts'

export interface Etcd {
  /** `host:port`. */
  readonly address: string
  readonly pid: number
}

/** A real etcd of one node on loopback, with its data in the workplace. */
export async function startEtcd(work: Workplace): Promise<Etcd> {
  const [clients, peers] = [await freePort(), await freePort()]
  const [clientUrl, peerUrl] = [`http://127.0.0.1:${clients}`, `http://127.0.0.1:${peers}`]
  const child = startProgram(work, 'etcd', [
    ...['--name', 'anchor', '--data-dir', await work.directory()],
    ...['--listen-client-urls', clientUrl, '--advertise-client-urls', clientUrl],
    ...['--listen-peer-urls', peerUrl, '--initial-advertise-peer-urls', peerUrl],
    ...['--initial-cluster', `anchor=${peerUrl}`, '--log-level', 'error'],
  ])
  const answers = async () => {
    if (child.exitCode !== null || child.signalCode !== null) throw new Error('etcd ended at once')
    return (await fetch(`${clientUrl}/health`).catch(() => undefined))?.ok === true
  }
  await eventually(answers, 'etcd does not answer', START_TIMEOUT_MS)
  return { address: `127.0.0.1:${clients}`, pid: child.pid as number }
}

export function clientOf(work: Workplace, address: string): Etcd3 {
  const client = new Etcd3({ hosts: address })
  work.after(() => client.close())
  return client
}
