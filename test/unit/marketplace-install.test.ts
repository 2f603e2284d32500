import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Pipeline, parsePipeline } from '../../src/execution/catalogue/pipeline.ts'
import type { Tool } from '../../src/execution/catalogue/tool.ts'
import { asksOf } from '../../src/marketplace/asks.ts'
import { choose, oneOfEachName, type StandingOf, withinBounds } from '../../src/marketplace/choosing.ts'
import { type InstallWish, type InstallWorld, planInstall } from '../../src/marketplace/install-plan.ts'
import type { HeldListing, Listing } from '../../src/marketplace/listing.ts'
import { plainListing } from '../support/listings.ts'

/** `me` is this node, `amy` and `ben` are members, everybody else is a stranger. */
const standingOf: StandingOf = (author) => {
  if (author === 'me') return 'own'
  return author === 'amy' || author === 'ben' ? 'member' : 'stranger'
}

const step = { name: 'count', tool: 'counter', input_dataset: 'names', output_dataset: 'counts' }
const pipeline = (author: string, steps: readonly object[] = [step]) =>
  plainListing({ kind: 'pipeline', name: 'survey', author, body: { steps } })
const tool = (author: string, image = 'lab/counter:1') =>
  plainListing({ name: 'counter', author, body: { image } })

interface Here {
  tools?: Record<string, Tool>
  pipelines?: Record<string, Pipeline>
  datasets?: Record<string, string>
}

function plan(listings: readonly HeldListing[], wish: Partial<InstallWish> = {}, here: Here = {}) {
  const world: InstallWorld = {
    standingOf,
    listed: (kind, name) => listings.filter((each) => each.kind === kind && each.name === name),
    tool: (name) => here.tools?.[name],
    pipeline: (name) => here.pipelines?.[name],
    dataset: (name) => here.datasets?.[name],
  }
  return planInstall({ pipeline: 'survey', shareNames: true, ...wish }, world)
}

test("a member's pipeline brings its tools, and its datasets empty and local", () => {
  const planned = plan([pipeline('amy'), tool('amy')])
  assert.deepEqual(planned.blocked, [])
  assert.deepEqual([planned.state, planned.done, planned.told], ['add', false, ['names', 'counts']])
  assert.partialDeepStrictEqual(planned.tools, [
    { name: 'counter', state: 'add', image: 'lab/counter:1', source: { author: 'amy', standing: 'member' } },
  ])
  assert.deepEqual(planned.datasets, [
    { name: 'names', state: 'empty', policy: 'local-only' },
    { name: 'counts', state: 'empty', policy: 'local-only' },
  ])
  assert.match(plan([pipeline('amy'), tool('amy')], { shareNames: false }).blocked.join(), /names, counts/)
  const shared = plan([pipeline('amy'), tool('amy')], { shareNames: false, datasets: 'shared' })
  assert.deepEqual([shared.blocked, shared.told], [[], []])
})

test('what is there stays: the same is nothing to do, another image is told, another pipeline is in the way', () => {
  const listings = [pipeline('amy'), tool('amy')]
  const steps = plan(listings).steps as Pipeline['steps']
  const datasets = { names: 'shared', counts: 'shared' }
  const same = {
    tools: { counter: { author: '', image: 'lab/counter:1' } },
    pipelines: { survey: { steps } },
    datasets,
  }
  assert.partialDeepStrictEqual(plan(listings, {}, same), { state: 'here', done: true, blocked: [] })
  const other = { ...same, tools: { counter: { author: '', image: 'ours:2' } } }
  assert.partialDeepStrictEqual(plan(listings, {}, other).tools, [
    { state: 'differs', image: 'ours:2', listed: 'lab/counter:1' },
  ])
  const changed = steps.map((each) => ({ ...each, cmd: ['x'] }))
  const inTheWay = plan(listings, {}, { ...same, pipelines: { survey: { steps: changed } } })
  assert.equal(inTheWay.state, 'differs')
  assert.match(inTheWay.blocked.join(), /another pipeline named survey/)
})

test('a stranger is never taken without being named, and never preferred to a member', () => {
  const stranger = [pipeline('eve'), tool('eve')]
  const [why = ''] = plan(stranger).blocked
  assert.match(why, /eve, who is no member of this federation; .* --author eve/)
  assert.deepEqual(plan(stranger, { author: 'eve' }).blocked, [])
  // A squatter, however long it has been known, does not come before a member.
  const squatted = [...stranger.map((each) => ({ ...each, heardMs: 0 })), pipeline('amy'), tool('amy')]
  const planned = plan(squatted)
  assert.deepEqual([planned.blocked, planned.source?.author], [[], 'amy'])
  assert.deepEqual(
    planned.tools.map(({ source }) => source?.author),
    ['amy'],
  )
})

test('between two members, or two strangers, nobody guesses', () => {
  for (const pair of [
    ['amy', 'ben'],
    ['eve', 'mallory'],
  ] as const) {
    const planned = plan(pair.map((author) => pipeline(author)))
    assert.equal(planned.state, 'unclear')
    assert.match(
      planned.blocked.join(),
      new RegExp(`2 authors list a pipeline named survey: ${pair[0]} .*${pair[1]} .*--author`),
    )
  }
  assert.match(
    plan([pipeline('amy')], { author: 'zoe' }).blocked.join(),
    /zoe lists no pipeline named survey/,
  )
  assert.equal(plan([]).state, 'unknown')
})

