import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ApiNode } from '../../src/api/api-node.ts'
import { offerOfFederation } from '../../src/api/market-offers.ts'

test('a private federation is not listed where nobody could hear of it', async () => {
  const genesis = {
    federation: 'maox',
    name: 'vault',
    description: '',
    envelope: new Uint8Array(),
    private: true,
  }
  const members = { get: () => ({ role: 'operator' }) }
  const policies = { state: () => ({ policy: { contacts: [], join: 'invitation' } }) }
  const rooms = { genesis, members, membership: { policies } }
  const node = { hasFederation: true, peerId: 'amy', addresses: () => [], federation: rooms }
  const offer = () => offerOfFederation(node as unknown as ApiNode, 'federation', 'vault')
  await assert.rejects(offer(), { code: 'CONFLICT', message: /private.*federation invite/ })
  genesis.private = false
  assert.partialDeepStrictEqual(await offer(), { body: { federation: 'maox', join: 'invitation' } })
})
