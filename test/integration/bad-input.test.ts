import assert from 'node:assert/strict'
import { type AddressInfo, createServer } from 'node:net'
import { test } from 'node:test'
import type { RunView } from '../../src/api/run-views.ts'
import type { ConfigInput } from '../../src/config.ts'
import { decodeInvitation, encodeInvitation } from '../../src/federation/invitations.ts'
import { requestAdmission } from '../../src/federation/join.ts'
import { registryTopic } from '../../src/registry/gossip-replication.ts'
import { askRaw, problemIn, startTestApi, type TestApi } from '../support/api.ts'
import { eventually } from '../support/eventually.ts'
import { startTestNode } from '../support/quiet-node.ts'
import { sealRecord } from '../support/records.ts'
import { startRegistryNode } from '../support/registry-node.ts'

/** What a person, a peer or the machine may do wrong: each told with its code, nothing lost, the node up. */
async function observatory(t: Parameters<typeof startTestApi>[0], config: ConfigInput = {}) {
  const alice = await startTestApi(t, 'alice', config)
  await alice.node.createFederation({ name: 'lab' })
  for (const name of ['manifests', 'counts']) await made(alice, '/datasets', { name })
  await made(alice, '/tools', { name: 'shell', image: 'mao-test/not-here:1' })
  const steps = [{ name: 'count', tool: 'shell', input_dataset: 'manifests', output_dataset: 'counts' }]
  assert.equal((await addPipeline(alice, JSON.stringify(steps))).status, 201)
  return alice
}

async function made({ ask }: TestApi, path: string, value: unknown): Promise<void> {
  const answer = await ask('POST', `/api/v1${path}`, value)
  assert.equal(answer.status, 201, answer.body)
}

function addPipeline({ url, token }: TestApi, body: string, name = 'counting') {
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/yaml' }
  return askRaw(`${url}/api/v1/pipelines?name=${encodeURIComponent(name)}`, { method: 'POST', headers, body })
}

async function digestOf({ ask }: TestApi): Promise<string> {
  const answer = await ask('GET', '/api/v1/registry/digest')
  assert.equal(answer.status, 200, answer.body)
  return (JSON.parse(answer.body) as { digest: string }).digest
}

async function endedRun({ ask }: TestApi, pipeline: string): Promise<RunView> {
  const submitted = await ask('POST', '/api/v1/runs', { pipeline })
  assert.equal(submitted.status, 201, submitted.body)
  const { id } = JSON.parse(submitted.body) as RunView
  let run: RunView | undefined
  const ended = async () => {
    run = JSON.parse((await ask('GET', `/api/v1/runs/${id}`)).body) as RunView
    return run.endedMs !== undefined
  }
  await eventually(ended, 'the run never ended', 60_000)
  return run as RunView
}

test('whatever is not known is told as such, and nothing comes of it', async (t) => {
  const alice = await observatory(t)
  const before = await digestOf(alice)
  const round = { dataset: 'absent', step: 'count' }
  const wrong: [code: string, method: string, path: string, value?: unknown][] = [
    ['TOOL_NOT_FOUND', 'GET', '/tools/absent'],
    ['TOOL_NOT_FOUND', 'DELETE', '/tools/absent'],
    ['TOOL_NOT_FOUND', 'POST', '/tools/absent/accept-image'],
    ['DATASET_NOT_FOUND', 'GET', '/datasets/absent'],
    ['DATASET_NOT_FOUND', 'GET', '/datasets/absent/log'],
    ['DATASET_NOT_FOUND', 'GET', '/datasets/absent/truth'],
    ['DATASET_NOT_FOUND', 'POST', '/rounds', round],
    ['PIPELINE_NOT_FOUND', 'GET', '/pipelines/absent'],
    ['PIPELINE_NOT_FOUND', 'DELETE', '/pipelines/absent'],
    ['PIPELINE_NOT_FOUND', 'POST', '/runs', { pipeline: 'absent' }],
    ['PIPELINE_NOT_FOUND', 'POST', '/schedules', { pipeline: 'absent', cron: '0 3 * * *' }],
    ['SCHEDULE_NOT_FOUND', 'DELETE', '/schedules/counting'],
    ['RUN_NOT_FOUND', 'GET', '/runs/absent'],
    ['RUN_NOT_FOUND', 'GET', '/runs/absent/logs'],
    ['RUN_NOT_FOUND', 'GET', '/runs/absent/crate'],
    ['RUN_NOT_FOUND', 'POST', '/runs/absent/cancel'],
    ['ROUND_NOT_FOUND', 'GET', '/rounds/counts/count/1'],
    ['INVALID_INPUT', 'GET', '/runs?state=sleeping'],
    ['INVALID_INPUT', 'GET', '/events?types=run,weather'],
  ]
  for (const [code, method, path, value] of wrong) {
    const problem = problemIn(await alice.ask(method, `/api/v1${path}`, value))
    assert.equal(problem.code, code, `${method} ${path}: ${problem.detail}`)
  }
  const unknown = 'steps:\n- {name: a, tool: lost-tool, output_dataset: lost-data}\n'
  assert.match(
    problemIn(await addPipeline(alice, unknown)).detail,
    /no tool is named lost-tool; no dataset is named lost-data/,
  )
  assert.equal(await digestOf(alice), before)
})

