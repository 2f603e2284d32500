import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type MachineFacts, machineChecks, type NodeFacts, nodeChecks } from '../../src/api/doctor-checks.ts'
import type { Overview } from '../../src/api/status-views.ts'
import { HOUR_MS, MINUTE_MS } from '../../src/base/limits.ts'
import { type Config, loadConfig, unknownVariables } from '../../src/config.ts'

const NOW = 1_795_280_400_000
const GIB = 1024 ** 3

const PUBLIC = { status: 'public' as const, words: 'Others dial it.', advice: [], addresses: [], relays: [] }

const overview: Overview = {
  node: {
    name: 'alice',
    peer: 'p',
    version: '1',
    startedMs: NOW,
    nowMs: NOW,
    connectedPeers: 1,
    reachability: PUBLIC,
  },
  federation: { id: 'f', name: 'lab', role: 'member', members: 2, online: 2 },
  request: null,
  disk: { freeBytes: 10 * GIB, totalBytes: 20 * GIB, keptBytes: GIB },
  work: {
    registry: { digest: 'd', records: 1, same: 1, differing: 0, unknown: 0 },
    datasets: { count: 0, behind: [], agreed: 0 },
    runs: { running: [], queued: 0, failed: [] },
    schedules: { count: 0, paused: 0, problems: 0 },
    rounds: { open: [] },
    notifications: { spikes: [], waiting: 0, givenUp: 0 },
    engines: [{ id: 'local', up: true }],
  },
}

const facts: NodeFacts = {
  overview,
  nowMs: NOW,
  saidMs: [{ name: 'bob', timeMs: NOW - MINUTE_MS }],
  fromFuture: 0,
  peers: [{ name: 'bob', connected: true, online: true, differsSinceMs: undefined }],
  etcd: 'served',
  etcdPort: 2379,
}

/** Verdicts by what was looked at. */
function verdicts(more: Partial<NodeFacts>): Record<string, string> {
  return Object.fromEntries(nodeChecks({ ...facts, ...more }).map(({ id, verdict }) => [id, verdict]))
}

test('a node with which all is well has no other verdict', () => {
  assert.deepEqual(new Set(Object.values(verdicts({}))), new Set(['ok']))
})

test('whatever is not well is told with a way out', () => {
  const reachability = {
    status: 'outbound-only' as const,
    words: 'w',
    advice: ['open it'],
    addresses: [],
    relays: [],
  }
  const bob = { name: 'bob', connected: false, online: true, differsSinceMs: undefined }
  const work = overview.work as NonNullable<Overview['work']>
  const engines = [{ id: 'local', up: false, problem: 'gone' }]
  const said = (...offs: number[]) => offs.map((off, i) => ({ name: `m${i}`, timeMs: NOW + off }))
  const cases: [string, string, Partial<NodeFacts>][] = [
    ['federation', 'warning', { overview: { ...overview, federation: null, work: null } }],
    [
      'federation',
      'problem',
      { overview: { ...overview, federation: { id: 'f', name: 'lab', role: null, members: 1, online: 1 } } },
    ],
    ['reachability', 'warning', { overview: { ...overview, node: { ...overview.node, reachability } } }],
    ['peers', 'problem', { peers: [bob] }],
    ['peers', 'warning', { peers: [bob, { ...bob, name: 'carol', connected: true }] }],
    ['registry', 'warning', { peers: [{ ...bob, connected: true, differsSinceMs: NOW - MINUTE_MS }] }],
    ['registry', 'problem', { peers: [{ ...bob, connected: true, differsSinceMs: NOW - HOUR_MS }] }],
    // One clock of three is somebody else's; most of them are this machine's.
    ['clock', 'warning', { saidMs: said(-MINUTE_MS, 0, 20 * MINUTE_MS) }],
    ['clock', 'problem', { saidMs: said(0, 19 * MINUTE_MS, 20 * MINUTE_MS) }],
    ['clock', 'problem', { saidMs: said(-40 * MINUTE_MS, -41 * MINUTE_MS) }],
    ['clock', 'warning', { fromFuture: 3 }],
    ['engine', 'warning', { overview: { ...overview, work: { ...work, engines } } }],
    [
      'engine',
      'problem',
      { overview: { ...overview, work: { ...work, engines, runs: { ...work.runs, queued: 1 } } } },
    ],
    ['etcd', 'warning', { etcd: 'not-served' }],
  ]
  for (const [id, verdict, more] of cases) {
    const found = nodeChecks({ ...facts, ...more }).find((check) => check.id === id)
    assert.equal(found?.verdict, verdict, `${id}: ${found?.words}`)
    assert.ok((found?.wayOut ?? '').length > 5, id)
  }
})

