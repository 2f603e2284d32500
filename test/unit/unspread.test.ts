import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gossipIgnoredMax } from '../../src/base/limits.ts'
import { Unspread } from '../../src/network/unspread.ts'

test('what a node says itself goes on, though gossip’s copy of it was ignored', () => {
  const unspread = new Unspread()
  assert.equal(unspread.said('a'), 'new')
  // Catch-up brings it while the copy still waits for its verdict.
  unspread.came('b')
  assert.equal(unspread.said('b'), 'judging')
  assert.equal(unspread.judged('b', 'ignore'), 'accept')
  assert.equal(unspread.said('b'), 'new', 'it went on, there is nothing to say again')
  // And after the verdict.
  unspread.came('c')
  assert.equal(unspread.judged('c', 'ignore'), 'ignore')
  assert.equal(unspread.said('c'), 'ignored')
  assert.equal(unspread.said('c'), 'new', 'it is said anew once')
})

test('other verdicts stand, and what is remembered is bounded', () => {
  const unspread = new Unspread()
  for (const verdict of ['accept', 'reject'] as const) {
    unspread.came(verdict)
    assert.equal(unspread.said(verdict), 'judging')
    assert.equal(unspread.judged(verdict, verdict), verdict)
  }
  for (let n = 0; n <= gossipIgnoredMax; n += 1) unspread.judged(`${n}`, 'ignore')
  assert.equal(unspread.said('0'), 'new')
  assert.equal(unspread.said('1'), 'ignored')
})
