import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import type { ListingView } from '../../src/api/market-views.ts'
import { delay } from '../../src/base/wait.ts'
import { problemIn, startTestApi } from '../support/api.ts'
import { eventually } from '../support/eventually.ts'
import { maoctlHere, tellJson } from '../support/maoctl.ts'

test('nodes of no federation list, find, and take back what they offer', async (t) => {
  const alice = await startTestApi(t, 'alice')
  const bob = await startTestApi(t, 'bob', { bootstrap: alice.node.addresses() })
  const [there, here] = [alice.node.config.dataDirectory, bob.node.config.dataDirectory]
  const file = join(there, 'offer.yaml')
  await writeFile(file, 'image: lab/collect:1\ncode_repo: https://example.org/collect\n')
  const words = ['market', 'publish', 'tool', 'collect', '-f', file, '--description', 'Reads manifests']
  const listed = await tellJson<ListingView>(there, ...words)
  assert.deepEqual([listed.own, listed.author], [true, alice.node.peerId])

  // Said again until bob's gossip is set up; without that, it would come with the next announcement.
  const heard = async () => {
    await tellJson(there, ...words)
    await delay(500)
    const search = ['market', 'search', 'reads', 'COLLECT', '--kind', 'tool']
    return (await tellJson<ListingView[]>(here, ...search)).length === 1
  }
  await eventually(heard, 'bob never heard of the tool', 60_000)
  const people = await maoctlHere(['--data', here, 'market', 'list'])
  assert.match(people.stdout, new RegExp(`^tool +collect +${alice.node.peerId} .* Reads manifests$`, 'm'))
  const shown = await maoctlHere(['--data', here, 'market', 'show', 'tool', 'collect'])
  assert.match(shown.stdout, /"image": "lab\/collect:1"/)
  assert.deepEqual(await tellJson(here, 'market', 'list', '--kind', 'dataset'), [])

  // Anybody may use the name; then the author decides.
  await writeFile(join(here, 'offer.json'), '{"image":"other/collect:2"}')
  await tellJson(here, 'market', 'publish', 'tool', 'collect', '-f', join(here, 'offer.json'))
  const unclear = await maoctlHere(['--data', here, 'market', 'show', 'tool', 'collect'])
  assert.equal(unclear.exit, 4)
  assert.match(unclear.stderr, /2 authors list a tool named collect; say which: .*\(CONFLICT\)/)
  const { peerId } = alice.node
  const chosen = await tellJson<ListingView>(here, 'market', 'show', 'tool', 'collect', '--author', peerId)
  assert.equal(chosen.author, peerId)

  await tellJson(there, 'market', 'withdraw', 'tool', 'collect')
  const own = async () => (await tellJson<ListingView[]>(here, 'market', 'list')).every((each) => each.own)
  await eventually(own, 'bob never heard that the tool was withdrawn', 60_000)
})

test('a federation lists itself and what it has', async (t) => {
  const { node, ask } = await startTestApi(t, 'alice')
  const data = node.config.dataDirectory
  await tellJson(data, 'federation', 'create', '--name', 'observatory', '--description', 'Artefacts, weekly')
  const tool = { name: 'collect', image: 'lab/collect:1', description: 'Reads manifests' }
  assert.equal((await ask('POST', '/api/v1/tools', tool)).status, 201)
  const listed = await tellJson<ListingView>(data, 'market', 'publish', 'tool', 'collect')
  assert.deepEqual([listed.description, listed.body.image], ['Reads manifests', 'lab/collect:1'])
  const words = ['market', 'publish', 'federation', 'observatory', '--contact', 'o@example.org']
  const federation = await tellJson<ListingView>(data, ...words)
  assert.equal(federation.description, 'Artefacts, weekly')
  const { genesis } = node.federation
  assert.deepEqual(federation.body, {
    federation: genesis.federation,
    contacts: ['o@example.org'],
    addresses: node.addresses(),
    join: 'invitation',
    genesis: Buffer.from(genesis.envelope).toString('base64'),
  })
  // Its founder lists it, and the listing proves that it is this federation's founder.
  assert.deepEqual([federation.founder, federation.author], [node.peerId, node.peerId])
  const listings = JSON.parse((await ask('GET', '/api/v1/market?limit=1')).body) as ListingView[]
  assert.deepEqual(
    listings.map(({ kind }) => kind),
    ['federation'],
  )
})

test('offers that cannot be are refused with what to do', async (t) => {
  const { node, ask } = await startTestApi(t, 'alice')
  const data = node.config.dataDirectory
  const refused = async (exit: number, said: RegExp, ...words: string[]) => {
    const ended = await maoctlHere(['--data', data, 'market', ...words])
    assert.deepEqual([ended.exit, ended.stdout], [exit, ''], ended.stderr)
    assert.match(ended.stderr, said)
  }
  await refused(4, /--file FILE .*\(NO_FEDERATION\)/, 'publish', 'tool', 'collect')
  await refused(4, /--file FILE .*\(NO_FEDERATION\)/, 'publish', 'federation', 'observatory')
  await refused(2, /Allowed choices are federation, tool/, 'show', 'toll', 'collect')
  await refused(3, /\(LISTING_NOT_FOUND\)/, 'show', 'tool', 'collect')
  await refused(3, /\(LISTING_NOT_FOUND\)/, 'withdraw', 'tool', 'collect')
  const file = join(data, 'offer.yaml')
  await refused(2, /cannot be read.*\(INVALID_INPUT\)/, 'publish', 'tool', 'x', '-f', file)
  await writeFile(file, '- a list')
  await refused(2, /is no offer: it holds no map.*\(INVALID_INPUT\)/, 'publish', 'tool', 'x', '-f', file)
  await writeFile(file, '{ unclosed: [')
  await refused(2, /is no offer: .*\(INVALID_INPUT\)/, 'publish', 'tool', 'x', '-f', file)
  await writeFile(file, 'image: Not An Image')
  await refused(2, /image: an image is written like.*\(INVALID_INPUT\)/, 'publish', 'tool', 'x', '-f', file)
  const unknown = await ask('POST', '/api/v1/market', { kind: 'boat', name: 'x' })
  assert.equal(problemIn(unknown).code, 'INVALID_INPUT')
  assert.equal(problemIn(await ask('GET', '/api/v1/market?kind=boat')).code, 'INVALID_INPUT')
  assert.deepEqual(await tellJson(data, 'market', 'list'), [])
})
