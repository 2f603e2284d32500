import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { createContext, runInContext } from 'node:vm'
import { PAGE, page } from '../../src/web/page.ts'
import { SCRIPT } from '../../src/web/script.ts'
import { eventually } from '../support/eventually.ts'
import { FakeDocument } from '../support/fake-document.ts'

const HTML = { headers: { accept: 'text/html,application/xhtml+xml;q=0.9' } }
const HOSTILE = '<img src=x onerror=alert(1)>'
const OID = 'a'.repeat(40)

test('the page, its script and its style are served, each under the policy', async () => {
  const app = page()
  for (const [path, type] of [
    ['/', 'text/html; charset=utf-8'],
    ['/web/app.js', 'text/javascript; charset=utf-8'],
    ['/web/style.css', 'text/css; charset=utf-8'],
  ] as const) {
    const response = await app.request(path, HTML)
    assert.equal(response.status, 200, path)
    assert.equal(response.headers.get('content-type'), type)
    assert.equal(response.headers.get('x-content-type-options'), 'nosniff')
    const policy = response.headers.get('content-security-policy') ?? ''
    assert.match(policy, /default-src 'none'.*script-src 'self'.*frame-ancestors 'none'/)
    assert.doesNotMatch(policy, /unsafe/)
  }
})

test('who asks for no page is passed on', async () => {
  const app = page()
  app.get('/', (c) => c.json('hello'))
  assert.equal(await (await app.request('/')).json(), 'hello')
  assert.equal(await (await app.request('/', { headers: { accept: 'application/json' } })).json(), 'hello')
})