test('a former member is told that its membership ended, and nothing of the others; one that has asked, that it waits', () => {
  const ended = { reason: 'moved away', endedMs: NOW }
  const federation = { id: 'f', name: 'lab', role: null, members: 1, online: 0, ended }
  const former = nodeChecks({ ...facts, overview: { ...overview, federation }, peers: [] })
  assert.deepEqual(
    former.map(({ id }) => id),
    ['federation', 'reachability'],
  )
  assert.match(former[0]?.words ?? '', /ended on .*moved away/)
  const request = { state: 'pending' as const, federationName: 'lab', contacts: [] }
  const asking = nodeChecks({ ...facts, overview: { ...overview, federation: null, work: null, request } })
  assert.match(asking[0]?.words ?? '', /has asked lab .* operator is to decide/)
})

test('a clock that is ahead of most says so, and in which direction', () => {
  const words = (off: number) =>
    nodeChecks({
      ...facts,
      saidMs: [off, off].map((each, i) => ({ name: `m${i}`, timeMs: NOW + each })),
    }).find(({ id }) => id === 'clock')?.words
  assert.match(words(20 * MINUTE_MS) ?? '', /behind those of most members by 20\.0 min/)
  assert.match(words(-25 * MINUTE_MS) ?? '', /ahead of those of most members by 20\.0 min/)
})

test('the machine is looked at with or without a node', async () => {
  const usual = await loadConfig({ flags: { name: 'alice', dataDirectory: '/nonexistent' } })
  const fine: MachineFacts = {
    freeBytes: 10 * GIB,
    modes: [{ path: '/d/api-token', mode: 0o100600 }],
    git: 'git version 2.39.5',
    unknownVariables: [],
  }
  const bad = (more: Partial<MachineFacts>, config: Config = usual) =>
    machineChecks({ ...fine, ...more }, config).flatMap(({ id, verdict }) =>
      verdict === 'ok' ? [] : [[id, verdict]],
    )
  assert.deepEqual(bad({}), [])
  assert.deepEqual(bad({ modes: [{ path: '/d/api-token', mode: 0o100644 }] }), [['secrecy', 'problem']])
  assert.deepEqual(bad({ git: undefined }), [['git', 'warning']])
  assert.deepEqual(bad({ freeBytes: 1 }), [['disk', 'problem']])
  assert.deepEqual(bad({ unknownVariables: ['MAO_X'] }), [['variables', 'warning']])
  const withSettings = (more: object) => ({ ...usual, ...more })
  const open = withSettings({ maoApi: 'open', api: { ...usual.api, host: '0.0.0.0' } })
  assert.deepEqual(bad({}, open), [
    ['settings', 'warning'],
    ['settings', 'problem'],
  ])
  assert.deepEqual(bad({}, withSettings({ maoApi: 'open' })), [['settings', 'warning']])
  const hub = machineChecks(fine, withSettings({ marketplace: { ...usual.marketplace, hub: 'open' } }))
  assert.match(hub.find(({ id }) => id === 'settings')?.words ?? '', /marketplace\.hub is open/)
})

test('variables of ours that mean nothing are found, and no others', () => {
  const environment = {
    MAO_DATA: '',
    MAO_SECRET_X: '',
    MAO_PROFILE: '',
    MAO_API_PORT: '1',
    MAO_BOGUS: '',
    PATH: '',
  }
  assert.deepEqual(unknownVariables(environment), ['MAO_BOGUS'])
})
