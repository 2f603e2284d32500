/**
 * A client of etcd in a process of its own: it makes the calls that its parent asks for (far-client.ts), measures their
 * rate, and ends with its parent.
 */
import { Etcd3 } from 'etcd3'
import { messageOf } from '../../src/base/errors.ts'
import type { ClientAnswer, ClientQuestion } from './far-client.ts'
import { callsPerSecond } from './harness.ts'

const VALUE = Buffer.alloc(300, 'v')
const clients = new Map<string, Etcd3>()

function clientOf(endpoint: string): Etcd3 {
  const client = clients.get(endpoint) ?? new Etcd3({ hosts: endpoint })
  clients.set(endpoint, client)
  return client
}

async function measure({ endpoint, verb, prefix, count, callers }: ClientQuestion): Promise<number> {
  const client = clientOf(endpoint)
  const keyOf = (index: number) => `${prefix}${String(index % 1_000).padStart(4, '0')}`
  if (verb === 'put')
    return callsPerSecond(count, callers, (index) => client.put(keyOf(index)).value(VALUE).exec())
  if (verb === 'get') return callsPerSecond(count, callers, (index) => client.get(keyOf(index)).exec())
  return callsPerSecond(count, callers, async () => {
    const { kvs } = await client.getAll().prefix(prefix).exec()
    if (kvs.length !== 1_000) throw new Error(`A range of 1,000 keys gave ${kvs.length}`)
  })
}

process.on('message', (question: ClientQuestion) => {
  measure(question).then(
    (rate) => process.send?.({ rate } satisfies ClientAnswer),
    (error: unknown) => process.send?.({ error: messageOf(error) } satisfies ClientAnswer),
  )
})
process.once('disconnect', () => {
  for (const client of clients.values()) client.close()
  process.exit(0)
})
