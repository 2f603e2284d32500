import assert from 'node:assert/strict'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { after, before, suite, test } from 'node:test'
import { systemClock } from '../../src/base/clock.ts'
import { isNodeError, NodeError } from '../../src/base/errors.ts'
import { silentLogger } from '../../src/base/logger.ts'
import type { ConfigInput } from '../../src/config.ts'
import type { RemoteRun } from '../../src/execution/remote/remote-run.ts'
import { cancelAt, followAt, submitTo } from '../../src/execution/remote/run-client.ts'
import { RUN_PROTOCOL } from '../../src/execution/remote/run-protocol.ts'
import { loadIdentity } from '../../src/identity/node-key.ts'
import { Network } from '../../src/network/network.ts'
import { CuttableLine } from '../support/cuttable-line.ts'
import { eventually } from '../support/eventually.ts'
import { freePort } from '../support/free-port.ts'
import { startLoopbackNetwork } from '../support/loopback-network.ts'
import { logOf, RemoteMembers } from '../support/remote-pair.ts'
import { BUSYBOX, testImage } from '../support/test-images.ts'

const ended = (run: RemoteRun) => run.state === 'ended'
const shell = (command: string) => ({ tool: 'shell', cmd: ['sh', '-c', command] })

let lab: RemoteMembers
let lines: CuttableLine[]
let hook: Server
/** What the hook answers; undefined: nothing, ever. */
let answer: object | undefined
const asked: { dry: boolean; member: { name: string }; request: { pipeline: string } }[] = []
const configs: Record<string, ConfigInput> = {}
const alice = () => lab.node('alice')
const bob = () => lab.node('bob')
const submit = (pipeline: string) => alice().federation.remote.runs.submit({ pipeline, on: ['bob'] })
const refusedBy = (pattern: RegExp) => (error: unknown) => {
  assert(isNodeError(error, 'NO_PLACE'), String(error))
  assert.match(error.message, pattern)
  return true
}

async function pipeline(name: string, step: Record<string, unknown>): Promise<void> {
  await alice().federation.execution.addPipeline(name, {
    steps: [{ name, output_dataset: 'results', ...step }],
  })
  const known = () => bob().federation.execution.pipelines.get(name) !== undefined
  await eventually(known, `bob never heard of ${name}`)
}

/** Settings of a node that others reach by a line that can be cut. */
async function behindLine(more: ConfigInput): Promise<ConfigInput> {
  const [port, far] = [await freePort(), await freePort()]
  const line = new CuttableLine(port)
  await line.listen(far)
  lines.push(line)
  return { listen: [`/ip4/127.0.0.1/tcp/${port}`], announce: [`/ip4/127.0.0.1/tcp/${far}`], ...more }
}

const hostSettings = (failMode: 'deny' | 'allow') => {
  const { port } = hook.address() as AddressInfo
  const limits = { member: { runsMax: 4 }, operator: { runsMax: 4 } }
  const asking = { url: `http://127.0.0.1:${port}/`, timeoutMs: 300, failMode }
  return { concurrency: 4, remote: { accept: 'members' as const, limits, hook: asking } }
}

