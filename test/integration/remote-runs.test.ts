import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { ApiServer } from '../../src/api/server.ts'
import { isNodeError } from '../../src/base/errors.ts'
import { silentLogger } from '../../src/base/logger.ts'
import { branchOf, stepFor } from '../../src/datasets/branches.ts'
import type { RemoteRun } from '../../src/execution/remote/remote-run.ts'
import { eventually } from '../support/eventually.ts'
import { maoctlHere } from '../support/maoctl.ts'
import { logOf, RemoteMembers } from '../support/remote-pair.ts'
import { BUSYBOX, removeImage, testImage } from '../support/test-images.ts'

const COUNT = 'mao-test/remote-count:1'
const CHECK = 'mao-test/remote-check:1'
const RAW = 'name,diagnosis\nann,7\nben,9\n'
/** Prints what it reads, as a careless tool does. */
const COUNTING = 'cat input/patients.csv; wc -l < input/patients.csv > data/count.txt'
const CHECKING = 'exit 0'

let lab: RemoteMembers
const alice = () => lab.node('alice')
const bob = () => lab.node('bob')
const ended = (run: RemoteRun) => run.state === 'ended'
const image = (words: string, cmd: string) => testImage(words, [`CMD ${JSON.stringify(['sh', '-c', cmd])}`])

/** Registers a pipeline of one step at alice's and waits until bob knows of it. */
async function pipeline(name: string, step: Record<string, unknown>): Promise<void> {
  await alice().federation.execution.addPipeline(name, {
    steps: [{ name, output_dataset: 'results', ...step }],
  })
  const known = () => bob().federation.execution.pipelines.get(name) !== undefined
  await eventually(known, `bob never heard of ${name}`)
}

/** Where bob puts what alice had done there. */
const madeFor = (step: string) => branchOf(stepFor(alice().peerId, step), 'bob')
const shell = (command: string) => ({ tool: 'shell', cmd: ['sh', '-c', command] })
const submit = (name: string, more: object = {}) => {
  return alice().federation.remote.runs.submit({ pipeline: name, on: ['bob'], ...more })
}
const refusedBy = (pattern: RegExp) => (error: unknown) => {
  assert(isNodeError(error, 'NO_PLACE'), String(error))
  assert.match(error.message, pattern)
  return true
}

