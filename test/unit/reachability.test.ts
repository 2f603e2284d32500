import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type ReachFacts, reachabilityOf } from '../../src/network/reachability.ts'

const SELF = '/p2p/12D3KooWSelf'
const LAN = `/ip4/192.168.1.7/tcp/4001${SELF}`
const OUT = `/ip4/11.11.11.7/tcp/4001${SELF}`
const CIRCUIT = `/ip4/11.11.11.1/tcp/4001/p2p/12D3KooWRelay/p2p-circuit${SELF}`

/** A node that listens everywhere behind a router, of which nothing is known yet. */
function facts(known: Partial<ReachFacts>): ReachFacts {
  return {
    ...{ listen: ['/ip4/0.0.0.0/tcp/4001'], announce: [], addresses: [LAN], mapped: [] },
    ...{ upnp: true, outside: false, relayed: true },
    ...known,
  }
}

test('who listens on loopback alone is local, and told how to listen', () => {
  const listen = ['/ip4/127.0.0.1/tcp/0']
  const { status, words, advice } = reachabilityOf(facts({ listen, addresses: [`${listen}${SELF}`] }))
  assert.equal(status, 'local')
  assert.match(words, /loopback alone/)
  assert.match(advice.join(), /--listen \/ip4\/0\.0\.0\.0\/tcp\/4001/)
})

test('who has met nobody from outside is local, which may be all it wants', () => {
  const { status, advice } = reachabilityOf(facts({}))
  assert.equal(status, 'local')
  assert.match(advice.join(), /--announce/)
})

test('who reaches others but is reached by nobody is told to ask for a relay, or to let relays be used', () => {
  const { status, words, advice } = reachabilityOf(facts({ outside: true }))
  assert.equal(status, 'outbound-only')
  assert.match(words, /no relay keeps a place/)
  assert.match(advice.join(), /Ask an operator.*MAO_NETWORK_RELAY=always/)
  assert.match(advice.join(), /forward the port/)
  assert.match(reachabilityOf(facts({ outside: true, relayed: false })).advice.join(), /network\.relayed/)
})

test('who has places on relays is reached through them, and each relay is named once', () => {
  const other = CIRCUIT.replace('11.11.11.1', '11.11.11.2')
  const reached = reachabilityOf(facts({ outside: true, addresses: [LAN, CIRCUIT, other] }))
  assert.equal(reached.status, 'relayed')
  assert.deepEqual(reached.relays, ['12D3KooWRelay'])
  assert.match(reached.words, /through a relay: 12D3KooWRelay/)
  assert.match(reached.advice.join(), /--announce/)
})

test('a router that forwards is believed, and so is somebody who came from outside', () => {
  const mapped = reachabilityOf(facts({ mapped: ['/ip4/11.11.11.9/tcp/4001'] }))
  assert.equal(mapped.status, 'forwarded')
  assert.deepEqual(mapped.upnp, { address: '/ip4/11.11.11.9/tcp/4001' })
  assert.deepEqual(mapped.advice, [])
  const seen = reachabilityOf(facts({ outside: true, inboundMs: 5, addresses: [LAN, CIRCUIT] }))
  assert.equal(seen.status, 'forwarded')
  assert.match(seen.advice.join(), /--announce/)
})

test('a public address is told as soon as it is there, and vouched for once somebody has used it', () => {
  const fresh = reachabilityOf(facts({ addresses: [LAN, OUT] }))
  assert.equal(fresh.status, 'public')
  assert.match(fresh.words, /nobody from outside has used it yet/)
  assert.equal(fresh.advice.length, 1)
  const proven = reachabilityOf(facts({ addresses: [LAN, OUT], inboundMs: 5 }))
  assert.equal(proven.words, `Others reach this node at ${OUT}.`)
  assert.deepEqual(proven.advice, [])
})

test('what people announce counts, whatever else is known', () => {
  const announce = ['/dns4/mao.example.org/tcp/4001']
  const told = reachabilityOf(facts({ announce, addresses: [`${announce}${SELF}`], upnp: false }))
  assert.equal(told.status, 'forwarded')
  assert.equal(told.upnp, 'off')
  assert.match(told.words, /mao\.example\.org.*nobody from outside has used yet/)
  assert.deepEqual(reachabilityOf(facts({ announce, inboundMs: 5 })).advice, [])
})

test('addresses are told with those first that most can use', () => {
  const loopback = `/ip4/127.0.0.1/tcp/4001${SELF}`
  const { addresses, upnp } = reachabilityOf(facts({ addresses: [loopback, CIRCUIT, LAN, OUT] }))
  assert.deepEqual(addresses, [OUT, LAN, CIRCUIT, loopback])
  assert.equal(upnp, 'no-answer')
})
