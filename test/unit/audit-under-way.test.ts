import assert from 'node:assert/strict'
import { test } from 'node:test'
import { auditsPerDatasetMax, auditsPerHourMax, auditsPerOpenerMax } from '../../src/base/limits-audit.ts'
import { formatAuditId } from '../../src/consensus/audit/audit-id.ts'
import type { SeenOpening } from '../../src/consensus/audit/audit-records.ts'
import { AuditsUnderWay } from '../../src/consensus/audit/under-way.ts'

const HOUR_MS = 3_600_000

function world() {
  let now = 0
  const underWay = new AuditsUnderWay({ self: 'self', clock: { now: () => now } })
  const opening = (opener: string, dataset: string): SeenOpening => {
    now += 1
    const value = { dataset, openedMs: now, untilMs: now + HOUR_MS, electorate: ['self'] }
    return { id: { dataset, openedMs: now, opener }, value, bytes: new Uint8Array(), hash: '' }
  }
  const ask = (opener: string, dataset = 'data') => underWay.add(opening(opener, dataset)) !== undefined
  const pass = (ms: number) => {
    now += ms
  }
  return { underWay, opening, ask, pass }
}

test('one member’s audits and those of one dataset are so many at once', () => {
  const { underWay, ask } = world()
  for (let asked = 0; asked < auditsPerOpenerMax; asked += 1) assert.ok(ask('bob'))
  assert.equal(ask('bob'), false)
  let others = 0
  for (; ask(`peer${others % 3}`); others += 1);
  assert.equal(others, auditsPerDatasetMax - auditsPerOpenerMax)
  assert.ok(ask('carol', 'other'))
  const [[first = ''] = []] = underWay.all()
  underWay.remove(first)
  assert.ok(ask('bob'))
})

test('one after another they are so many an hour, but for what this node opens or its people ask for', () => {
  const { underWay, opening, ask, pass } = world()
  const askAndEnd = (opener: string) => {
    const asked = opening(opener, 'data')
    const isTaken = underWay.add(asked) !== undefined
    underWay.remove(formatAuditId(asked.id))
    return { isTaken, asked }
  }
  const first = askAndEnd('bob')
  for (let asked = 1; asked < auditsPerHourMax; asked += 1) assert.ok(askAndEnd('bob').isTaken)
  const refused = askAndEnd('bob')
  assert.equal(refused.isTaken, false)
  assert.ok(underWay.add(first.asked), 'a late answer brings back what was taken already')
  assert.ok(underWay.add(refused.asked, true), 'somebody here wants it')
  for (let asked = 0; asked < 2 * auditsPerHourMax; asked += 1) assert.ok(askAndEnd('self').isTaken)
  assert.ok(ask('carol'))
  pass(HOUR_MS)
  assert.ok(ask('bob'))
})

test('whoever fills a dataset with audits leaves room for those of this node', () => {
  const { underWay, ask } = world()
  for (let asked = 0; asked < auditsPerDatasetMax; asked += 1)
    assert.ok(ask(asked % 2 === 0 ? 'bob' : 'dave'))
  assert.equal(ask('carol'), false)
  assert.ok(underWay.hasRoom({ dataset: 'data', opener: 'self' }))
  for (let asked = 0; asked < auditsPerOpenerMax; asked += 1) assert.ok(ask('self'))
  assert.equal(ask('self'), false)
})
