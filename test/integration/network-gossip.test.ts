import assert from 'node:assert/strict'
import { test } from 'node:test'
import { eventually } from '../support/eventually.ts'
import { startLoopbackNetwork } from '../support/loopback-network.ts'

const TOPIC = '/mao/test/topic'

test('what catch-up brought before gossip’s copy was judged goes on to those who have this node alone', async (t) => {
  const [left, hub, right] = await Promise.all([1, 2, 3].map(() => startLoopbackNetwork(t)))
  assert(left && hub && right)
  const heard: string[] = []
  const judged: string[] = []
  const listening: string[] = []
  left.gossip.join(TOPIC, async () => 'accept')
  right.gossip.join(TOPIC, async (bytes) => {
    heard.push(Buffer.from(bytes).toString())
    return 'accept'
  })
  // As a registry that has the record already, by catch-up, which says it while the copy is judged or after.
  hub.gossip.join(TOPIC, async (bytes) => {
    const text = Buffer.from(bytes).toString()
    if (text === 'during') await hub.gossip.publish(TOPIC, bytes)
    judged.push(text)
    return 'ignore'
  })
  for (const one of [left, hub, right]) one.gossip.onSubscriber(TOPIC, (peer) => listening.push(peer))
  await left.dial(hub.addresses())
  await right.dial(hub.addresses())
  await eventually(() => listening.length === 4, 'they never heard each other subscribe')

  for (const text of ['during', 'after', 'known']) await left.gossip.publish(TOPIC, Buffer.from(text))
  await eventually(() => judged.length === 3, 'not all was judged')
  await hub.gossip.publish(TOPIC, Buffer.from('after'))
  await eventually(() => heard.includes('during') && heard.includes('after'), 'right never heard all')
  assert(!heard.includes('known'), 'what was ignored and not said again went on')
})
