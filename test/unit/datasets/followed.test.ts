import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { openDatabase } from '../../../src/base/database.ts'
import { NodeError } from '../../../src/base/errors.ts'
import { Followed } from '../../../src/datasets/followed.ts'
import type { Known } from '../../../src/datasets/known-datasets.ts'
import { temporaryDirectory } from '../../support/temporary-directory.ts'

/** A node that follows all, at most two of each founder; what it knows is the map. */
async function follower(t: TestContext) {
  const database = await openDatabase(await temporaryDirectory(t))
  t.after(() => database.close())
  const datasets = new Map<string, Known>()
  const [told, looks]: [string[], string[]] = [[], []]
  const known = {
    get: (name: string) => {
      looks.push(name)
      return datasets.get(name)
    },
    need: (name: string) => {
      const found = datasets.get(name)
      if (found === undefined) throw new NodeError('DATASET_NOT_FOUND', name)
      return found
    },
    list: () => [...datasets.values()],
  }
  const followed = new Followed({
    ...{ self: 'me', rule: 'all', database, known, perMemberMax: 2 },
    members: { list: () => [], onChange: () => () => undefined },
    live: () => [],
    patienceMs: 60_000,
    lookMs: 60_000,
    onChange: (name) => told.push(name),
    emit: () => undefined,
  })
  const found = (name: string, owner = 'eve') => {
    const record = { description: '', policy: 'shared', createdBy: owner } as Known['record']
    datasets.set(name, {
      ...{ name, id: `id of ${name}`, record, owner, author: owner, promisedBy: owner },
      ...{ policy: 'shared', foundedMs: 0 },
    })
    followed.lookAt(name)
  }
  const end = (name: string) => {
    datasets.delete(name)
    followed.lookAt(name)
  }
  const all = () => [...datasets.keys()].filter((name) => followed.follows(name)).sort()
  return { followed, datasets, found, end, all, told, looks }
}

test('of one founder only so many are followed, the first by name, unless they are chosen', async (t) => {
  const { followed, datasets, found, end, all, told } = await follower(t)
  for (const name of ['d', 'c']) found(name)
  for (const name of ['x', 'y', 'z']) found(name, 'me')
  found('other', 'bob')
  assert.deepEqual(all(), ['c', 'd', 'other', 'x', 'y', 'z'])
  assert.deepEqual(told, [])
  // One that comes before pushes another out; one that goes makes room; both are told of the other.
  found('b')
  assert.deepEqual(all(), ['b', 'c', 'other', 'x', 'y', 'z'])
  assert.deepEqual(told.splice(0), ['d'])
  const decision = followed.decide(datasets.get('d') as Known)
  assert.equal(decision.why, 'its founder has more than are followed unless chosen')
  found('e')
  end('c')
  assert.deepEqual(all(), ['b', 'd', 'other', 'x', 'y', 'z'])
  assert.deepEqual(told.splice(0), ['d'])
  await followed.choose('e', 'follow')
  assert.deepEqual(all(), ['b', 'd', 'e', 'other', 'x', 'y', 'z'])
  // A name that another founder takes over counts for that one.
  found('b', 'bob')
  assert.deepEqual(all(), ['b', 'd', 'e', 'other', 'x', 'y', 'z'])
  found('a', 'bob')
  assert.deepEqual(all(), ['a', 'b', 'd', 'e', 'x', 'y', 'z'])
  // A start comes to the same, whatever came first.
  await followed.stop()
  await followed.start()
  t.after(() => followed.stop())
  assert.deepEqual(all(), ['a', 'b', 'd', 'e', 'x', 'y', 'z'])
})

test('one record that changes is looked at by itself', async (t) => {
  const { found, looks } = await follower(t)
  for (let at = 0; at < 50; at++) found(`d${at}`)
  looks.length = 0
  found('d9')
  found('e')
  assert.deepEqual(looks, ['d9', 'e'])
})