test('a name, a YAML or a cron rule that cannot be is refused wherever it is given', async (t) => {
  const alice = await observatory(t)
  const before = await digestOf(alice)
  const bad = ['Upper', 'a b', '../up', '-dash', 'a..b', 'x.lock', 'é', '', 'a/b', 'x'.repeat(64)]
  for (const name of bad) {
    const answers = [
      await alice.ask('POST', '/api/v1/datasets', { name }),
      await alice.ask('POST', '/api/v1/tools', { name, image: 'busybox' }),
      await alice.ask('POST', '/api/v1/runs', { pipeline: name }),
      await alice.ask('POST', '/api/v1/market', { kind: 'dataset', name }),
      await addPipeline(alice, 'steps:\n- {name: count, tool: shell, output_dataset: counts}\n', name),
      await addPipeline(alice, `steps:\n- {name: "${name}", tool: shell, output_dataset: counts}\n`),
    ]
    for (const [index, answer] of answers.entries()) {
      assert.match(problemIn(answer).code, /^INVALID_(INPUT|NAME)$/, `"${name}" at ${index}`)
    }
  }
  const texts = ['', 'a: [1', '- just text', 'steps: []', 'steps: 5', '{"steps": [{}]}', '&a [*a]', '\u0000']
  for (const text of texts) {
    assert.equal(problemIn(await addPipeline(alice, text)).code, 'INVALID_INPUT', JSON.stringify(text))
  }
  for (const cron of ['often', '0 3 * *', '61 * * * *', '0 0 30 2 *']) {
    const problem = problemIn(await alice.ask('POST', '/api/v1/schedules', { pipeline: 'counting', cron }))
    assert.equal(problem.code, 'INVALID_CRON', cron)
    assert.match(problem.detail, /For example "0 3 \* \* \*"/)
  }
  assert.equal(await digestOf(alice), before)
})

test('an image that does not exist ends the run, and the node takes the next one', async (t) => {
  const alice = await observatory(t)
  for (const _ of [1, 2]) {
    const run = await endedRun(alice, 'counting')
    assert.deepEqual([run.state, run.code], ['failed', 'IMAGE_NOT_FOUND'], run.reason)
    assert.match(run.reason ?? '', /mao-test\/not-here:1 is not on this machine/)
  }
})

test('without a container engine a run says what to start, and all else goes on', async (t) => {
  const alice = await observatory(t, {
    docker: { socketPath: '/nonexistent/docker.sock' },
    execution: { queue: { engineWaitMs: 0 } },
  })
  const run = await endedRun(alice, 'counting')
  assert.deepEqual([run.state, run.code], ['errored', 'ENGINE_UNAVAILABLE'], run.reason)
  assert.match(run.reason ?? '', /\/nonexistent\/docker\.sock.*start Docker.*docker\.socketPath/)
  await made(alice, '/datasets', { name: 'more' })
})

