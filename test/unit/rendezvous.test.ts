import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { rendezvousIdleIntervalMs, rendezvousSearchIntervalMs } from '../../src/base/limits.ts'
import { withPorts } from '../../src/network/addresses.ts'
import { wantsRelays, wantsUpnp } from '../../src/network/host.ts'
import { rendezvousDue, rendezvousKey } from '../../src/network/rendezvous.ts'
import { networkSettingsSchema } from '../../src/network/settings.ts'

test('the key of a federation is the one that the protocol says', async () => {
  const key = await rendezvousKey('mao-lab')
  const hash = createHash('sha256')
    .update(Buffer.concat([Buffer.from('mao-rendezvous\0mao-lab')]))
    .digest()
  assert.equal(key.version, 1)
  assert.equal(key.code, 0x55)
  assert.deepEqual(Buffer.from(key.multihash.digest), hash)
})

test('nobody is told or asked while there is nobody; who is alone asks often', () => {
  const nowMs = 10 ** 9
  const due = (known: object) =>
    rendezvousDue({
      nowMs,
      tablePeers: 1,
      connectedMembers: 0,
      providedMs: nowMs,
      searchedMs: nowMs,
      ...known,
    })
  assert.deepEqual(rendezvousDue({ nowMs, tablePeers: 0, connectedMembers: 0 }), {
    provide: false,
    search: false,
  })
  assert.deepEqual(rendezvousDue({ nowMs, tablePeers: 1, connectedMembers: 0 }), {
    provide: true,
    search: true,
  })
  assert.equal(due({}).search, false)
  assert.equal(due({ searchedMs: nowMs - rendezvousSearchIntervalMs }).search, true)
  assert.equal(due({ searchedMs: nowMs - rendezvousSearchIntervalMs, connectedMembers: 2 }).search, false)
  assert.equal(due({ searchedMs: nowMs - rendezvousIdleIntervalMs, connectedMembers: 2 }).search, true)
})

test('a host that begins anew keeps the ports that it got', () => {
  const listen = ['/ip4/0.0.0.0/tcp/0', '/ip4/127.0.0.1/tcp/4001', '/ip6/::/tcp/0']
  const listening = ['/ip4/10.0.0.2/tcp/777', '/ip4/127.0.0.1/tcp/777', '/ip6/::1/tcp/888']
  assert.deepEqual(withPorts(listen, listening), [
    '/ip4/0.0.0.0/tcp/777',
    '/ip4/127.0.0.1/tcp/4001',
    '/ip6/::/tcp/888',
  ])
  assert.deepEqual(withPorts(['/ip4/127.0.0.1/tcp/0'], []), ['/ip4/127.0.0.1/tcp/0'])
})

test('on loopback, or with an announced address, neither router nor relay is asked', () => {
  const settings = networkSettingsSchema.parse({})
  const open = { settings, listen: ['/ip4/0.0.0.0/tcp/1'], announce: [] as string[] }
  assert.deepEqual([wantsRelays(open), wantsUpnp(open)], [true, true])
  const local = { ...open, listen: ['/ip4/127.0.0.1/tcp/1'] }
  assert.deepEqual([wantsRelays(local), wantsUpnp(local)], [false, false])
  const told = { ...open, announce: ['/dns4/a.example/tcp/1'] }
  assert.deepEqual([wantsRelays(told), wantsUpnp(told)], [false, false])
})
