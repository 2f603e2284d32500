/** What stays on a node, against pipelines and schedules that other members write. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ApiServer } from '../../src/api/server.ts'
import { silentLogger } from '../../src/base/logger.ts'
import { withDeadline } from '../../src/base/wait.ts'
import type { Run } from '../../src/execution/runs/run.ts'
import { askRaw } from '../support/api.ts'
import { eventually } from '../support/eventually.ts'
import { maoctlHere } from '../support/maoctl.ts'
import { RemoteMembers } from '../support/remote-pair.ts'
import { BUSYBOX, removeImage, testImage } from '../support/test-images.ts'

test('what another member writes reads no data that stay here, unless this owner has approved it as it is', async (t) => {
  await testImage()
  const lab = await RemoteMembers.start({ bob: {}, alice: {} })
  t.after(() => lab.stop())
  const [alice, bob] = [lab.node('alice').federation, lab.node('bob').federation]
  assert.equal(bob.members.get(lab.node('alice').peerId)?.role, 'member')

  await alice.execution.addTool('shell', { image: BUSYBOX })
  await alice.datasets.add('results')
  const files = await lab.files('patients', { 'patients.csv': 'name,diagnosis\nann,7\n' })
  await bob.datasets.importDirectory('patients', files, { policy: 'compute-only' })
  await bob.datasets.importDirectory('salaries', files, { policy: 'local-only' })
  await eventually(
    () => alice.datasets.list().some(({ name }) => name === 'patients'),
    'alice never heard of the patients',
  )
  const copy = ['sh', '-c', 'cp input/patients.csv data/leak.csv']
  const leak = {
    name: 'leak',
    tool: 'shell',
    input_dataset: 'patients',
    output_dataset: 'results',
    cmd: copy,
  }
  const write = async (steps: object[]) => {
    const { entry } = await alice.execution.addPipeline('leak', { steps })
    const seen = () => bob.execution.pipelines.get('leak')?.entry.revision === entry.revision
    await eventually(seen, 'bob never heard of the pipeline')
  }
  await write([leak])
  const ofBob = () => bob.execution.runs().filter(({ pipeline }) => pipeline === 'leak')
  const ran = async (): Promise<Run> => {
    const { id } = await bob.execution.submit('leak')
    return withDeadline(bob.execution.finished(id), 30_000, 'the run')
  }
  const refused = (run: Run | undefined, words: RegExp) => {
    assert.deepEqual([run?.state, run?.code], ['rejected', 'FORBIDDEN'], run?.reason)
    assert.match(run?.reason ?? '', words)
    // Before anything has been done.
    assert.equal(run?.steps[0]?.startedMs, undefined)
  }

  // By itself, at her schedule, and by the hand of bob's own people.
  await alice.execution.schedule({ pipeline: 'leak', cron: '* * * * * *' })
  await eventually(() => ofBob().some(({ endedMs }) => endedMs !== undefined), 'the schedule never fired')
  const unapproved =
    /step leak, in which another member had a hand, reads patients \(compute-only\).*"maoctl pipeline approve leak"/
  refused(ofBob()[0], unapproved)
  const shown = bob.execution.timetable.show('leak').lastProblem
  assert.deepEqual([shown?.kind, shown?.code], ['refused', 'FORBIDDEN'])
  assert.match(shown?.reason ?? '', unapproved)
  await alice.execution.unschedule('leak')
  refused(await ran(), unapproved)
  const preview = await bob.execution.previews.preview('leak')
  assert.deepEqual(
    preview.problems.map(({ step, code }) => [step, code]),
    [['leak', 'FORBIDDEN']],
  )
  assert.equal(await (await bob.datasets.repository('results')).resolve('leak-bob'), undefined)

  // What stays here and is told to nobody, by whatever way.
  for (const more of [
    { input_dataset: 'salaries' },
    { input_dataset: null, inputs: [{ dataset: 'salaries' }] },
    { input_dataset: null, output_dataset: 'salaries', cmd: ['true'], network: 'bridge' },
  ]) {
    const value = { steps: [{ env: null, docker_socket: false, ...leak, ...more }] }
    await alice.registry.put('/pipelines/leak', new TextEncoder().encode(JSON.stringify(value)))
    const wanted = JSON.stringify(more.input_dataset)
    const seen = () => {
      const step = bob.execution.pipelines.get('leak')?.value.steps[0]
      return JSON.stringify(step?.input_dataset) === wanted && step?.network === more.network
    }
    await eventually(
      () => seen() && JSON.stringify(bob.execution.pipelines.get('leak')?.value).includes('salaries'),
      'bob never heard of the pipeline',
    )
    refused(await ran(), /salaries \(local-only\)/)
  }
  await write([leak])

  // The owner reads what it is, and says yes to exactly that.
  const api = new ApiServer({ node: lab.node('bob'), log: silentLogger })
  t.after(() => api.stop())
  await api.start()
  const type = (...words: string[]) => maoctlHere(['--data', `${lab.directory}/bob`, ...words])
  const asking = await type('pipeline', 'approve', 'leak')
  assert.match(
    asking.stderr,
    /leak reads patients \(compute-only\) with shell, .*\["sh","-c","cp .*goes to results \(shared\).*add --yes/s,
  )
  const dry = await type('pipeline', 'run', 'leak', '--dry-run')
  assert.match(dry.stdout, /reads patients \(compute-only\).*maoctl pipeline approve leak/s)
  const { steps, fingerprint } = await bob.execution.approve('leak', { preview: true })
  assert.deepEqual(
    steps.map(({ step, variables, datasets, approved }) => [
      ...[step, variables, approved],
      ...datasets.map(({ dataset, policy, use }) => `${use} ${dataset} (${policy})`),
    ]),
    [['leak', [], false, 'reads patients (compute-only)']],
  )
  await assert.rejects(bob.execution.approve('leak', { fingerprint: 'another' }), /has changed since/)
  assert.match((await type('--yes', 'pipeline', 'approve', 'leak')).stdout, /^The steps leak of leak get/)
  assert.equal((await bob.execution.approve('leak', { preview: true })).fingerprint, fingerprint)
  const run = await ran()
  assert.deepEqual([run.state, run.author], ['succeeded', lab.node('alice').peerId], run.reason)
  await write([{ ...leak, cmd: ['sh', '-c', 'cat input/* > data/all'] }])
  refused(await ran(), /no longer what was approved/)
  await write([leak])
  assert.equal((await ran()).state, 'succeeded')

  // The filter that the owner relied on is part of it, image included.
  const check = `mao-test/check-${process.pid}:1`
  await testImage(check, ['CMD ["true"]'])
  t.after(() => removeImage(check))
  await alice.execution.addTool('check', { image: check })
  await write([{ ...leak, filter: { tool: 'check' } }])
  await bob.execution.approve('leak')
  assert.equal((await ran()).state, 'succeeded')
  const { entry } = await alice.execution.addTool('check', { image: BUSYBOX })
  await eventually(() => bob.execution.tools.get('check')?.entry.revision === entry.revision, 'the tool')
  refused(await ran(), /step leak \(filter\).*no longer what was approved/)

  // And takes it back.
  await write([leak])
  const revoked = await type('pipeline', 'revoke', 'leak')
  assert.match(revoked.stdout, /^The steps leak, leak \(filter\) of leak get no secrets and no data/)
  refused(await ran(), unapproved)

  // What bob's own people write needs no word of theirs, but for another's tool or schedule.
  await bob.execution.addPipeline('own', { steps: [{ ...leak, name: 'own' }] })
  const hers = await bob.execution.submit('own')
  refused(
    await withDeadline(bob.execution.finished(hers.id), 30_000, 'her tool'),
    /step own, in which another member/,
  )
  await bob.execution.addTool('mine', { author: 'bob', image: BUSYBOX })
  await bob.execution.addPipeline('own', { steps: [{ ...leak, name: 'own', tool: 'mine' }] })
  const { id } = await bob.execution.submit('own')
  const own = await withDeadline(bob.execution.finished(id), 30_000, 'the own run')
  assert.deepEqual([own.state, own.author], ['succeeded', undefined], own.reason)
  const heard = () => alice.execution.pipelines.get('own') !== undefined
  await eventually(heard, 'alice never heard of the pipeline')
  await alice.execution.schedule({ pipeline: 'own', cron: '* * * * * *' })
  const byHer = () =>
    bob.execution.runs().find((one) => one.trigger.kind === 'schedule' && one.pipeline === 'own')
  await eventually(() => byHer()?.endedMs !== undefined, 'the schedule never fired')
  await alice.execution.unschedule('own')
  refused(byHer(), /step own, in which another member had a hand, reads patients/)
})

test('at the node of an operator, whose word goes before others’, their names take a token for operators', async (t) => {
  const lab = await RemoteMembers.start({ alice: {}, bob: {} })
  t.after(() => lab.stop())
  const [alice, bob] = [lab.node('alice').federation, lab.node('bob').federation]
  await alice.datasets.add('results')
  await eventually(() => bob.datasets.find('results') !== undefined, 'bob never heard of the dataset')
  const tool = { name: 'mine', image: BUSYBOX }
  const step = { name: 'own', tool: 'mine', output_dataset: 'results', cmd: null, env: null }
  const steps = [{ ...step, docker_socket: false, input_dataset: null }]
  await bob.execution.addTool('mine', { image: BUSYBOX })
  await bob.execution.addPipeline('own', { steps })
  await bob.execution.schedule({ pipeline: 'own', cron: '0 0 1 1 *' })
  const his = () => ['tools/mine', 'pipelines/own', 'schedules/own'].map((of) => alice.registry.get(`/${of}`))
  await eventually(() => his().every((entry) => entry?.author === lab.node('bob').peerId), 'his names')
  const desk = new ApiServer({ node: lab.node('alice'), log: silentLogger })
  t.after(() => desk.stop())
  await desk.start()
  const asked = async (scope: 'member' | 'operator') => {
    const { token } = await lab.node('alice').tokens.create({ name: scope, scope, lifeMs: 60_000 })
    return async (method: string, path: string, value?: object) => {
      const headers = { authorization: `Bearer ${token}` }
      if (value === undefined) return (await askRaw(desk.url + path, { method, headers })).status
      const json = { ...headers, 'content-type': 'application/json' }
      return (await askRaw(desk.url + path, { method, headers: json, body: JSON.stringify(value) })).status
    }
  }
  const asMember = await asked('member')
  for (const [method, path, value] of [
    ['POST', '/api/v1/tools', tool],
    ['DELETE', '/api/v1/tools/mine'],
    ['POST', '/registry/tools', { ...tool, author: '', data_repo: '', code_repo: '', artefact: '' }],
    ['DELETE', '/registry/tools/mine'],
    ['POST', '/api/v1/pipelines?name=own', steps],
    ['POST', '/api/v1/pipelines', { name: 'own', steps }],
    ['DELETE', '/api/v1/pipelines/own'],
    ['POST', '/pipeline/init', { name: 'own', steps }],
    ['POST', '/api/v1/schedules', { pipeline: 'own', cron: '* * * * *' }],
    ['POST', '/api/v1/schedules/own/pause'],
    ['POST', '/api/v1/schedules/own/resume'],
    ['DELETE', '/api/v1/schedules/own'],
    ['POST', '/pipeline/run', { name: 'own', cron: '* * * * *' }],
    ['DELETE', '/jobs/own'],
  ] as const)
    assert.equal(await asMember(method, path, value), 403, `${method} ${path}`)
  assert(his().every((entry) => entry?.author === lab.node('bob').peerId))
  assert.equal(await asMember('POST', '/api/v1/tools', { ...tool, name: 'hers' }), 201)
  assert.equal(await asMember('DELETE', '/api/v1/tools/hers'), 204)
  assert.equal(await (await asked('operator'))('DELETE', '/registry/tools/mine'), 200)
})
