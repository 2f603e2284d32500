import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import type { PipelineStep } from '../../../../src/execution/catalogue/pipeline.ts'
import { decide, type HostFacts } from '../../../../src/execution/remote/host-policy.ts'
import type { RunRequest } from '../../../../src/execution/remote/run-request.ts'
import { remoteSettingsSchema } from '../../../../src/execution/remote/settings.ts'
import {
  mayStillRead,
  opennessOf,
  reasonTold,
  stepsTold,
  transitionsTold,
  waitTold,
  withoutPaths,
} from '../../../../src/execution/remote/told.ts'
import type { TrustEntry } from '../../../../src/execution/remote/trust.ts'

const MIB = 1024 ** 2
const GOOD = `sha256:${'a'.repeat(64)}`
const CHECK = `sha256:${'c'.repeat(64)}`

function step(more: Partial<PipelineStep> = {}): PipelineStep {
  return {
    ...{ name: 'count', tool: 'wc', cmd: null, env: null, docker_socket: false },
    ...{ input_dataset: null, output_dataset: 'results', ...more },
  }
}

function request(more: Partial<PipelineStep> = {}, digest: string | undefined = GOOD): RunRequest {
  const wc = { image: 'lab/wc:1', ...(digest === undefined ? {} : { digest }) }
  const tools = { wc, check: { image: 'lab/check:1', digest: CHECK } }
  return { request: 'r-1', pipeline: 'p', steps: [step(more)], tools }
}

type Remote = Parameters<typeof remoteSettingsSchema.parse>[0]

function facts(more: Partial<HostFacts> = {}, remote: Remote = {}): HostFacts {
  const policies = {
    results: 'shared',
    data: 'shared',
    patients: 'compute-only',
    diary: 'local-only',
  } as const
  return {
    role: 'member',
    settings: remoteSettingsSchema.parse({ accept: 'members', ...(remote as object) }),
    step: {
      ...{ cpus: 1, memoryBytes: 256 * MIB, outputBytes: 2 ** 31, pids: 64 },
      ...{ stepTimeoutMs: 60_000, runTimeoutMs: 2 ** 31 },
    },
    imageOf: (tool) => ({ wc: 'lab/wc:1', check: 'lab/check:1' })[tool],
    imageRefusal: () => undefined,
    dataset: (name) => {
      const policy = Object.hasOwn(policies, name) ? policies[name as keyof typeof policies] : undefined
      return policy === undefined ? undefined : { policy, isHome: true }
    },
    trusted: (dataset) =>
      dataset === 'patients' ? [{ digest: GOOD, logs: false, parameters: false, timeMs: 1 }] : [],
    ownsRun: () => false,
    ...{ atWork: 0, waiting: 0, ...more },
  }
}

function refused(asked: RunRequest, with_: HostFacts): string {
  const decision = decide(asked, with_)
  assert.equal(decision.allow, false, 'it was taken')
  return decision.allow ? '' : `${decision.code}: ${decision.reason}`
}