suite('runs at another member', () => {
  before(async () => {
    await Promise.all([testImage(), image(COUNT, COUNTING), image(CHECK, CHECKING)])
    const takes = {
      concurrency: 4,
      remote: { accept: 'members' as const },
      offer: { labels: { site: 'zurich' } },
    }
    lab = await RemoteMembers.start({ alice: {}, bob: { execution: takes } })
    const { datasets, execution } = alice().federation
    for (const [name, of] of [
      ['shell', BUSYBOX],
      ['count', COUNT],
      ['check', CHECK],
    ] as const) {
      await execution.addTool(name, { image: of })
    }
    await datasets.add('results')
    const patients = await lab.files('patients', { 'patients.csv': RAW })
    await bob().federation.datasets.importDirectory('patients', patients, { policy: 'compute-only' })
    const knows = () => datasets.list().some(({ name }) => name === 'patients')
    await eventually(knows, 'alice never heard of the patients')
    const offered = () =>
      alice()
        .federation.remote.candidates()
        .some(({ offer }) => offer !== undefined)
    await eventually(offered, 'alice never heard what bob offers')
  })
  after(async () => {
    await lab?.stop()
    for (const name of [COUNT, CHECK]) await removeImage(name)
  })

  test('a run goes where the predicate says, its log comes as it is printed, its result as a commit', async () => {
    await pipeline('hello', shell('echo said; echo made > data/made.txt'))
    const where = 'memory>=32MiB && label.site=zurich && peer=bob'
    const { id } = await alice().federation.remote.runs.submit({ pipeline: 'hello', where })
    const run = await lab.until('alice', id, ended, 'the end')
    assert.equal(run.end?.state, 'succeeded', JSON.stringify(run.end))
    assert.deepEqual(
      run.transitions.map(({ state }) => state),
      ['queued', 'pulling', 'staging', 'running', 'committing', 'succeeded'],
    )
    assert.equal(await logOf(alice(), id), 'said\n')
    const { remote, datasets } = alice().federation
    const arrived = async () => (await remote.shown(run)).outputs.every(({ arrival }) => arrival === 'here')
    await eventually(arrived, 'the result never came')
    assert.equal(run.end?.outputs[0]?.branch, madeFor('hello'))
    const isHere = async () => (await datasets.repository('results')).resolve(madeFor('hello'))
    await eventually(async () => (await isHere()) !== undefined, 'the branch never moved')
    const [newest] = await datasets.log('results', madeFor('hello'))
    assert.equal(newest?.oid, run.end?.outputs[0]?.commit)
    // At bob's it is alice's run, and nobody else's.
    const hosted = bob().federation.execution.run(run.hostRun ?? '')
    assert.equal(hosted.owner, alice().peerId)
    assert.deepEqual(hosted.trigger, { kind: 'remote', by: alice().peerId, request: id })
  })

  test('nobody fits: each member’s reason is listed', async () => {
    await assert.rejects(
      submit('hello', { where: 'memory>=64 && label.site=zurich' }),
      refusedBy(/bob: its offer does not satisfy memory>=64/),
    )
    await assert.rejects(
      alice().federation.remote.runs.submit({ pipeline: 'hello', on: ['carol'] }),
      refusedBy(/none is named carol/),
    )
  })

  test('a member that takes nothing says so politely, also when it is named', async () => {
    await assert.rejects(
      bob().federation.remote.runs.submit({ pipeline: 'hello', on: ['alice'] }),
      refusedBy(/alice: this node takes no runs of others/),
    )
  })

  test('what a run of another never gets is refused before anything is done', async () => {
    await pipeline('socket', { ...shell('true'), docker_socket: true })
    await assert.rejects(submit('socket'), refusedBy(/Docker socket/))
    await pipeline('online', { ...shell('true'), network: 'bridge' })
    await assert.rejects(submit('online'), refusedBy(/asks for the network "bridge"/))
    await pipeline('large', { ...shell('true'), resources: { memoryBytes: 64 * 1024 ** 3 } })
    await assert.rejects(submit('large'), refusedBy(/this node gives you 67108864/))
    const before = bob().federation.execution.runs().length
    await pipeline('fetching', { ...shell('true'), inputs: [{ url: 'http://169.254.169.254/' }] })
    await assert.rejects(submit('fetching'), refusedBy(/fetches nothing for others/))
    assert.equal(bob().federation.execution.runs().length, before)
  })

  test('maoctl asks, submits, shows, lists and cancels a run at another member', async (t) => {
    const api = new ApiServer({ node: alice(), log: silentLogger })
    t.after(() => api.stop())
    await api.start()
    const type = (...words: string[]) => maoctlHere(['--data', `${lab.directory}/alice`, ...words])
    const offers = await type('offer', 'list', '--where', 'memory>=32MiB && label.site=zurich')
    assert.match(offers.stdout, /^bob +default +1 +0\.1 GiB .* site=zurich .*yes \(members\)/m)
    const wrong = await type('offer', 'list', '--where', 'memory>=')
    assert.equal(wrong.exit, 2)
    assert.match(wrong.stderr, /cannot be read at character 9/)
    const asked = await type('run', 'submit', 'hello', '--on', 'bob', '--dry-run')
    assert.match(asked.stdout, /^bob +takes it +at once; 1 cpus, 64 MiB, 30\.0 s a step; logs shown/m)
    const nobody = await type('run', 'submit', 'hello', '--where', 'gpu>=1', '--dry-run')
    assert.equal(nobody.exit, 8)
    assert.match(nobody.stdout, /^bob +no +its offer does not satisfy gpu>=1/m)
    const [first, second] = await Promise.all([1, 2].map(() => submit('hello', { key: 'k-1' })))
    assert.equal(first?.id, second?.id)
    const again = await type('--json', 'run', 'submit', 'hello', '--on', 'bob', '--key', 'k-1', '--wait')
    assert.equal(JSON.parse(again.stdout).id, first?.id)
    const other = await type('run', 'submit', 'hello', '--at-data', '--key', 'k-1')
    assert.match(other.stderr, /was used for another request/)
    const followed = await type('run', 'submit', 'hello', '--on', 'bob', '--follow')
    assert.equal(followed.exit, 0, followed.stderr)
    assert.match(followed.stdout, /^said\n/)
    const [, id = ''] = /(r-[a-z0-9-]+)/.exec(followed.stdout) ?? []
    assert.match((await type('run', 'show', id)).stdout, /^at: +bob \(/m)
    assert.match((await type('run', 'list')).stdout, new RegExp(`^${id} +hello +at bob +succeeded`, 'm'))
    assert.equal((await type('run', 'logs', id)).stdout, 'said\n')
    const { stdout: log } = await type('--json', 'run', 'logs', id, '--from', '1')
    assert.deepEqual(JSON.parse(log), { id, from: 1, next: 5, complete: true, log: 'aid\n' })
    const all = JSON.parse((await type('--json', 'run', 'list')).stdout) as { id: string; state: string }[]
    assert.equal(all.find((each) => each.id === id)?.state, 'succeeded')
    const listed = async () => (await type('run', 'files', id)).stdout.includes('made.txt')
    await eventually(listed, 'what the run made was not listed')
    assert.equal((await type('run', 'get', id, 'made.txt')).stdout, 'made\n')
    const rerun = await type('run', 'rerun', id)
    assert.equal(rerun.exit, 2)
    assert.match(rerun.stderr, /at another member.*done at that node.*maoctl run files/)
    assert.equal((await type('run', 'list', '--limit', '1')).stdout.split('\n').filter(Boolean).length, 2)
    assert.match((await type('run', 'cancel', id)).stdout, /is succeeded/)
    assert.equal((await type('run', 'show', 'r-none')).exit, 3)
    assert.match(
      (await type('run', 'submit', 'hello', '--on', 'bob', '--slot', '5')).stderr,
      /--slot is for runs on this node/,
    )
  })

  test('cancelled from afar, a run ends at its host', async () => {
    await pipeline('slow', shell('echo begun; sleep 60'))
    const { id } = await submit('slow')
    await eventually(async () => (await logOf(alice(), id)) === 'begun\n', 'it never began')
    // One member has one run at work at once there, unless the settings say more; it sees that and why it waits.
    const next = await submit('hello')
    const waiting = await lab.until('alice', next.id, ({ why }) => why !== undefined, 'the word why it waits')
    assert.equal(waiting.position, 1)
    assert.match(waiting.why ?? '', /owner|runs of/)
    await alice().federation.remote.runs.cancel(id)
    const run = await lab.until('alice', id, ended, 'the end')
    assert.equal(run.end?.state, 'cancelled')
    await lab.until('alice', next.id, ended, 'the end of the next')
    assert.equal(bob().federation.execution.run(run.hostRun ?? '').state, 'cancelled')
  })

  test('a compute-only dataset is used by a run of another, and does not leave', async () => {
    const step = { tool: 'count', input_dataset: 'patients' }
    await pipeline('counting', step)
    await assert.rejects(submit('counting'), refusedBy(/does not trust the tool count, at sha256:/))

    // The tool may read, its output has to pass the check, and nobody may read what it prints.
    const { remote } = bob().federation
    await remote.trust('patients', { tool: 'count', filter: 'check' })
    await assert.rejects(submit('counting'), refusedBy(/asks that the output of count pass the filter check/))
    await pipeline('checked', { ...step, filter: { tool: 'check' } })
    await pipeline('tricked', { ...step, filter: { tool: 'check', cmd: ['true'] } })
    await assert.rejects(submit('tricked'), refusedBy(/as its image starts/))
    await pipeline('steered', { ...step, cmd: ['cat', 'input/patients.csv'], filter: { tool: 'check' } })
    await assert.rejects(submit('steered'), refusedBy(/may not choose its command/))
    await pipeline('moved', { ...step, layout: 'compute-to-data', filter: { tool: 'check' } })
    await assert.rejects(submit('moved'), refusedBy(/give the step moved no layout/))

    const { id } = await alice().federation.remote.runs.submit({ pipeline: 'checked', atData: true })
    const run = await lab.until('alice', id, ended, 'the end')
    assert.equal(run.end?.state, 'succeeded', JSON.stringify(run))
    const arrived = async () => {
      const shown = await alice().federation.remote.shown(run)
      return shown.outputs[0]?.arrival === 'here'
    }
    await eventually(arrived, 'the result never came')
    assert.equal(run.logs, false)
    assert.equal(run.stepsDone[0]?.exitCode, undefined)
    assert.equal(await logOf(alice(), id), '')
    const [commit] = await bob().federation.datasets.log('patients')
    assert(commit)
    assert.equal(await alice().federation.datasets.holds('patients', commit.oid), false)
    const wanted = alice().federation.datasets.ensureCommit('patients', commit.oid)
    await assert.rejects(wanted, (error: unknown) => isNodeError(error, 'DATASET_WITHHELD'))

    // Whose trust is taken back, reads no more; with trust in its words, they are shown.
    await remote.distrust('patients', { tool: 'count' })
    await assert.rejects(submit('checked'), refusedBy(/does not trust the tool count/))
    await remote.trust('patients', { tool: 'count', logs: true })
    const again = await submit('counting')
    await lab.until('alice', again.id, ended, 'the end')
    assert.equal(await logOf(alice(), again.id), RAW)
    assert.equal(alice().federation.remote.runs.get(again.id).stepsDone[0]?.exitCode, 0)
  })

  test('a tag that was moved to another image reads nothing, and no other image stands in for one that is named', async () => {
    const { remote } = bob().federation
    await remote.trust('patients', { tool: 'count', logs: true })
    const trusted = remote.trusted('patients').find(({ tool }) => tool === 'count')?.digest
    await image(COUNT, 'cp -r input/. data/')
    await assert.rejects(submit('counting'), refusedBy(/does not trust the tool count/))
    // Its name still stands for what was trusted: whoever names that gets exactly that, or nothing.
    const digests = { count: `sha256:${'0'.repeat(64)}` }
    await assert.rejects(submit('counting', { digests }), refusedBy(/does not trust/))
    await pipeline('unknown', { tool: 'count' })
    const { id } = await submit('unknown', { digests })
    const run = await lab.until('alice', id, ended, 'the end')
    assert.equal(run.end?.code, 'IMAGE_NOT_FOUND')
    assert.equal(run.end?.reason, 'the host does not have the image, and could not get it')
    assert(trusted?.startsWith('sha256:'))
  })

  test('what a host makes for another is never its own word: no ballot, no insights, nothing for the next run', async () => {
    const { execution, registry, consensus } = bob().federation
    const step = { env: null, docker_socket: false, input_dataset: null, output_dataset: 'results' }
    const own = { name: 'own', ...shell('echo 1 > data/own.txt'), ...step }
    const { id } = await execution.submitPlan({ name: 'mine', steps: [own] })
    await execution.finished(id)
    const ours = (await bob().federation.datasets.log('results', 'own-bob')).map(({ oid }) => oid)

    const theirs = 'ls data; echo 2 > data/own.txt; echo {} > data/insights.json'
    await pipeline('own', shell(theirs))
    for (const _ of ['first', 'second']) {
      const run = await submit('own')
      const { end } = await lab.until('alice', run.id, ended, 'the end')
      assert.equal(end?.state, 'succeeded', JSON.stringify(end))
      assert.equal(end.outputs[0]?.branch, madeFor('own'))
      assert.equal(await logOf(alice(), run.id), '', 'it began with what the run before it had left')
    }
    assert.deepEqual(
      (await bob().federation.datasets.log('results', 'own-bob')).map(({ oid }) => oid),
      ours,
    )
    assert.deepEqual(registry.list('/insights/'), [])

    // In a round on what alice alone had done at bob's, bob has nothing to say.
    const asked = await alice().federation.consensus.open('results', 'hello', { windowMs: 1_000 })
    const here = () => consensus.rounds('results').find((round) => round.id === asked.id)
    const isOver = () => here() !== undefined && Date.now() > asked.cutoffMs
    await eventually(isOver, 'the round never came to bob')
    assert.deepEqual(here()?.ballots, [])
    const reserved = stepFor(alice().peerId, 'hello')
    const opening = alice().federation.consensus.open('results', reserved)
    await assert.rejects(opening, (error: unknown) => isNodeError(error, 'INVALID_NAME'))
  })
})
