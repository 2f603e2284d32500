import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { freeName } from '../../src/federation/standing.ts'

test('a name that is free is given as it was asked for', () => {
  assert.equal(freeName('bob', new Set(['alice'])), 'bob')
})

test('a name that is taken gets the first free number', () => {
  assert.equal(freeName('bob', new Set(['bob', 'bob-2'])), 'bob-3')
})

test("no name can own another's branches: neither ends in the other after a dash", () => {
  assert.equal(freeName('check-bob', new Set(['bob'])), 'check-bob-2')
  assert.equal(freeName('bob', new Set(['check-bob'])), 'bob-2')
  const part = fc.constantFrom('a', 'b', 'lab', '2', '3')
  const name = fc.array(part, { minLength: 1, maxLength: 3 }).map((parts) => parts.join('-'))
  fc.assert(
    fc.property(fc.array(name, { maxLength: 12 }), (wanted) => {
      const taken = new Set<string>()
      for (const one of wanted) taken.add(freeName(one, taken))
      assert.equal(taken.size, wanted.length)
      for (const a of taken) for (const b of taken) assert(a === b || !a.endsWith(`-${b}`), `${a} and ${b}`)
    }),
  )
})