test('the page asks nothing of other hosts and inlines nothing', () => {
  assert.doesNotMatch(PAGE, /https?:|<style| style=| on\w+=/)
  for (const [, attributes = '', body = ''] of PAGE.matchAll(/<script([^>]*)>([^<]*)/g)) {
    assert.match(attributes, /src="\/web\//)
    assert.equal(body, '')
  }
  assert.match(PAGE, /<html lang="en">/)
  assert.match(PAGE, /<label for="token">/)
})

test('the script never makes markup of text', () => {
  assert.doesNotMatch(
    SCRIPT,
    /innerHTML|outerHTML|insertAdjacent|document\.write|DOMParser|\beval\b|new Function/,
  )
})

const names = (...first: string[]) => ({ count: first.length, first })
const WITHIN = { missing: names(), extra: names(), different: names() }
const REPORT = {
  round: {
    ...{ id: 'observations/assess/7', dataset: 'observations', step: 'assess', slot: 7, state: 'undecided' },
    ...{ trigger: 'request', cutoffMs: 1, electorate: [1, 2, 3], ballots: [], votes: [], quorum: 3 },
    mine: { votes: true, cast: true },
  },
  groups: [
    {
      tree: OID,
      peers: [
        { peer: 'A', name: 'alice' },
        { peer: 'B', name: HOSTILE },
      ],
    },
    { tree: 'b'.repeat(40), peers: [{ peer: 'C', name: 'carol' }] },
  ],
  contested: names('a.csv', HOSTILE),
  members: [
    { peer: 'A', name: 'alice', commit: OID, agrees: true, entries: [], ...WITHIN },
    {
      ...{ peer: 'C', name: 'carol', commit: OID, agrees: false, ...WITHIN, missing: names('lost.csv') },
      entries: [{ path: 't.csv', ...WITHIN, different: { count: 9, first: ['7', '8', '9', '10'] } }],
    },
    { peer: 'D', name: 'dave', commit: null, agrees: false, entries: [], ...WITHIN },
  ],
  agreement: { units: 4, percent: 0.5, fleissKappa: -0.125 },
  files: [{ path: 't.csv', contested: names('42'), agreement: { units: 3 }, notes: [] }],
  refusals: [HOSTILE],
  candidates: [],
}

/** What the node answers, by path; `calls` counts the questions. */
class FakeNode {
  readonly answers: Record<string, unknown> = {
    '/federation': {
      node: { name: 'alice', peer: '12D3KooWAlice', addresses: [], connectedPeers: 1 },
      federation: { id: 'maofed', name: 'observatory', description: HOSTILE, members: 2, role: 'operator' },
    },
    '/federation/members': [
      { peer: '12D3KooWAlice', name: 'alice', role: 'operator', since: 1, connected: true, self: true },
      { peer: '12D3KooWBob', name: HOSTILE, role: 'member', since: 1, connected: false, self: false },
    ],
    '/peers': {
      digest: 'e'.repeat(64),
      same: 0,
      differing: 1,
      unknown: 0,
      cluster: null,
      peers: [
        {
          peer: '12D3KooWBob',
          catchUp: { accepted: 0, pending: 0, done: true },
          registry: { state: 'differs', digest: 'f'.repeat(64), sinceMs: 1 },
        },
      ],
    },
    '/datasets': [
      {
        name: 'observations',
        description: HOSTILE,
        policy: 'shared',
        truth: OID,
        followed: true,
        why: `one of 2 wanted replicas ${HOSTILE}`,
        replicated: false,
        failures: [{ member: 'bob', code: 'QUOTA_EXCEEDED', reason: HOSTILE, nextAttemptMs: 1 }],
        refusals: [],
        replicas: {
          wanted: 2,
          actual: 1,
          current: 0,
          members: [
            { member: HOSTILE, complete: true, current: false },
            { member: 'carol', complete: false, current: false },
          ],
        },
        resets: [{ member: 'bob', branch: 'other-bob', reason: HOSTILE }],
        equivocations: [{ member: 'bob', sequence: 7 }],
        branches: [
          { branch: 'import-alice', commit: OID, member: 'alice', present: true },
          { branch: 'assess-alice', commit: 'b'.repeat(40), member: 'alice', present: true },
          { branch: 'assess-bob', commit: 'c'.repeat(40), member: 'bob', present: false },
          { branch: 'other-bob', commit: 'd'.repeat(40), member: 'bob', present: true },
        ],
      },
      {
        ...{ name: 'notes', description: '', policy: 'local-only', followed: true, why: 'local-only' },
        ...{ replicated: true, failures: [], refusals: [], resets: [], equivocations: [], branches: [] },
        replicas: { actual: 0, current: 0, members: [] },
      },
    ],
    '/datasets/notes/truth': {
      ...{ dataset: 'notes', commit: null, height: 0, signers: [], agreement: [] },
    },
    '/datasets/observations/truth': {
      dataset: 'observations',
      commit: OID,
      height: 2,
      round: 'observations/assess/7',
      signers: [{ name: 'bob' }, { name: 'alice' }],
      agreement: [
        { commit: 'b'.repeat(40), agrees: true, differences: { missing: [], extra: [], different: [] } },
        {
          commit: 'c'.repeat(40),
          agrees: false,
          differences: { missing: ['lost.csv'], extra: ['new.csv'], different: ['a.csv', 'b.csv'] },
        },
      ],
    },
    '/runs?limit=20': [
      {
        id: 'mi8q2w3e-9f3a',
        pipeline: 'weekly',
        state: 'failed',
        reason: HOSTILE,
        createdMs: 1,
        steps: [
          { name: 'collect', state: 'succeeded', report: { verdict: 'spike' } },
          { name: 'assess', state: 'failed' },
        ],
      },
    ],
    '/presence': [
      {
        ...{ peer: '12D3KooWAlice', name: 'alice', role: 'operator', self: true, online: true },
        ...{ startedMs: 1, version: '1.2.0', reachable: 'relayed', accepts: 'members' },
      },
      { peer: '12D3KooWBob', name: HOSTILE, role: 'member', self: false, online: false, version: HOSTILE },
    ],
    '/federation/requests': [
      { peer: '12D3KooWPete', name: 'pete', message: HOSTILE, contact: '', askedMs: 1, by: 'alice' },
      {
        ...{ peer: '12D3KooWMall', name: 'mall', message: '', contact: 'm@example.org', askedMs: 2 },
        ...{ by: 'alice', formerly: HOSTILE },
      },
      {
        ...{ peer: '12D3KooWGone', name: 'gone', message: '', contact: '', askedMs: 2, by: 'alice' },
        denied: { reason: 'no', atMs: 3 },
      },
    ],
    '/market?limit=50': [
      { kind: 'tool', name: 'skan', description: '', author: '12D3KooWAlice', standing: 'own', heardMs: 1 },
      {
        ...{ kind: 'tool', name: 'skan', description: HOSTILE, author: '12D3KooWEveEveEve' },
        ...{ standing: 'stranger', heardMs: 1 },
      },
      {
        ...{ kind: 'pipeline', name: 'clean', description: '', author: '12D3KooWBob', standing: 'member' },
        ...{ member: 'bob', heardMs: 1 },
      },
    ],
    '/schedules': [
      { pipeline: 'weekly', cron: '0 3 * * 1', timezone: 'Europe/Zurich', paused: false, nextMs: 1 },
      {
        ...{ pipeline: 'daily', cron: '0 3 * * *', paused: true },
        lastProblem: { slot: 1, kind: 'refused', reason: HOSTILE },
      },
    ],
    '/rounds': [
      {
        id: 'observations/assess/7',
        dataset: 'observations',
        step: 'assess',
        slot: 7,
        state: 'undecided',
        explanation: HOSTILE,
        quorum: 3,
        electorate: [1, 2, 3],
        ballots: [{ peer: 'A' }, { peer: 'B' }],
        votes: [],
        ...{
          trigger: 'request',
          cutoffMs: 1,
          mine: { votes: true, cast: true, waitsFor: 'the certificate' },
        },
      },
    ],
    '/rounds/observations/assess/7/report': REPORT,
  }
  /** What was said to the node, by path. */
  readonly said: Record<string, unknown> = {}
  /** Refuses what is said to it with this. */
  refusal: string | undefined
  readonly calls: Record<string, number> = {}
  /** Paths that the token does not open. */
  readonly forbidden = new Set<string>()
  token = 'right'
  tell: (text: string) => void = () => undefined

  readonly fetch = async (
    url: string,
    options: { headers: Record<string, string>; signal: AbortSignal; method?: string; body?: string },
  ) => {
    const path = url.replace('/api/v1', '')
    this.calls[path] = (this.calls[path] ?? 0) + 1
    if (options.headers.authorization !== `Bearer ${this.token}`) {
      return Response.json({ code: 'UNAUTHORIZED', detail: 'The token is not right' }, { status: 401 })
    }
    if (this.forbidden.has(path)) {
      return Response.json({ code: 'FORBIDDEN', detail: 'for operators' }, { status: 403 })
    }
    if (options.method === 'POST') {
      if (this.refusal !== undefined) return Response.json({ detail: this.refusal }, { status: 409 })
      this.said[path] = JSON.parse(options.body ?? '')
      return Response.json({})
    }
    if (path !== '/events') return Response.json(this.answers[path])
    const stream = new ReadableStream<Uint8Array>({
      start: (controller) => {
        this.tell = (text) => controller.enqueue(new TextEncoder().encode(text))
        this.tell('event: open\ndata: {"missed":false}\n\n')
        options.signal.addEventListener('abort', () => controller.error(new Error('gone')))
      },
    })
    return new Response(stream)
  }
}

/** The script in a world of its own, which has what it may use and nothing else. */
function openPage(t: TestContext, node: FakeNode, remembered?: string) {
  const document = new FakeDocument(PAGE)
  const store = new Map<string, string>(remembered === undefined ? [] : [['mao-token', remembered]])
  const sessionStorage = {
    getItem: (key: string) => store.get(key) ?? null,
    setItem: (key: string, value: string) => void store.set(key, value),
    removeItem: (key: string) => void store.delete(key),
  }
  const timers = { setTimeout, setInterval, clearInterval }
  const platform = { AbortController, AbortSignal, TextDecoder, fetch: node.fetch, ...timers }
  runInContext(SCRIPT, createContext({ document, sessionStorage, ...platform }))
  // Ends the page's timers with the test.
  t.after(() => document.at('sign-out').fire('click'))
  const text = (id: string) => document.at(id).textContent
  return { document, store, text }
}

test('with the token the page shows the node, all of it as text', async (t) => {
  const { document, store, text } = openPage(t, new FakeNode())
  assert.equal(document.at('rooms').hidden, true)
  document.at('token').value = ' right '
  document.at('sign-in').fire('submit')
  const rooms = ['rounds', 'datasets', 'presence', 'requests', 'schedules', 'market']
  await eventually(() => rooms.every((room) => text(room) !== ''), 'the page stayed empty')
  assert.deepEqual([...store], [['mao-token', 'right']])
  assert.equal(document.at('token').value, '', 'the token stays in no field')
  assert.match(
    text('federation'),
    /observatory.*alice \(this node\)operator✓ onlinee{12}.*○ not connected✗ differs since /,
  )
  assert.match(
    text('datasets'),
    /Ground truth: a{40} \(certificate 2, round observations\/assess\/7, signed by alice, bob\)/,
  )
  assert.match(
    text('datasets'),
    /Policy: shared\. Copied here: ✗ not the branches of bob: .*\(QUOTA_EXCEEDED; next attempt /,
  )
  assert.match(text('datasets'), /Copies: … 1 of 2 wanted, 0 up to date \(/)
  // What never leaves the node has no copies to be counted.
  assert.match(
    text('datasets'),
    /notesGround.*Policy: local-only\. Copied here: ✓ yes: local-only\.No member/,
  )
  assert.match(text('datasets'), /✗ bob signed two heads as its number 7… bob has rewritten other-bob: /)
  assert.match(text('datasets'), /import-alicea{10}✓ ground truth✓ here/)
  assert.match(text('datasets'), /assess-aliceb{10}✓ agrees✓ here/)
  assert.match(text('datasets'), /assess-bobc{10}✗ differs: a.csv, b.csv, −lost.csv, …… not here yet/)
  assert.match(text('datasets'), /other-bobd{10}○ not compared yet✓ here/)
  assert.match(text('runs'), /weekly.*✗ failed.*collect: ✓ succeeded, ✗ spikeassess: ✗ failed/)
  assert.match(text('rounds'), /✗ undecided.*2 of 30 \(3 needed\)/)
  assert.match(
    text('rounds'),
    /Agreement: two ballots have the same in 50\.0% of cases, Fleiss’ kappa -0\.13, over 4 files/,
  )
  assert.match(text('rounds'), /… contested: a\.csv, .*… contested in t\.csv: 42/)
  assert.match(text('rounds'), /2 of 3alice, .*a{10}1 of 3carolb{10}/)
  assert.match(
    text('rounds'),
    /carola{10}✗ differslacks lost\.csv; t\.csv: differs in 7, 8, 9 and 6 moredave–○ no ballot counted/,
  )
  assert.equal(text('ballots'), 'No ballot waits for a person here.')
  assert.match(text('presence'), /alice \(this node\)✓ there.*1\.2\.0through a relaymembers/)
  assert.match(text('presence'), /○ not seen yet–/)
  assert.match(text('requests'), /pete.*✗ a former member: .*m@example\.org.*maoctl federation approve/)
  assert.doesNotMatch(text('requests'), /gone/)
  assert.match(
    text('schedules'),
    /weekly0 3 \* \* 1 \(Europe\/Zurich\)✓ next .*daily0 3 \* \* \*○ paused✗ refused: /,
  )
  assert.match(text('market'), /toolskan✓ this node.*toolskan○ no member: 12D3KooWEve.*pipelineclean✓ bob/)
  for (const room of [
    'federation',
    'presence',
    'requests',
    'datasets',
    'runs',
    'schedules',
    'rounds',
    'market',
  ]) {
    assert(text(room).includes(HOSTILE), `${room} shows the hostile text as it is`)
    assert([...document.at(room).all()].every(({ tag }) => tag !== 'img'))
  }
  await eventually(() => text('status') === 'Live.', 'the page never heard of events')
})

test('what happens on the node is shown without asking for the rest again', async (t) => {
  const node = new FakeNode()
  const { text } = openPage(t, node, 'right')
  await eventually(() => text('runs') !== '' && text('status') === 'Live.', 'the page stayed empty')
  const before = node.calls['/rounds']
  node.answers['/runs?limit=20'] = []
  node.tell(': still here\n\nevent: run\nda')
  node.tell('ta: {"type":"run"}\n\n')
  await eventually(() => text('runs') === 'No run on this node yet.', 'the change was never shown')
  assert.equal(node.calls['/rounds'], before)
})

test('a person chooses whose result is the ballot, is asked once more, and keeps the choice while others cast', async (t) => {
  const node = new FakeNode()
  const id = 'observations/assess/7'
  const round = {
    ...{ ...REPORT.round, state: 'open', trigger: 'hand', cutoffMs: Date.now() + 60_000 },
    mine: { votes: true, cast: false },
  }
  const candidates = [
    { peer: 'A', name: 'alice', commit: OID, tree: OID },
    { peer: 'B', name: HOSTILE, commit: OID, tree: OID },
    { peer: 'C', name: 'carol', commit: 'c'.repeat(40) },
  ]
  node.answers['/rounds'] = [round]
  node.answers[`/rounds/${id}/report`] = { ...REPORT, round, candidates, groups: [], members: [] }
  const { document, text } = openPage(t, node, 'right')
  const find = (tag: string, said = '') =>
    [...document.at('ballots').all()].find((each) => each.tag === tag && each.textContent.includes(said))
  await eventually(
    () => find('form') !== undefined && text('status') === 'Live.',
    'there was nothing to cast',
  )
  const [form, select] = [find('form'), find('select')]
  assert.ok(form !== undefined && select !== undefined)
  assert.equal(find('label')?.attributes.for, select.attributes.id)
  assert.equal(
    select.textContent,
    `alice (the same as ${HOSTILE})${HOSTILE} (the same as alice)carol (not here yet)`,
  )
  select.value = 'C'
  form.fire('submit')
  const yes = find('button', 'Yes')
  assert.equal(yes?.attributes.focused, 'yes')
  assert.match(text('ballots'), /Cast carol’s result\? A ballot is cast once in a round, and stays\./)
  assert.deepEqual(node.said, {}, 'nothing is cast before the second yes')

  const asked = node.calls[`/rounds/${id}/report`] ?? 0
  node.tell('event: round\ndata: {}\n\n')
  await eventually(() => (node.calls[`/rounds/${id}/report`] ?? 0) > asked + 1, 'the page never looked again')
  assert.equal(find('select'), select, 'the choice is not taken away')

  node.refusal = 'This node has cast its ballot'
  yes?.fire('click')
  await eventually(
    () => text('ballots').includes('Not cast: This node has cast its ballot'),
    'the refusal was not told',
  )
  node.refusal = undefined
  yes?.fire('click')
  await eventually(
    () => text('status').includes(`The ballot of this node in ${id} is cast.`),
    'it was never cast',
  )
  assert.deepEqual(node.said, { [`/rounds/${id}/ballot`]: { candidate: 'C' } })
})

test('a token that is not accepted is forgotten and asked for again', async (t) => {
  const { document, store, text } = openPage(t, new FakeNode(), 'wrong')
  await eventually(() => !document.at('sign-in').hidden, 'the page never asked for the token')
  assert.equal(text('status'), 'The node does not accept this token.')
  assert.equal(document.at('rooms').hidden, true)
  assert.equal(store.size, 0)
})

test('a node in no federation says how to be in one', async (t) => {
  const node = new FakeNode()
  node.answers['/federation'] = {
    node: { name: 'alice', peer: '12D3KooWAlice', addresses: [], connectedPeers: 0 },
    federation: null,
  }
  const { text } = openPage(t, node, 'right')
  await eventually(() => text('federation').includes('maoctl federation create'), 'the way was never shown')
  assert.equal(node.calls['/datasets'], undefined)
  // What others offer is heard all the same.
  await eventually(() => text('market').includes('skan'), 'the market was never shown')
})

test('a token that does not open the requests sees the rest', async (t) => {
  const node = new FakeNode()
  node.forbidden.add('/federation/requests')
  const { text } = openPage(t, node, 'right')
  await eventually(() => text('requests') === 'An operator sees them here.', 'the words never came')
  await eventually(() => text('presence').includes('alice'), 'the presences were never shown')
})

test('signing out takes everything from the screen', async (t) => {
  const { document, store, text } = openPage(t, new FakeNode(), 'right')
  await eventually(() => text('runs') !== '', 'the page stayed empty')
  document.at('sign-out').fire('click')
  assert.deepEqual([text('runs'), text('node'), store.size], ['', '', 0])
  assert.equal(document.at('sign-in').hidden, false)
})