suite('runs at another member, when something goes wrong', () => {
  before(async () => {
    lines = []
    await testImage()
    hook = createServer((request, response) => {
      void text(request).then((body) => {
        asked.push(JSON.parse(body))
        if (answer !== undefined) response.end(JSON.stringify(answer))
      })
    })
    await new Promise<void>((resolve) => hook.listen(0, '127.0.0.1', resolve))
    answer = { allow: true }
    configs.alice = await behindLine({})
    configs.bob = await behindLine({ execution: hostSettings('deny') })
    lab = await RemoteMembers.start(configs)
    await alice().federation.execution.addTool('shell', { image: BUSYBOX })
    await alice().federation.datasets.add('results')
    await pipeline('steady', shell('for i in 1 2 3 4 5 6; do echo "line $i"; sleep 0.6; done'))
  })
  after(async () => {
    await lab?.stop()
    for (const line of lines) await line.close()
    hook.closeAllConnections()
    hook.close()
  })

  test('the operator’s hook decides, its limits are the run’s, and its silence counts as the settings say', async () => {
    answer = { allow: false, reason: 'not on a Sunday' }
    await assert.rejects(submit('steady'), refusedBy(/bob: not on a Sunday/))
    assert.deepEqual([asked.at(-1)?.dry, asked.at(-1)?.member.name], [true, 'alice'])

    answer = { allow: true, limits: { cpus: 0.25, memoryBytes: 16 * 1024 ** 2, stepTimeoutMs: 1_000 } }
    const { id } = await submit('steady')
    const run = await lab.until('alice', id, ended, 'the end')
    assert.equal(run.end?.state, 'timed-out', JSON.stringify(run.end))
    const granted = bob().federation.execution.run(run.hostRun ?? '').steps[0]?.granted
    assert.deepEqual([granted?.cpus, granted?.memoryBytes, granted?.timeoutMs], [0.25, 16 * 1024 ** 2, 1_000])

    answer = undefined
    await assert.rejects(
      submit('steady'),
      refusedBy(/policy could not be asked, and without its word no run/),
    )
    // What would be refused anyway is not put to it.
    const before = asked.length
    await pipeline('socket', { ...shell('true'), docker_socket: true })
    await assert.rejects(submit('socket'), refusedBy(/Docker socket/))
    assert.equal(asked.length, before)
  })

  test('a cut in the middle is shown, and what came meanwhile is not lost', async () => {
    answer = { allow: true }
    const { id } = await submit('steady')
    await eventually(async () => (await logOf(alice(), id)).includes('line 2'), 'the second line never came')
    for (const line of lines) line.cut()
    const cut = await lab.until(
      'alice',
      id,
      ({ lostContact }) => lostContact !== undefined,
      'the loss of contact',
    )
    assert.equal(cut.state, 'placed')
    assert.equal(cut.runState, 'running')
    for (const line of lines) line.mend()
    const run = await lab.until('alice', id, ended, 'the end')
    assert.equal(run.end?.state, 'succeeded', JSON.stringify(run.end))
    assert.equal(run.lostContact, undefined)
    assert.equal(await logOf(alice(), id), [1, 2, 3, 4, 5, 6].map((i) => `line ${i}\n`).join(''))
    assert.equal(new Set(run.transitions.map(({ state }) => state)).size, run.transitions.length)
  })

  test('a cancel that does not reach the host is told as soon as it is there', async () => {
    await pipeline('slow', shell('echo begun; sleep 30'))
    const { id } = await submit('slow')
    await eventually(async () => (await logOf(alice(), id)) === 'begun\n', 'it never began')
    for (const line of lines) line.cut()
    const wished = await alice().federation.remote.runs.cancel(id)
    assert.equal(wished.end, undefined)
    assert.notEqual(wished.cancelRequestedMs, undefined)
    for (const line of lines) line.mend()
    assert.equal((await lab.until('alice', id, ended, 'the end')).end?.state, 'cancelled')
  })

  test('whoever asked was away, the run went on, and is told when it is back', async () => {
    const { id, hostRun = '' } = await submit('steady')
    await eventually(async () => (await logOf(alice(), id)).includes('line 1'), 'it never began')
    await lab.down('alice')
    const { state } = await bob().federation.execution.finished(hostRun)
    assert.equal(state, 'succeeded')
    await lab.up('alice', configs.alice)
    const run = await lab.until('alice', id, ended, 'the end')
    assert.equal(run.end?.state, 'succeeded')
    assert.match(await logOf(alice(), id), /^line 1\n(?:line \d\n)*line 6\n$/)
  })

  test('a host that was restarted in the middle says that the run was lost, and repeats it', async () => {
    const { id, hostRun } = await submit('steady')
    await eventually(async () => (await logOf(alice(), id)).includes('line 1'), 'it never began')
    await lab.down('bob')
    await lab.up('bob', { ...configs.bob, execution: hostSettings('allow') })
    const run = await lab.until('alice', id, ended, 'the end')
    assert.equal(run.end?.state, 'succeeded', JSON.stringify(run.end))
    assert.notEqual(run.hostRun, hostRun)
    assert(run.transitions.some(({ state }) => state === 'lost'))
    // What the hook does not answer is taken now, within the limits of the role.
    answer = undefined
    const { id: other } = await submit('steady')
    answer = { allow: false, reason: 7 }
    await assert.rejects(submit('steady'), refusedBy(/bob: this node's operator does not allow it/))
    await alice().federation.remote.runs.cancel(other)
    const gone = await lab.until('alice', other, ended, 'the end')
    assert.equal(gone.end?.state, 'cancelled', JSON.stringify(gone))
    answer = { allow: true }
  })

  test('a stranger gets nothing, and a member that was removed no more', async (t) => {
    const stranger = await startLoopbackNetwork(t)
    const peer = await stranger.dial(bob().addresses())
    const request = { request: 'r-1', pipeline: 'p', steps: [{}], tools: {} }
    // A stranger's stream is cut at the door, or it reads why.
    const noMember = (error: unknown) =>
      isNodeError(error, 'NOT_A_MEMBER') || isNodeError(error, 'STREAM_CLOSED')
    await assert.rejects(submitTo(stranger, peer, request), noMember)
    await assert.rejects(cancelAt(stranger, peer, 'r-1'), noMember)

    // Carol's run is hers alone, and ends with her membership.
    const { token } = await alice().invite()
    const carol = await lab.up('carol')
    await carol.join(token)
    const known = () => bob().federation.members.byName('carol') !== undefined
    await eventually(known, 'bob never heard of carol')
    const { id, hostRun = '' } = await carol.federation.remote.runs.submit({
      pipeline: 'steady',
      on: ['bob'],
    })
    const asAlice = alice().federation.remote.runs
    assert.throws(
      () => asAlice.get(id),
      (error: unknown) => isNodeError(error, 'RUN_NOT_FOUND'),
    )
    await alice().federation.registry.delete(`/members/${carol.peerId}`)
    const run = await bob().federation.execution.finished(hostRun, AbortSignal.timeout(20_000))
    assert.equal(run.state, 'cancelled')
    // She is told nothing more by whom she may not ask any longer.
    const lost = carol.federation.remote.runs.get(id)
    assert.notEqual(lost.end?.state, 'succeeded')
  })

  test('nonsense and what is too large is refused, and the node goes on', async (t) => {
    // As alice, but keeping no rules: her key, her membership.
    await lab.down('alice')
    const identity = await loadIdentity(`${lab.directory}/alice`)
    const directory = `${lab.directory}/hostile`
    const place = { listen: ['/ip4/127.0.0.1/tcp/0'], announce: [], bootstrap: [], mdns: false }
    const hostile = new Network({
      identity,
      clock: systemClock,
      log: silentLogger,
      directory,
      agentVersion: 'x',
      ...place,
    })
    t.after(() => hostile.stop())
    await hostile.start()
    const peer = await hostile.dial(bob().addresses())
    const steps = (step: object) => [{ name: 'a', tool: 'shell', output_dataset: 'results', ...step }]
    const tools = { shell: { image: BUSYBOX } }
    const send = (more: object) =>
      submitTo(hostile, peer, { request: 'r-x', pipeline: 'p', steps: steps({}), tools, ...more } as never)
    const code = async (sending: Promise<unknown>) => {
      const error = await sending.then(
        () => undefined,
        (thrown: unknown) => thrown,
      )
      return isNodeError(error) ? error.code : String(error)
    }
    const no = (step: object) => code(send({ steps: steps(step) }))
    assert.equal(await code(send({ request: '../../etc' })), 'INVALID_INPUT')
    assert.equal(await no({ name: '../../up' }), 'INVALID_INPUT')
    assert.equal(await no({ privileged: true }), 'INVALID_INPUT')
    assert.equal(await no({ env: { 'A=B': 'x' } }), 'INVALID_INPUT')
    assert.equal(await no({ env: { A: '{{ MAO_PRIVATE_VARIABLE }}' } }), 'FORBIDDEN')
    assert.equal(await no({ publish: ['s3'] }), 'FORBIDDEN')
    assert.equal(await code(send({ tools: { shell: { image: 'evil.example/x:1' } } })), 'CONFLICT')
    // Whether there is such a dataset, nobody is told.
    await bob().federation.datasets.add('diary', { policy: 'local-only' })
    const words = async (dataset: string) => {
      const error = await send({ steps: steps({ input_dataset: dataset }) }).catch(
        (thrown: unknown) => thrown as NodeError,
      )
      return (error as NodeError).message.replaceAll(dataset, 'X')
    }
    assert.equal(await words('diary'), await words('nothing'))
    // A frame beyond the bound cuts the stream before it is read.
    const stream = await hostile.open(peer, RUN_PROTOCOL)
    await stream.write(Buffer.from([0x7f, 0xff, 0xff, 0xff]))
    await assert.rejects(async () => {
      while ((await stream.read()) !== undefined);
      throw new NodeError('STREAM_CLOSED', 'ended')
    })
    // Followers of one run do not pile up: beyond the bound they are refused.
    const { kind } = await send({ steps: steps(shell('sleep 20')), request: 'r-many' })
    assert.equal(kind, 'accepted')
    const cut = new AbortController()
    const question = { request: 'r-many', transitions: 0, log: { offset: 0 } }
    const followers = Array.from({ length: 6 }, async () => {
      for await (const word of followAt(hostile, peer, question, cut.signal)) if (word.kind === 'end') return
    })
    const refused = Promise.any(
      followers.map((one) =>
        one.then(
          () => Promise.reject(new Error('ended')),
          (error: unknown) => error,
        ),
      ),
    )
    assert.equal(isNodeError(await refused, 'QUEUE_FULL'), true)
    cut.abort(new Error('enough'))
    await Promise.allSettled(followers)
    await cancelAt(hostile, peer, 'r-many')
  })
})
