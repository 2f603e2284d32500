import assert from 'node:assert/strict'
import { test } from 'node:test'
import { eventView } from '../../src/api/event-view.ts'

test('a name that several claim is contested; a member of whom several operators spoke is not', () => {
  const told = (key: string) => {
    const entry = {
      key,
      value: Buffer.from('{}'),
      author: 'amy',
      version: 1,
      timeMs: 1,
      sinceMs: 1,
      revision: 1,
    }
    return eventView({
      type: 'registry',
      change: { key, entry: { ...entry, contested: true }, previous: undefined, revision: 1 },
    })
  }
  assert.partialDeepStrictEqual(told('/tools/skan'), { contested: true })
  assert.partialDeepStrictEqual(told('/members/12D3KooWAmy'), { contested: false })
})
