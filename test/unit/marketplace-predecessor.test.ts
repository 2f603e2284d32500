import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hubBytesMax, hubEntriesMax, importEntriesOfMarketMax } from '../../src/base/limits.ts'
import { type MarketKind, readMarketFile, writeMarketFile } from '../../src/marketplace/predecessor.ts'
import { plainListing } from '../support/listings.ts'

const files: Record<MarketKind, object[]> = {
  federation: [{ name: 'observatory', description: 'Artefacts', contacts: ['o@example.org'] }],
  tool: [
    {
      ...{ name: 'collect', author: 'Amy', image: 'lab/collect:1', data_repo: 'https://example.org/d' },
      ...{ code_repo: 'https://example.org/c', artefact: 'packages', description: 'Reads manifests' },
    },
  ],
  pipeline: [
    {
      ...{ name: 'survey', description: 'Counts' },
      steps: [
        {
          ...{ name: 'count', tool: 'collect', cmd: null, env: { LIMIT: '5' }, docker_socket: false },
          ...{ input_dataset: null, output_dataset: 'counts' },
        },
      ],
    },
  ],
}

for (const [kind, entries] of Object.entries(files) as [MarketKind, object[]][]) {
  test(`a file of ${kind}s comes out as it went in, byte for byte`, () => {
    const { offers, leftOut } = readMarketFile(kind, JSON.stringify(entries))
    assert.deepEqual(leftOut, [])
    const listings = offers.map((offer) => plainListing(offer))
    assert.equal(JSON.stringify(writeMarketFile(kind, listings, () => 'own')), JSON.stringify(entries))
  })
}

test('a bad entry is named and left out, and spoils no other', () => {
  const bad = [
    { name: 'Not A Name', image: 'a:1' },
    { name: 'no-image' },
    'a text',
    { name: 'collect', image: 'other:1' },
    { name: 'odd', image: 'Not An Image' },
    { name: 'nulls', image: 'a:1', author: null, data_repo: null, surprise: 7 },
  ]
  const { offers, leftOut } = readMarketFile('tool', JSON.stringify([...files.tool, ...bad]))
  assert.deepEqual(
    offers.map(({ name }) => name),
    ['collect', 'nulls'],
  )
  assert.deepEqual(
    leftOut.map(({ entry }) => entry),
    ['entry 2 (Not A Name)', 'entry 3 (no-image)', 'entry 4', 'entry 5 (collect)', 'entry 6 (odd)'],
  )
  assert.match(
    leftOut.map(({ why }) => why).join('\n'),
    /lower-case.*\nimage: .*\n.*\nan earlier entry.*\n.*image is written like/s,
  )
  const steps = [{ name: 'count', tool: 'collect', output_dataset: 'x', surprise: 1 }]
  assert.match(
    readMarketFile('pipeline', JSON.stringify([{ name: 'p', steps }])).leftOut[0]?.why ?? '',
    /step 1 \(count\).*surprise/,
  )
})

test('what is no such file is refused as a whole', () => {
  for (const text of ['', '{"name": "x"}', 'null', '<html>']) {
    assert.throws(() => readMarketFile('tool', text), { code: 'INVALID_INPUT' }, text)
  }
  const many = Array.from({ length: importEntriesOfMarketMax + 1 }, () => ({}))
  assert.throws(() => readMarketFile('tool', JSON.stringify(many)), { code: 'TOO_LARGE' })
})

test('an old installer is given nothing that it would run otherwise than it is meant', () => {
  const step = { name: 'count', tool: 'collect', output_dataset: 'counts' }
  const steps = [{ ...step, filter: { tool: 'sieve' } }]
  const listed = [
    plainListing({ kind: 'pipeline', name: 'filtered', body: { steps } }),
    plainListing({ kind: 'pipeline', name: 'larger', body: { steps: [{ ...step, timeoutMs: 5_000 }] } }),
  ]
  const written = writeMarketFile('pipeline', listed, () => 'stranger')
  assert.deepEqual(
    written.map(({ name }) => name),
    ['larger'],
  )
  const [old] = written as { steps: object[] }[]
  assert.deepEqual(Object.keys(old?.steps[0] ?? {}), [
    ...['name', 'tool', 'cmd', 'env', 'docker_socket', 'input_dataset', 'output_dataset'],
  ])
})

test('more is told to who asks for it, and a file has its bounds', () => {
  const listing = plainListing({
    ...{ kind: 'federation', name: 'x', author: 'amy' },
    body: { federation: 'maox', contacts: [], addresses: ['/ip4/1.2.3.4/tcp/1/p2p/a'], name: 'y' },
  })
  const [more] = writeMarketFile('federation', [listing], () => 'own', true)
  assert.partialDeepStrictEqual(more, { name: 'x', federation: 'maox', listed_by: 'amy' })
  const many = Array.from({ length: hubEntriesMax + 5 }, (_, n) => plainListing({ name: `t${n}` }))
  assert.equal(writeMarketFile('tool', many, () => 'stranger').length, hubEntriesMax)
  const large = many.map((each) => ({ ...each, description: 'x'.repeat(8_000) }))
  assert(JSON.stringify(writeMarketFile('tool', large, () => 'stranger')).length <= hubBytesMax * 1.01)
})
