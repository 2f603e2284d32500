import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { NodeError } from '../../src/base/errors.ts'
import { syncBesideMax, syncSettleMs } from '../../src/base/limits.ts'
import { silentLogger } from '../../src/base/logger.ts'
import { Registry } from '../../src/registry/registry.ts'
import { Sync } from '../../src/registry/sync.ts'

test('[S17] a hundred changes among the members are followed by two rounds of a few pulls, from others each time', async (t) => {
  const asked: string[] = []
  const peers = Array.from({ length: 20 }, (_, n) => `peer-${n}`)
  const registry: Pick<Registry, 'federation' | 'index' | 'receiveAll'> = Object.create(Registry.prototype)
  const sync = new Sync({
    registry,
    network: {
      handle: async () => async () => undefined,
      onConnect: () => () => undefined,
      connectedPeers: () => [...peers, 'stranger'],
      open: async (peer) => {
        asked.push(peer)
        throw new NodeError('PEER_UNREACHABLE', `${peer} is asked and away`)
      },
    },
    mayRead: (peer) => peer !== 'stranger',
    relay: () => undefined,
    log: silentLogger,
  })
  await sync.start()
  t.after(() => sync.stop())
  // Everybody is asked at the start; those pulls have to be over.
  await sleep(10)
  asked.length = 0

  for (let n = 0; n < 100; n += 1) sync.pullSome()
  assert.equal(new Set(asked).size, syncBesideMax)
  await sleep(2.5 * syncSettleMs)
  assert.equal(asked.length, 2 * syncBesideMax)
  assert.equal(new Set(asked).size, 2 * syncBesideMax)
  assert.ok(!asked.includes('stranger'))
})
