import assert from 'node:assert/strict'
import { test } from 'node:test'
import { overruled, type Say } from '../../src/api/claim-rights.ts'
import { roundSeenAs, seenAs } from '../../src/api/observed.ts'
import { scopeOf } from '../../src/api/scopes.ts'
import type { Scope } from '../../src/identity/scopes.ts'

const say = (more: Partial<Say>): Say => ({
  ...{ scope: 'member', isOperator: true, isSelf: (peer) => ['me', 'me before'].includes(peer) },
  ...{ claims: [{ author: 'me before' }], ...more },
})

test('whose claim a token below operator would overrule at an operator’s node, and nobody’s elsewhere', () => {
  assert.equal(overruled(say({})), undefined)
  const claims = [{ author: 'me' }, { author: 'bob' }]
  assert.equal(overruled(say({ claims })), 'bob')
  assert.equal(overruled(say({ claims: [{ author: 'bob', buried: true }] })), undefined)
  // A member's record outranks nobody's, so there is nothing to ask for.
  assert.equal(overruled(say({ claims, isOperator: false })), undefined)
  for (const scope of ['operator', 'admin'] as const)
    assert.equal(overruled(say({ claims, scope })), undefined)
})

test('what a dataset holds is read by members, and founding one is an operator’s way however it is done', () => {
  const least: readonly [method: string, template: string, Scope][] = [
    ['GET', '/api/v1/datasets', 'observer'],
    ['GET', '/api/v1/datasets/:name', 'observer'],
    ['GET', '/api/v1/datasets/:name/tree', 'member'],
    ['GET', '/api/v1/datasets/:name/log', 'member'],
    ['GET', '/api/v1/datasets/:name/truth', 'member'],
    ['GET', '/api/v1/datasets/:name/truth/verification', 'member'],
    ['GET', '/api/v1/rounds/:dataset/:step/:slot/report', 'member'],
    ['POST', '/api/v1/rounds/:dataset/:step/:slot/ballot', 'member'],
    ['PUT', '/api/v1/datasets/:name/rule', 'operator'],
    ['GET', '/api/v1/local-datasets', 'member'],
    ['DELETE', '/api/v1/local-datasets/:name', 'operator'],
    ['GET', '/api/v1/runs/:id', 'observer'],
    ['GET', '/api/v1/runs/:id/comparison', 'member'],
    ['POST', '/api/v1/datasets', 'operator'],
    ['POST', '/api/v1/datasets/import', 'operator'],
    ['POST', '/api/v1/datasets/:name/commits', 'member'],
    ['POST', '/registry/datasets', 'operator'],
  ]
  for (const [method, template, scope] of least)
    assert.equal(scopeOf(method, template), scope, `${method} ${template}`)
})

test('an observer is told how a run went, and no word, number or value of what it worked on', () => {
  const run = {
    ...{ id: 'r', state: 'failed', reason: 'patient john is missing', code: 'INTERNAL' },
    transitions: [{ state: 'failed', timeMs: 1, reason: 'patient john is missing' }],
    steps: [
      {
        ...{ name: 's', exitCode: 3, report: { verdict: 'spike', value: 7 } },
        inputs: [{ name: 'i', source: 'https://x.example/?key=1' }],
        granted: { network: 'none', environment: { KEY: 'value' } },
      },
    ],
  }
  const seen = JSON.stringify(seenAs('observer', run))
  for (const content of ['john', 'spike', 'x.example', 'value']) assert(!seen.includes(content), content)
  assert.match(seen, /"state":"failed".*"exitCode":3,.*"network":"none"/)
  assert.equal(seenAs('member', run), run)
})

test('why a ballot cannot count names keys and cells, so tokens of observers learn only that it does not', () => {
  const ballot = { peer: 'p', name: 'bob', commit: 'c', tree: 't', castMs: 1, counted: false }
  const round = { ballots: [{ ...ballot, defect: 't.csv: line 7: not a number: "secret"' }, ballot] }
  assert.deepEqual(roundSeenAs('observer', round).ballots, [
    { ...ballot, defect: 'cannot be counted' },
    ballot,
  ])
  assert.equal(roundSeenAs('member', round), round)
})
