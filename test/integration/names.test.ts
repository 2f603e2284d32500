import assert from 'node:assert/strict'
import { test } from 'node:test'
import { z } from 'zod'
import { silentLogger } from '../../src/base/logger.ts'
import { Collection } from '../../src/registry/collection.ts'
import { eventually } from '../support/eventually.ts'
import { type RegistryNode, startFederation } from '../support/registry-node.ts'

const notes = ({ registry }: RegistryNode) =>
  new Collection({ registry, prefix: '/tools/', schema: z.object({ text: z.string() }), log: silentLogger })

test('a name that another member has is neither taken over nor removed, and an operator may do both', async (t) => {
  const [alice, bob, carol] = await startFederation(t, ['bob', 'carol'])
  assert(alice && bob && carol)
  await notes(bob).put('mine', { text: 'of bob' })
  for (const node of [alice, carol]) {
    await eventually(() => notes(node).get('mine') !== undefined, "bob's note never arrived")
  }
  await assert.rejects(notes(carol).put('mine', { text: 'of carol' }), {
    code: 'CONFLICT',
    message: /ask an operator/,
  })
  await assert.rejects(notes(carol).remove('mine'), { code: 'CONFLICT' })
  assert.equal(carol.registry.claims('/tools/mine').length, 1, 'nothing was written in vain')

  await notes(bob).put('mine', { text: 'of bob, again' })
  await notes(alice).put('mine', { text: 'of the operator' })
  await eventually(() => notes(bob).get('mine')?.value.text === 'of the operator', 'bob never saw it')
  await notes(alice).remove('mine')
  await eventually(() => notes(bob).get('mine') === undefined, 'the removal never arrived')
  await notes(carol).put('mine', { text: 'of carol' })
  assert.equal(notes(carol).get('mine')?.value.text, 'of carol', 'a removed name is free again')
})

test('a value that does not fit is refused, and one that a peer wrote is left out', async (t) => {
  const [alice] = await startFederation(t, [])
  assert(alice)
  await assert.rejects(notes(alice).put('bad', { text: 7 } as never), {
    code: 'INVALID_INPUT',
    message: /text/,
  })
  await alice.registry.put('/tools/bad', new TextEncoder().encode('no json'))
  assert.deepEqual(notes(alice).list(), [])
})