test('a port that is taken is told by its number, and what had begun is undone', async (t) => {
  const other = createServer().listen(0, '127.0.0.1')
  t.after(() => other.close())
  await new Promise((listening) => other.once('listening', listening))
  const { port } = other.address() as AddressInfo
  const taken = { code: 'PORT_IN_USE', message: new RegExp(`\\b${port}\\b`) }
  await assert.rejects(startTestApi(t, 'alice', { api: { port } }), taken)
  const listen = [`/ip4/127.0.0.1/tcp/${port}`]
  await assert.rejects(startTestNode(t, 'bob', { config: { listen } }), taken)
  // The etcd surface comes up with the federation: then there is none, and a later try is free to make one.
  // Where it was not asked for, the node does without.
  const dave = await startTestApi(t, 'dave', { etcd: { serve: 'auto', port } })
  await made(dave, '/federation', { name: 'lab' })
  const etcd = { serve: 'always', port } as const
  const carol = await startTestApi(t, 'carol', { etcd })
  await assert.rejects(carol.node.createFederation({ name: 'lab' }), taken)
  assert.equal(carol.node.hasFederation, false)
  await new Promise((closed) => other.close(closed))
  await made(carol, '/federation', { name: 'lab' })
})

test('a forged record and one of another federation leave no trace on a whole node', async (t) => {
  const alice = await observatory(t)
  const { genesis } = alice.node.federation
  const { token } = await alice.node.invite()
  const mallory = await startRegistryNode(t, { genesis })
  await requestAdmission(mallory.network, decodeInvitation(token, Date.now()), 'mallory')
  await mallory.sync.pullNow(alice.node.peerId)
  const shows = async (key: string) => {
    const answer = await alice.ask('GET', `/api/v1/registry/entry?key=${encodeURIComponent(key)}`)
    return answer.status === 200
  }
  const honest = async (key: string) => {
    await mallory.registry.put(key, new TextEncoder().encode('{"image":"busybox"}'))
    await eventually(() => shows(key), `${key} never arrived`)
  }
  await honest('/tools/before')
  const { federation } = genesis
  const forged = (await sealRecord(mallory.identity, { federation, key: '/tools/forged' })).envelope.slice()
  forged[forged.length - 1] = (forged.at(-1) as number) ^ 1
  const foreign = await sealRecord(mallory.identity, { federation: 'maoelsewhere', key: '/tools/foreign' })
  for (const envelope of [forged, foreign.envelope]) {
    await mallory.network.gossip.publish(registryTopic(federation), envelope)
  }
  await honest('/tools/after')
  assert.deepEqual([await shows('/tools/forged'), await shows('/tools/foreign')], [false, false])
})

test('an invitation that is broken, expired or used up admits nobody, and a good one still does', async (t) => {
  const alice = await observatory(t)
  const [bob, carol] = [await startTestApi(t, 'bob'), await startTestApi(t, 'carol')]
  const join = (who: TestApi, token: string) => who.ask('POST', '/api/v1/federation/join', { token })
  const { token } = await alice.node.invite()
  const good = decodeInvitation(token, Date.now())
  const unknown = encodeInvitation({ ...good, secret: 'x'.repeat(good.secret.length) })
  const late = encodeInvitation({ ...good, expiresMs: Date.now() - 1 })
  const nowhere = encodeInvitation({
    ...good,
    addresses: [`/ip4/127.0.0.1/tcp/1/p2p/${alice.node.peerId}`],
  })
  for (const [wrong, code] of [
    // First, since a node that knows where alice is finds her all the same.
    [nowhere, 'PEER_UNREACHABLE'],
    [token.slice(0, -10), 'INVITATION_INVALID'],
    [unknown, 'INVITATION_INVALID'],
    [late, 'INVITATION_EXPIRED'],
  ] as const) {
    const problem = problemIn(await join(bob, wrong))
    assert.equal(problem.code, code, problem.detail)
  }
  assert.equal((await join(bob, token)).status, 201)
  assert.equal(problemIn(await join(carol, token)).code, 'INVITATION_USED')
  assert.equal(problemIn(await join(bob, token)).code, 'ALREADY_FEDERATED')
  assert.equal((await join(carol, (await alice.node.invite()).token)).status, 201)
  await eventually(() => alice.node.federation.members.list().length === 3, 'not all three are members')
})
