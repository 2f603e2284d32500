import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  DAY_MS,
  hubBytesMax,
  hubEntriesMax,
  hubKeptMs,
  hubUnchangedMs,
  importEntriesOfMarketMax,
} from '../../src/base/limits.ts'
import { HubFiles } from '../../src/marketplace/hub-files.ts'
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
  const written = writeMarketFile('pipeline', listed, () => 'member')
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
  const [more] = writeMarketFile('federation', [listing], () => 'own', { more: true })
  assert.partialDeepStrictEqual(more, { name: 'x', federation: 'maox', listed_by: 'amy', standing: 'own' })
  const many = Array.from({ length: hubEntriesMax + 5 }, (_, n) => plainListing({ name: `t${n}` }))
  assert.equal(writeMarketFile('tool', many, () => 'member').length, hubEntriesMax)
  const large = many.map((each) => ({ ...each, description: 'x'.repeat(8_000) }))
  assert(JSON.stringify(writeMarketFile('tool', large, () => 'member')).length <= hubBytesMax * 1.01)
})

/** Of `own`, of the member `bob`, and of whoever else comes. */
const standingOf = (author: string) => (author === 'own' || author === 'bob' ? KNOWN[author] : 'stranger')
const KNOWN = { own: 'own', bob: 'member' } as const

test('neither a flood of names nor a squatter comes before whom a node knows', () => {
  const flood = Array.from({ length: 2_000 }, (_, n) => {
    return plainListing({ name: `0${String(n).padStart(4, '0')}`, author: `eve${n % 20}`, heardMs: 1 })
  })
  const tool = (name: string, author: string, heardMs: number) =>
    plainListing({ name, author, heardMs, body: { image: `${author}/${name}:1` } })
  const heard = [...flood, tool('skan', 'eve0', 0), tool('skan', 'own', 9), tool('clean', 'bob', 9)]
  const imagesIn = (entries: readonly Record<string, unknown>[]) =>
    entries.map(({ image }) => image).filter((image) => image !== 'collect:1')

  // Old installers have no word for whose tool they mean, so a stranger's is none that they are given.
  const plain = writeMarketFile('tool', heard, standingOf)
  assert.deepEqual([plain.length, imagesIn(plain)], [2, ['bob/clean:1', 'own/skan:1']])
  for (const how of [{ more: true }, { strangersAtMs: 2 * DAY_MS }]) {
    const all = writeMarketFile('tool', heard, standingOf, how)
    assert.deepEqual([all.length, imagesIn(all)], [hubEntriesMax, ['bob/clean:1', 'own/skan:1']])
    const names = all.map(({ name }) => name)
    assert.deepEqual(names, [...names].sort())
  }
  const federations = heard.map((each) => ({ ...each, kind: 'federation' as const }))
  assert.equal(writeMarketFile('federation', federations, standingOf).length, hubEntriesMax)
})

test("where strangers' tools are given out, it is those that are known and that nobody contests", () => {
  const tool = (name: string, author: string, heardMs: number) => plainListing({ name, author, heardMs })
  const heard = [
    ...[tool('new', 'amy', DAY_MS + 2), tool('known', 'amy', DAY_MS)],
    // Heard together, nobody can tell who was there first.
    ...[tool('contested', 'amy', 1), tool('contested', 'eve', 2)],
    ...[tool('squatted', 'amy', 1), tool('squatted', 'eve', DAY_MS + 1)],
  ]
  const names = (strangersAtMs?: number) =>
    writeMarketFile('tool', heard, standingOf, { strangersAtMs }).map(({ name }) => name)
  assert.deepEqual(names(2 * DAY_MS), ['known', 'squatted'])
  assert.deepEqual(names(), [])
})

test('a file is written anew when its listings are others, and not for everybody who asks', () => {
  const changes = { own: 0, all: 0 }
  const clock = { nowMs: 0, now: () => clock.nowMs }
  let written = 0
  const list = () => {
    written += 1
    return [plainListing({ name: `t${written}` })]
  }
  const files = new HubFiles({ market: { list, standingOf: () => 'own', changes }, clock, strangers: false })
  const asked = (afterMs: number) => {
    clock.nowMs += afterMs
    return JSON.parse(files.text('tool', false))[0].name
  }
  assert.deepEqual([asked(0), asked(0), asked(hubKeptMs)], ['t1', 't1', 't1'])
  changes.all += 1
  assert.deepEqual([asked(0), asked(0)], ['t2', 't2'])
  // A flood of changes by others is looked at now and then; one's own word counts at once.
  changes.all += 1
  assert.equal(asked(hubKeptMs - 1), 't2')
  changes.own += 1
  assert.equal(asked(0), 't3')
  changes.all += 1
  assert.deepEqual([asked(0), asked(hubKeptMs)], ['t3', 't4'])
  // Listings end without a word.
  assert.deepEqual([asked(hubUnchangedMs - 1), asked(1)], ['t4', 't5'])
  assert.equal(files.text('tool', true) === files.text('tool', false), false)
})
