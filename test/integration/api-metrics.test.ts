import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ApiNode } from '../../src/api/api-node.ts'
import type { Flush, Meters } from '../../src/api/meters.ts'
import { NodeMetrics } from '../../src/api/metrics.ts'
import { EVERYTHING } from '../../src/registry/record-index.ts'
import { askRaw, startTestApi } from '../support/api.ts'

interface Family {
  readonly type: string
  readonly help: string
  readonly samples: { name: string; labels: Record<string, string>; value: number }[]
}

const SAMPLE = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$/
const LABEL = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(?:,|$)/y
/** What may follow the name of a family in the names of its samples. */
const SUFFIXES: Record<string, RegExp> = {
  histogram: /^_(?:bucket|sum|count)$/,
  summary: /^(?:|_sum|_count)$/,
}

/** Reads the text format 0.0.4 and throws at whatever Prometheus would not take. */
function parse(text: string): Map<string, Family> {
  assert.ok(text.endsWith('\n'), 'the last line has no end')
  const families = new Map<string, Family>()
  const seen = new Set<string>()
  let help: [name: string, text: string] | undefined
  let current: [name: string, family: Family] | undefined
  for (const line of text.split('\n')) {
    if (line === '') continue
    const [, word, name = '', rest = ''] = /^# (HELP|TYPE) (\S+) (.+)$/.exec(line) ?? []
    if (word === 'HELP') {
      help = [name, rest]
    } else if (word === 'TYPE') {
      assert.ok(!families.has(name), `${name} comes twice`)
      assert.equal(help?.[0], name, `${name} has no help`)
      assert.match(rest, /^(?:counter|gauge|histogram|summary)$/)
      current = [name, { type: rest, help: help?.[1] ?? '', samples: [] }]
      families.set(...current)
    } else {
      const [, sample = '', labelText = '', number = ''] =
        SAMPLE.exec(line) ?? assert.fail(`cannot be read: ${line}`)
      assert.ok(
        current !== undefined && sample.startsWith(current[0]),
        `${sample} stands below ${current?.[0]}`,
      )
      const [family, { type, samples }] = current
      assert.match(sample.slice(family.length), SUFFIXES[type] ?? /^$/, sample)
      assert.ok(!seen.has(line.slice(0, line.lastIndexOf(' '))), `${line} comes twice`)
      seen.add(line.slice(0, line.lastIndexOf(' ')))
      const value = number === '+Inf' ? Number.POSITIVE_INFINITY : Number(number)
      assert.ok(number === 'Nan' || !Number.isNaN(value), `${line}: no number`)
      samples.push({ name: sample, labels: labelsOf(labelText), value })
    }
  }
  return families
}

function labelsOf(text: string): Record<string, string> {
  const labels: Record<string, string> = {}
  LABEL.lastIndex = 0
  for (let at = 0; at < text.length; at = LABEL.lastIndex) {
    const [, name = '', value = ''] = LABEL.exec(text) ?? assert.fail(`cannot be read: {${text}}`)
    assert.ok(!(name in labels), `${name} comes twice in {${text}}`)
    labels[name] = value
  }
  return labels
}

test('the figures of a node are what Prometheus reads, and count what happens', async (t) => {
  const api = await startTestApi(t, 'alice')
  const read = async () => {
    const answer = await api.ask('GET', '/metrics')
    assert.equal(answer.status, 200)
    assert.equal(answer.headers['content-type'], 'text/plain; version=0.0.4; charset=utf-8')
    return parse(answer.body)
  }
  const value = (families: Map<string, Family>, name: string, labels: Record<string, string> = {}) => {
    const samples = families.get(name)?.samples ?? assert.fail(`there is no ${name}`)
    return samples.find((sample) =>
      Object.entries(labels).every(([label, text]) => sample.labels[label] === text),
    )?.value
  }

  const alone = await read()
  assert.equal(value(alone, 'mao_federated'), 0)
  assert.equal(
    value(alone, 'mao_registry_records'),
    undefined,
    'a node without a registry counts its records',
  )
  assert.ok((value(alone, 'process_resident_memory_bytes') ?? 0) > 0)

  await api.node.createFederation({ name: 'lab' })
  await api.ask('PUT', '/api/v1/registry/entry', { key: '/shared/a-key-of-its-own', value: { text: 'x' } })
  await api.ask('PUT', '/api/v1/registry/entry', { key: '/local/a-key-of-its-own', value: { text: 'x' } })
  await api.ask('POST', '/api/v1/datasets', { name: 'air' })
  await api.node.federation.datasets.upkeep.usage('air')
  for (const path of ['/api/v1/datasets/nobodys', '/api/v1/nothing/at/all', '/elsewhere?x=1'])
    await api.ask('GET', path)
  await askRaw(`${api.url}/metrics`)
  const families = await read()
  const { registry, members } = api.node.federation
  assert.equal(value(families, 'mao_federated'), 1)
  assert.equal(value(families, 'mao_registry_revision'), registry.revision)
  assert.equal(value(families, 'mao_registry_records'), registry.index.size)
  assert.equal(value(families, 'mao_registry_keys'), registry.index.size + 1)
  const bytes = [...registry.index.within(EVERYTHING)].reduce((sum, { envelope }) => sum + envelope.length, 0)
  assert.equal(value(families, 'mao_registry_record_bytes'), bytes)
  assert.equal(value(families, 'mao_members'), members.list().length)
  assert.equal(value(families, 'mao_members_online'), 1)
  assert.equal(value(families, 'mao_market_listings'), 0)
  assert.equal(value(families, 'mao_tokens'), 0)
  assert.equal(value(families, 'mao_registry_members', { registry: 'differs' }), 0)
  assert.equal(value(families, 'mao_runs', { state: 'oom-killed' }), 0)
  const { bytes: airBytes } = await api.node.federation.datasets.upkeep.usage('air')
  assert.equal(value(families, 'mao_dataset_bytes', { dataset: 'air' }), airBytes)
  assert.equal(value(families, 'mao_datasets_bytes'), airBytes)
  assert.equal(value(families, 'mao_checkouts_bytes'), 0)
  assert.equal(value(families, 'mao_peers_connected'), 0)
  const route = '/api/v1/registry/entry'
  assert.equal(value(families, 'mao_http_requests_total', { method: 'PUT', route, status: '200' }), 2)
  assert.equal(
    value(families, 'mao_http_requests_total', { route: '/api/v1/datasets/:name', status: '404' }),
    1,
  )
  assert.equal(value(families, 'mao_http_requests_total', { route: 'other', status: '404' }), 2)
  assert.equal(value(families, 'mao_http_requests_total', { route: '/metrics', status: '401' }), 1)
  const latency = families
    .get('mao_http_request_duration_seconds')
    ?.samples.filter((s) => s.labels.route === route)
  const buckets = latency?.filter(({ name }) => name.endsWith('_bucket')) ?? []
  assert.equal(buckets.at(-1)?.labels.le, '+Inf')
  assert.ok(
    buckets.every((bucket, i) => bucket.value >= (buckets[i - 1]?.value ?? 0)),
    'buckets do not add up',
  )
  assert.equal(latency?.find(({ name }) => name.endsWith('_count'))?.value, 2)
})

