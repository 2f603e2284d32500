import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { z } from 'zod'
import { maoctl } from '../../examples/artefact-observatory/maoctl.ts'
import { NodeProcess } from '../../examples/artefact-observatory/node-process.ts'
import { everywhere, until } from '../../examples/artefact-observatory/patience.ts'
import { roundSchema, truthSchema } from '../../src/api/round-views.ts'
import { runSchema } from '../../src/api/run-views.ts'
import { invitationSchema, memberSchema } from '../../src/api/views.ts'
import { BUSYBOX, containersLabelled, testImage } from '../support/test-images.ts'

const anything = z.unknown()
const signal = AbortSignal.timeout(180_000)
const patience = (timeoutMs: number) => ({ timeoutMs, signal })

/** Slow enough to be killed in its middle; the result is the same on every node. */
const MEASURE = 'set -e; sleep 4; echo "slot $MAO_SLOT" > data/measured-$MAO_SLOT.txt'

let directory: string
before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'mao-story-'))
  await testImage()
})
after(() => rm(directory, { recursive: true, force: true, maxRetries: 3 }))

test('killed in the middle of a run, a node comes back, and the federation agrees without a new write by anyone', {
  timeout: 180_000,
}, async (t) => {
  const settings = { MAO_MDNS: 'false' }
  const [alice, bob, carol] = ['alice', 'bob', 'carol'].map(
    (name) => new NodeProcess({ name, directory, settings }),
  )
  assert(alice && bob && carol)
  const nodes = [alice, bob, carol]
  for (const node of nodes) t.after(() => node.stop())
  await Promise.all(nodes.map((node) => node.start(signal)))
  const type = (node: NodeProcess, ...words: string[]) => maoctl(node, words, anything, signal)

  await type(alice, 'federation', 'create', '--name', 'story')
  for (const node of [bob, carol]) {
    const { token } = await maoctl(alice, ['federation', 'invite'], invitationSchema, signal)
    await type(node, 'federation', 'join', token)
  }
  await type(alice, 'tool', 'add', 'shell', '--image', BUSYBOX)
  await type(alice, 'dataset', 'add', '--name', 'results')
  const steps = [{ name: 'measure', tool: 'shell', cmd: ['sh', '-c', MEASURE], output_dataset: 'results' }]
  const file = join(directory, 'pipeline.json')
  await writeFile(file, JSON.stringify({ name: 'measuring', steps }))
  await type(alice, 'pipeline', 'add', '-f', file)
  const knows = async (node: NodeProcess) => {
    const pipelines = await node.api.get('/pipelines', z.array(z.object({ name: z.string() })))
    const members = await node.api.get('/federation/members', z.array(memberSchema))
    return (pipelines.length === 1 && members.length === 3) || undefined
  }
  await everywhere(nodes, 'the pipeline', knows, patience(20_000))

  // All three run for one slot; Carol's machine dies while her container works.
  const slot = Date.now()
  const runs = await Promise.all(
    nodes.map((node) => node.api.post('/runs', runSchema, { pipeline: 'measuring', slot })),
  )
  const carols = runs[2]?.id as string
  await until(
    "carol's container",
    async () => ((await carol.api.get(`/runs/${carols}`, runSchema)).state === 'running' ? true : undefined),
    patience(20_000),
  )
  assert(carol.pid !== undefined)
  process.kill(carol.pid, 'SIGKILL')
  await carol.stop()

  // The others finish and ask for a round that cannot be decided without her: two of three are not enough.
  await everywhere(
    [alice, bob],
    'the results',
    async (node) =>
      (await node.api.get('/runs', z.array(runSchema))).every((run) => run.state === 'succeeded') ||
      undefined,
    patience(30_000),
  )
  const { id } = await maoctl(
    alice,
    ['round', 'open', 'results', '--step', 'measure', '--window', '2m'],
    roundSchema,
    signal,
  )
  await until(
    "bob's ballot",
    async () => ((await alice.api.get(`/rounds/${id}`, roundSchema)).ballots.length === 2 ? true : undefined),
    patience(20_000),
  )

  // From here on nobody types anything.
  const again = new NodeProcess({ name: 'carol', directory, settings })
  t.after(() => again.stop())
  await again.start(signal)
  const truths = await everywhere(
    [alice, bob, again],
    'the ground truth',
    async (node) => {
      const truth = await node.api.get('/datasets/results/truth', truthSchema)
      return truth.adopted && truth.round === id ? truth : undefined
    },
    patience(60_000),
  )
  assert.equal(new Set(truths.map(({ commit }) => commit)).size, 1)
  assert.equal(truths[0]?.signers.length, 3)
  assert(truths[0]?.agreement.every(({ agrees }) => agrees))

  const ended = await again.api.get('/runs', z.array(runSchema))
  const lost = ended.find((run) => run.id === carols)
  assert.equal(lost?.state, 'lost')
  const repeated = ended.find((run) => run.trigger.kind === 'repeat')
  assert.equal(repeated?.trigger.of, carols)
  assert.equal(repeated?.state, 'succeeded')
  assert.deepEqual(await containersLabelled('mao.node', again.peerId as string), [])
})
