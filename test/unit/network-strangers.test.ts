import assert from 'node:assert/strict'
import { test } from 'node:test'
import { strangersMax, strangersPerAddressMax, strangersPerPeerMax } from '../../src/base/limits.ts'
import { type Guest, roomFor } from '../../src/network/crowd.ts'
import { leadsOut, Ways } from '../../src/network/ways.ts'

const NOW = 10_000_000
const isMember = (peer: string) => peer.startsWith('member')
const guest = (peer: string, ip: string, said: Partial<Guest> = {}): Guest => {
  return { peer, address: `/ip4/${ip}/tcp/1`, sinceMs: NOW, outbound: false, busy: false, ...said }
}
const comes = (peer: string, connections: readonly Guest[], address = '/ip4/192.0.2.1/tcp/1') =>
  roomFor({ peer, address, connections, isMember, nowMs: NOW })
const many = (count: number, of: (n: number) => Guest) => Array.from({ length: count }, (_, n) => of(n))

test('neither one key nor one address takes the places of all', () => {
  const one = many(strangersPerPeerMax, (n) => guest('thief', `10.0.0.${n}`))
  assert.equal(comes('thief', one).admitted, false)
  assert.equal(comes('other', one).admitted, true)
  const near = many(strangersPerAddressMax, (n) => guest(`thief${n}`, '192.0.2.1'))
  assert.equal(comes('other', near).admitted, false)
  assert.equal(comes('other', near, '/ip4/192.0.2.2/tcp/1').admitted, true)
  assert.equal(comes('member', near).admitted, true)
  const six = many(strangersPerAddressMax, (n) =>
    guest(`thief${n}`, '', { address: `/ip6/2001:db8:1:2::${n}/tcp/1` }),
  )
  assert.equal(comes('other', six, '/ip6/2001:db8:1:2:ffff::1/tcp/1').admitted, false)
  assert.equal(comes('other', six, '/ip6/2001:db8:1:3::1/tcp/1').admitted, true)
})

test('when strangers hold all of their places a member comes in, and the idle make room', () => {
  const busy = many(strangersMax, (n) => guest(`s${n}`, `10.0.${n % 250}.1`, { busy: true, sinceMs: 0 }))
  assert.deepEqual(comes('other', busy), { admitted: false })
  assert.deepEqual(comes('member', busy), { admitted: true })
  const idle = [...busy.slice(1), guest('idler', '10.1.1.1', { sinceMs: 0 })]
  assert.deepEqual(comes('other', idle), { admitted: true, ends: 'idler' })
})

test('what others tell is dialled where it leads out, or into a network that this node is in', () => {
  const lan = { inside: ['192.168.1.5', '127.0.0.1', 'fe80::1'], loopbackOnly: false }
  const to = (address: string, place = lan) => leadsOut(address, place)
  for (const good of [
    '/ip4/8.8.8.8/tcp/4001',
    '/dns4/node.example.org/tcp/1/p2p/12D3Koo',
    '/ip4/192.168.7.7/tcp/1',
  ])
    assert.equal(to(good), true, good)
  assert.equal(to('/ip4/8.8.8.8/tcp/1/p2p/12D3Koo/p2p-circuit/p2p/12D3Kop'), true)
  assert.equal(to('/p2p/12D3Koo/p2p-circuit/p2p/12D3Kop'), true)
  const bad = [
    '/unix/%2Fvar%2Frun%2Fdocker.sock/p2p/12D3Koo',
    '/ip4/127.0.0.1/tcp/2375',
    '/ip4/127.0.0.1/tcp/2375/p2p/12D3Koo/p2p-circuit/p2p/12D3Kop',
    '/ip4/169.254.169.254/tcp/80',
    '/ip4/10.0.0.1/tcp/80',
    '/ip6/fe80::1/tcp/80',
    '/ip6/::1/tcp/80',
    '/ip6/::ffff:127.0.0.1/tcp/80',
    '/dns4/localhost/tcp/80',
    '/dns4/db.internal/tcp/80',
    '/ip4/0.0.0.0/tcp/80',
  ]
  for (const address of bad) assert.equal(to(address), false, address)
  assert.equal(to('/ip4/127.0.0.1/tcp/1', { inside: [], loopbackOnly: true }), true)
})

test('what the user named is dialled, and opens the network that it lies in', () => {
  const ways = new Ways(['/ip4/0.0.0.0/tcp/4001'], [])
  const named = '/ip4/127.0.0.1/tcp/4001/p2p/12D3Koo'
  assert.equal(ways.mayDial(named), false)
  ways.name([named, '/ip4/100.64.3.3/tcp/1/p2p/12D3Kop'])
  assert.equal(ways.mayDial(named), true)
  assert.equal(ways.mayDial('/ip4/127.0.0.1/tcp/2375/p2p/12D3Koo'), false)
  assert.equal(ways.mayDial('/ip4/100.64.9.9/tcp/1'), true)
  assert.equal(ways.isNamed('12D3Koo'), true)
  assert.equal(ways.isNamed('12D3Kox'), false)
})