test('names keep to the conventions, and no label holds what others make up', async (t) => {
  const api = await startTestApi(t, 'alice')
  await api.node.createFederation({ name: 'lab' })
  await api.ask('PUT', '/api/v1/registry/entry', { key: '/shared/a-key-of-its-own', value: { text: 'x' } })
  for (let n = 0; n < 50; n += 1) await api.ask('GET', `/made-up/${n}`)
  const { body } = await api.ask('GET', '/metrics')
  const families = parse(body)
  for (const [name, { type, samples }] of families) {
    assert.match(name, /^(?:mao|process|nodejs)_[a-z0-9_]+$/)
    if (!name.startsWith('mao_')) continue
    assert.equal(name.endsWith('_total'), type === 'counter', name)
    assert.doesNotMatch(name, /_(?:ms|milliseconds|kib|mib|count)$/, 'base units alone')
    for (const { labels } of samples) {
      for (const label of Object.values(labels))
        assert.doesNotMatch(label, /a-key-of-its-own|made-up|12D3Koo/)
    }
    assert.ok(samples.length < 300, `${name} has ${samples.length} series`)
  }
  // Two nodes in one process keep apart.
  const other = await startTestApi(t, 'bob')
  const theirs = parse((await other.ask('GET', '/metrics')).body)
  assert.equal(theirs.get('mao_federated')?.samples[0]?.value, 0)
  assert.equal(theirs.get('mao_http_requests_total')?.samples.length, 0)
})

test('what the rooms count of their work is told where they count it', async (t) => {
  const { node } = await startTestApi(t, 'alice')
  await node.createFederation({ name: 'lab' })
  const heard = new Set<(flush: Flush) => void>()
  const verdicts = new Map([['ACCEPTED', 3]])
  const meters: Meters = {
    verdicts,
    catchUps: { done: 2, failed: 1, accepted: 40, refused: 0 },
    gossip: { accept: 5, ignore: 6, reject: 7 },
    etcdCalls: new Map([['OK', 9]]),
    watchers: 4,
    historyChanges: 11,
    onFlush: (hear) => {
      heard.add(hear)
      return () => heard.delete(hear)
    },
  }
  const { peerId, marketplace, tokens } = node
  const counting: Partial<ApiNode> = {
    ...{ peerId, marketplace, tokens },
    hasFederation: true,
    federation: { ...node.federation, meters },
    connectedPeers: () => [],
    connections: () => [],
    onEvent: () => () => undefined,
  }
  const metrics = new NodeMetrics({ node: counting as ApiNode, watches: { open: 1 } })
  const stopping = new AbortController()
  metrics.follow(stopping.signal)
  for (const hear of heard) hear({ works: 3, durationMs: 4 })
  verdicts.set('STALE', 1)
  const families = parse(await metrics.text())
  const samples = (name: string) =>
    (families.get(name)?.samples ?? []).map(({ labels, value }) => [...Object.values(labels), value])
  assert.deepEqual(samples('mao_registry_verdicts_total'), [
    ['ACCEPTED', 3],
    ['STALE', 1],
  ])
  assert.deepEqual(samples('mao_sync_pulls_total'), [
    ['done', 2],
    ['failed', 1],
  ])
  assert.deepEqual(samples('mao_gossip_messages_total'), [
    ['accept', 5],
    ['ignore', 6],
    ['reject', 7],
  ])
  assert.deepEqual(samples('mao_etcd_calls_total'), [['OK', 9]])
  assert.deepEqual(samples('mao_registry_history_changes'), [[11]])
  const flushes = families.get('mao_registry_flush_duration_seconds')?.samples ?? []
  assert.equal(flushes.find(({ name }) => name.endsWith('_sum'))?.value, 0.004)
  // Read twice, it is counted once.
  assert.equal(parse(await metrics.text()).get('mao_etcd_calls_total')?.samples[0]?.value, 9)
  stopping.abort()
  assert.equal(heard.size, 0, 'nobody stopped hearing')
})
