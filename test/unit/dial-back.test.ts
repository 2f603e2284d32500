import assert from 'node:assert/strict'
import { test } from 'node:test'
import { dialsBack } from '../../src/network/dial-back.ts'

test('a dial back is a connection of its own, never one that is in use', async () => {
  const asked: unknown[] = []
  const connectionManager = {
    max: 300,
    getMaxConnections() {
      return this.max
    },
    async openConnection(to: string, options?: { signal?: AbortSignal; force?: boolean }) {
      this.max -= 1
      asked.push(to, options)
      return to
    },
  }
  const { signal } = new AbortController()
  const given = dialsBack({ connectionManager, name: 'others' })
  assert.equal(await given.connectionManager.openConnection('/ip4/11.11.11.2/tcp/1', { signal }), asked[0])
  assert.deepEqual(asked[1], { signal, force: true })
  assert.equal(given.connectionManager.getMaxConnections(), 299, 'the rest is as libp2p has it')
  assert.equal(given.name, 'others')
})
