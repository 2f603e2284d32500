/** A round's messages through one etcd: every client sees every vote and every confirmation, and in the end the result. */
import { Etcd3 } from 'etcd3'
import { withDeadline } from '../../src/base/wait.ts'
import { quorumOf } from '../../src/consensus/quorum.ts'
import { startEtcd } from './etcd.ts'
import type { Workplace } from './harness.ts'

const ROUND_TIMEOUT_MS = 30_000
/** A sealed vote, and its share of a certificate. */
const VOTE = Buffer.alloc(400, 'v')

/** @returns of each round, how long after its closing the last client saw the result, ms. */
export async function agreeThroughEtcd(work: Workplace, clients: number, rounds: number): Promise<number[]> {
  const etcd = await startEtcd(work)
  const all = Array.from({ length: clients }, () => new Etcd3({ hosts: etcd.address }))
  const told = new Map<number, () => void>()
  const watchers = await Promise.all(all.map((client, self) => follow(client, self, clients, told)))
  try {
    const taken: number[] = []
    for (let round = 0; round < rounds; round += 1) {
      let missing = clients
      const ended = new Promise<void>((resolve) => {
        told.set(round, () => {
          missing -= 1
          if (missing === 0) resolve()
        })
      })
      const begunMs = performance.now()
      await (all[0] as Etcd3).put(`/round/${round}/closing`).value(VOTE).exec()
      await withDeadline(ended, ROUND_TIMEOUT_MS, 'A round through etcd')
      taken.push(performance.now() - begunMs)
      told.delete(round)
    }
    return taken
  } finally {
    // A watcher whose server has gone would look for it for ever.
    for (const watcher of watchers) await watcher.cancel()
    for (const client of all) client.close()
  }
}

/** A client that votes on a closing, confirms a quorum of votes; the first one writes the certificate. */
async function follow(client: Etcd3, self: number, clients: number, told: ReadonlyMap<number, () => void>) {
  const quorum = quorumOf(clients)
  const watcher = await client.watch().prefix('/round/').create()
  const counts = new Map<string, number>()
  const put = (key: string, value: Buffer) =>
    // What fails shows as a round that does not end.
    void client
      .put(key)
      .value(value)
      .exec()
      .catch(() => undefined)
  watcher.on('put', ({ key }) => {
    const [, , round = '', kind = ''] = key.toString().split('/')
    const place = `/round/${round}`
    if (kind === 'closing') put(`${place}/vote/${self}`, VOTE)
    if (kind === 'certificate') told.get(Number(round))?.()
    if (kind !== 'vote' && kind !== 'confirmation') return
    const count = (counts.get(`${place}/${kind}`) ?? 0) + 1
    counts.set(`${place}/${kind}`, count)
    if (count !== quorum) return
    if (kind === 'vote') put(`${place}/confirmation/${self}`, VOTE)
    else if (self === 0) put(`${place}/certificate`, Buffer.alloc(VOTE.length * quorum, 'c'))
  })
  return watcher
}