suite('whether a host takes a run', () => {
  test('whose runs are taken', () => {
    assert.match(refused(request(), facts({ role: undefined })), /^NOT_A_MEMBER/)
    assert.match(refused(request(), facts({}, { accept: 'none' })), /takes no runs of others/)
    assert.match(refused(request(), facts({}, { accept: 'operators' })), /operators only/)
    assert.equal(decide(request(), facts({ role: 'operator' }, { accept: 'operators' })).allow, true)
    assert.match(refused(request(), facts({ atWork: 1, waiting: 10 })), /^QUEUE_FULL: 11 of your runs/)
  })

  for (const [what, more, reason] of [
    ['the Docker socket', { docker_socket: true }, /Docker socket/],
    ['a network', { network: 'bridge' as const }, /network "bridge"/],
    ['a root that it can write', { root: 'writable' as const }, /root file system/],
    ['a publisher', { publish: ['s3'] }, /publishers/],
    ['a secret', { env: { T: '{{ MAO_PRIVATE_VARIABLE }}' } }, /secret/],
    ['a secret with a slip', { env: { T: 'x {{MAO_PRIVAT_VARIABLE}}' } }, /secret/],
    [
      'a secret for the filter',
      { filter: { tool: 'check', cmd: null, env: { T: '{{MAO_PRIVATE_VARIABLE}}' } } },
      /secret/,
    ],
    ['an address', { inputs: [{ url: 'http://169.254.169.254/' }] }, /fetches nothing/],
    ['an identifier', { inputs: [{ pid: 'doi:10.1/x' }] }, /fetches nothing/],
    ['the run of another', { inputs: [{ run: 'mi8q2w3e-9f3a' }] }, /not yours/],
    ['a tool that nobody registered', { tool: 'evil' }, /^TOOL_NOT_FOUND/],
    ['more memory than it gets', { resources: { memoryBytes: 2 ** 40 } }, /this node gives you 268435456/],
    ['a device', { resources: { gpus: 1 } }, /1 devices; this node gives you 0/],
    ['more time than it gets', { timeoutMs: 2 ** 30 }, /this node gives you 60000/],
    ['more disk than it gets', { resources: { diskBytes: 2 ** 40 } }, /bytes of disk; this node gives you/],
    ['more processes than it gets', { resources: { pids: 65 } }, /65 processes; this node gives you 64/],
    ['an output that nobody would get', { output_dataset: 'patients' }, /never come back/],
  ] as const) {
    test(`${what} is refused`, () => assert.match(refused(request(more as never), facts()), reason))
  }

  test('an image is the one of the registry, and one that the node runs', () => {
    const other = { ...request(), tools: { wc: { image: 'evil.example/x:1', digest: GOOD } } }
    assert.match(refused(other, facts()), /^CONFLICT: the tool wc is lab\/wc:1 here/)
    assert.match(refused(request(), facts({ imageRefusal: () => 'not here' })), /^IMAGE_FORBIDDEN: not here/)
  })

  test('limits are written into the plan; a hook makes them tighter and never wider', () => {
    const limits = { member: { memoryBytes: 128 * MIB, stepTimeoutMs: 30_000 } }
    const granted = (overrides = {}) => {
      const decision = decide(request(), facts({}, { limits }), overrides)
      assert(decision.allow)
      const [first] = decision.steps
      return [
        first?.resources?.cpus,
        first?.resources?.memoryBytes,
        first?.resources?.diskBytes,
        first?.resources?.pids,
        first?.timeoutMs,
        decision.granted.runTimeoutMs,
      ]
    }
    const all = [1, 128 * MIB, 1024 * MIB, 64, 30_000, 4 * 3_600_000]
    assert.deepEqual(granted(), all)
    const tighter = { cpus: 0.5, diskBytes: MIB, pids: 8, runTimeoutMs: 9_000 }
    assert.deepEqual(granted(tighter), [0.5, 128 * MIB, MIB, 8, 30_000, 9_000])
    const wider = { cpus: 64, memoryBytes: 2 ** 40, diskBytes: 2 ** 40, pids: 999, stepTimeoutMs: 2 ** 30 }
    assert.deepEqual(granted(wider), all)
  })

  test('data that do not leave are read by a trusted tool as its image starts', () => {
    const reads = { input_dataset: 'patients' }
    const decision = decide(request(reads), facts())
    assert(decision.allow)
    assert.deepEqual([decision.logs, decision.imageDigests.wc], [false, GOOD])
    assert.match(refused(request(reads, CHECK), facts()), /does not trust the tool wc, at sha256:c/)
    const { wc: _named, ...rest } = request(reads).tools
    assert.match(
      refused({ ...request(reads), tools: { ...rest, wc: { image: 'lab/wc:1' } } }, facts()),
      /does not name by its digest/,
    )
    for (const more of [
      { cmd: ['cat', 'input/x'] },
      { env: { LD_PRELOAD: '/usr/src/app/inputs/x.so' } },
      { inputs: [{ text: 'cat input/*', name: 'a.sh' }] },
      // What is shared is anybody's to write: a script for a tool that reads it as one.
      { inputs: [{ dataset: 'data' }] },
    ]) {
      assert.match(refused(request({ ...reads, ...more } as never), facts()), /may not choose/)
      const loose = facts({ trusted: () => [{ digest: GOOD, logs: true, parameters: true, timeMs: 1 }] })
      assert.equal(decide(request({ ...reads, ...more } as never), loose).allow, true)
    }
    assert.match(
      refused(request({ input_dataset: 'data', inputs: [{ dataset: 'patients' }] }), facts()),
      /may not choose/,
    )
    const elsewhere = facts({
      dataset: (name) => ({ policy: name === 'results' ? 'shared' : 'compute-only', isHome: false }),
    })
    assert.match(refused(request(reads), elsewhere), /the data of patients are not here/)
  })

  test('the filter that is demanded is the very one, as it starts', () => {
    const entry = {
      digest: GOOD,
      filter: { tool: 'check', digest: CHECK },
      logs: false,
      parameters: true,
      timeMs: 1,
    }
    const with_ = facts({ trusted: () => [entry] })
    const reads = { input_dataset: 'patients' }
    const filter = { tool: 'check', cmd: null, env: null }
    assert.equal(decide(request({ ...reads, filter }), with_).allow, true)
    assert.match(refused(request(reads), with_), /pass the filter check/)
    assert.match(refused(request({ ...reads, filter: { ...filter, cmd: ['true'] } }), with_), /has another/)
    assert.match(refused(request({ ...reads, filter: { ...filter, tool: 'wc' } }), with_), /has another/)
  })

  test('where a tool finds its files, whoever trusts it says, and never the request', () => {
    const entry = { digest: GOOD, logs: false, parameters: true, timeMs: 1 }
    const house = { layout: 'compute-to-data' as const }
    const asks = (step: Partial<PipelineStep>, trusted: Partial<TrustEntry>) => {
      const with_ = facts({ trusted: () => [{ ...entry, ...trusted }] })
      return decide(request({ input_dataset: 'patients', ...step }), with_)
    }
    assert.equal(asks({}, {}).allow, true)
    assert.equal(asks(house, house).allow, true)
    for (const decision of [asks(house, {}), asks({}, house), asks({ layout: 'mao' }, house)]) {
      assert(!decision.allow)
      assert.match(decision.reason, /patients trusts the tool wc (with the layout|as its image)/)
    }
  })

  test('whether a name that is told to nobody exists, nobody is told', () => {
    const word = (dataset: string) =>
      refused(request({ input_dataset: dataset }), facts()).replaceAll(dataset, 'X')
    assert.equal(word('diary'), word('nothing'))
    const out = (dataset: string) =>
      refused(request({ output_dataset: dataset }), facts()).replaceAll(dataset, 'X')
    assert.equal(out('diary'), out('nothing'))
  })

  test('what is told of a run names nothing of the machine, and nothing that a tool has chosen', () => {
    const open = { isPrivate: false, logs: true }
    const closed = { isPrivate: true, logs: false }
    assert.equal(reasonTold({ reason: 'exit code 3' }, open), 'exit code 3')
    assert.equal(
      reasonTold({ reason: 'no space on /srv/mao', code: 'DISK_FULL' }, open),
      'the disk of the host is full',
    )
    assert.equal(
      reasonTold({ reason: 'ENOENT at 10.0.0.7', code: 'INTERNAL' }, open),
      'the machinery of the host failed',
    )
    assert.match(reasonTold({ reason: 'made "ann,7"' }, closed) ?? '', /is not told/)
    assert.equal(
      withoutPaths("open '/var/lib/mao/staging/x' failed, see /etc/mao/config.yaml."),
      "open '…' failed, see …",
    )
    const run = { plan: [step({ input_dataset: 'patients' })], imageDigests: { wc: GOOD } }
    assert.deepEqual(opennessOf(run, facts()), closed)
    assert.equal(mayStillRead(run, facts()), true)
    assert.equal(mayStillRead(run, facts({ trusted: () => [] })), false)
    assert.deepEqual(opennessOf({ plan: [step()] }, facts()), open)
  })

  test('what is granted is read and written by who has a grant, and told as long as the grant holds', () => {
    const without = facts({ mayRead: (dataset) => dataset !== 'data' })
    assert.match(refused(request({ input_dataset: 'data' }), without), /with a grant may have data/)
    assert.match(refused(request({ output_dataset: 'data' }), without), /with a grant may have data/)
    const run = { plan: [step({ input_dataset: 'data' })], imageDigests: { wc: GOOD } }
    assert.deepEqual(opennessOf(run, facts({ mayRead: () => true })), { isPrivate: false, logs: true })
    assert.deepEqual(opennessOf(run, without), { isPrivate: true, logs: false })
    assert.equal(mayStillRead(run, without), false)
  })

  test('of a run that reads what does not leave, no exit code is told unless its words are', () => {
    const steps = [
      { name: 'count', tool: 'wc', state: 'failed' as const, exitCode: 110, outputDataset: 'results' },
    ]
    const told = (openness: { isPrivate: boolean; logs: boolean }) =>
      stepsTold({ steps }, openness)[0]?.exitCode
    assert.equal(told({ isPrivate: true, logs: false }), undefined)
    assert.equal(told({ isPrivate: true, logs: true }), 110)
    assert.equal(told({ isPrivate: false, logs: true }), 110)
  })

  test('why a run waits is told in the words of its kind, whatever the machine says of itself', () => {
    const open = { isPrivate: false, logs: true }
    const why = 'begins again at … after: the engine b at 10.1.2.3:2376 refused svc-mao'
    const place = { position: 2, why, kind: 'time' as const }
    assert.deepEqual(waitTold(place, open), { position: 2, why: 'it begins again in a while' })
    assert.deepEqual(waitTold(place, { isPrivate: true, logs: false }), { position: 2 })
    const again = { state: 'queued' as const, timeMs: 3, reason: `tried again (1 of 5): ${why}` }
    const transitions = [{ state: 'queued' as const, timeMs: 1, reason: 'asked for' }, again]
    const run = { state: 'queued', transitions, plan: [step()] } as never
    assert.deepEqual(
      transitionsTold([run], open).map(({ reason }) => reason),
      ['asked for', 'the machinery of the host failed'],
    )
  })
})
