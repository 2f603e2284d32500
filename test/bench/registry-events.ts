import type { Etcd3 } from 'etcd3'
import { withDeadline } from '../../src/base/wait.ts'
import { percentile, type Row, row } from './figures.ts'
import { inTurns, type Workplace } from './harness.ts'

const VALUE = Buffer.alloc(300, 'v')
const EVENT_TIMEOUT_MS = 10_000
const AIM = '<= 1.00x etcd'

interface Watched {
  delayMs(): Promise<number>
  cancel(): Promise<void>
}

/** From the call of a put until its event is here, one put after another. */
export async function events(work: Workplace, ours: Etcd3, etcd: Etcd3): Promise<Row[]> {
  work.say('watch')
  const watched = {
    local: await watch(ours, '/local/watched/'),
    shared: await watch(ours, '/tools/'),
    etcd: await watch(etcd, '/local/watched/'),
  }
  const { local, shared, etcd: anchor } = watched
  try {
    const delays = await inTurns(work.size(1_000, 200), {
      local: local.delayMs,
      anchor: anchor.delayMs,
      shared: shared.delayMs,
    })
    return ([50, 99] as const).flatMap((rank) => {
      const of = (values: readonly number[]) => percentile(values, rank / 100)
      const about = { anchor: of(delays.anchor), unit: 'ms', aim: AIM }
      const name = `put to watch event p${rank}`
      return [
        row({ ...about, name, ours: of(delays.local) }),
        row({ ...about, name: `${name}, shared key`, ours: of(delays.shared) }),
      ]
    })
  } finally {
    // A watcher whose server has gone would look for it for ever.
    for (const { cancel } of Object.values(watched)) await cancel()
  }
}

async function watch(client: Etcd3, prefix: string): Promise<Watched> {
  const watcher = await client.watch().prefix(prefix).create()
  let told: () => void = () => undefined
  watcher.on('put', () => told())
  const delayMs = async () => {
    let heardMs = 0
    const heard = new Promise<void>((resolve) => {
      told = () => {
        heardMs = performance.now()
        resolve()
      }
    })
    const begunMs = performance.now()
    const put = client.put(`${prefix}watched`).value(VALUE).exec()
    await Promise.all([withDeadline(heard, EVENT_TIMEOUT_MS, 'The event of a put'), put])
    return heardMs - begunMs
  }
  return { delayMs, cancel: () => watcher.cancel() }
}