test("a tool is its pipeline's author's; from a stranger who did not list the pipeline it has to be named", () => {
  const fromEve = [pipeline('amy'), tool('eve')]
  assert.match(plan(fromEve).blocked.join(), /--tool-author counter=eve/)
  assert.deepEqual(plan(fromEve, { toolAuthors: { counter: 'eve' } }).blocked, [])
  const both = [pipeline('eve'), tool('eve', 'eve/counter:1'), tool('mallory', 'bad:1')]
  assert.equal(plan(both, { author: 'eve' }).tools[0]?.image, 'eve/counter:1')
  assert.match(plan([pipeline('amy')]).blocked.join(), /nobody lists a tool named counter/)
})

test('what a listing says of the labels of an image is left behind; filters bring their tools; rights are told', () => {
  const service = { name: 'counter', version: '1', inputs: [], outputs: [], image: 'x' }
  const lying = plainListing({ name: 'counter', author: 'amy', body: { image: 'lab/counter:1', service } })
  const asking = {
    ...step,
    docker_socket: true,
    network: 'bridge',
    env: { KEY: '{{ MAO_PRIVATE_VARIABLE }}' },
  }
  const filtered = { ...asking, filter: { tool: 'sieve' } }
  const sieve = plainListing({ name: 'sieve', author: 'amy', body: { image: 'lab/sieve:1' } })
  const planned = plan([pipeline('amy', [filtered]), lying, sieve])
  assert.deepEqual(
    planned.tools.map(({ name, tool: made }) => [name, made?.service]),
    [
      ['counter', undefined],
      ['sieve', undefined],
    ],
  )
  assert.equal(planned.asks.length, 3, planned.asks.join('; '))
})

test('a dataset comes from the upstream that its listing names, where a member or the author of the pipeline lists it', () => {
  const data = (author: string, upstream = 'https://git.example.org/names') =>
    plainListing({ kind: 'dataset', name: 'names', author, body: { upstream, branch: 'data' } })
  const listings = [pipeline('amy'), tool('amy')]
  const upstream = { url: 'https://git.example.org/names', branch: 'data' }
  assert.partialDeepStrictEqual(plan([...listings, data('ben')]).datasets[0], { state: 'upstream', upstream })
  assert.equal(plan([...listings, data('eve')]).datasets[0]?.state, 'empty')
  assert.equal(plan([...listings, data('amy', 'ext::sh -c x')]).datasets[0]?.state, 'empty')
})

test('what is done is what was shown: anything else has another fingerprint', () => {
  const listings = [pipeline('amy'), tool('amy')]
  const { fingerprint } = plan(listings)
  assert.equal(plan(listings).fingerprint, fingerprint)
  assert.notEqual(plan([pipeline('amy'), tool('amy', 'lab/counter:2')]).fingerprint, fingerprint)
})

test('a pipeline that could not be registered is no plan', () => {
  const twice = pipeline('amy', [step, step])
  assert.match(plan([twice, tool('amy')]).blocked.join(), /another step is named count/)
})

test('each name once: own, then members, then who is known longest', () => {
  const at = (author: string, name: string, heardMs: number): HeldListing => ({
    ...(plainListing({ author, name }) satisfies Listing),
    heardMs,
  })
  const heard = [
    at('eve', 'a', 1),
    at('amy', 'a', 9),
    at('me', 'b', 9),
    at('amy', 'b', 1),
    at('eve', 'c', 5),
    at('zoe', 'c', 4),
  ]
  const once = oneOfEachName(heard, standingOf).map(({ name, author }) => `${name} ${author}`)
  assert.deepEqual(once, ['b me', 'a amy', 'c zoe'])
  assert.equal(choose(heard.slice(4), standingOf, undefined).listing, undefined)
  // Where not all of them are told, those go that are known least, and the order stays.
  const told = (max: number) =>
    withinBounds(heard, standingOf, max).map(({ name, author }) => `${name} ${author}`)
  assert.deepEqual(told(4), ['a eve', 'a amy', 'b me', 'b amy'])
  assert.deepEqual(told(6).length, 6)
})

test('all that a step asks for beyond a box without rights is named', () => {
  const { pipeline } = parsePipeline({
    steps: [
      {
        ...{
          name: 'a',
          tool: 'a',
          cmd: null,
          env: { K: '{{ MAO_PRIVATE_VARIABLE }}', L: 'x' },
          docker_socket: true,
        },
        ...{ output_dataset: 'out', network: 'bridge', root: 'writable', publish: ['zenodo', 'osf'] },
      },
      { name: 'b', tool: 'b', output_dataset: 'out', network: 'none', root: 'read-only' },
    ],
  })
  assert.deepEqual(asksOf(pipeline.steps), [
    'step a: the Docker socket, and with it this machine',
    'step a: the network (bridge)',
    'step a: to change all files of its container (root: writable)',
    'step a: to publish its results through zenodo, osf',
    'step a: the secret K',
  ])
})
