import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { remoteLogBytesMax } from '../../../../src/base/limits.ts'
import { branchOf, stepFor } from '../../../../src/datasets/branches.ts'
import { arrivalOf } from '../../../../src/execution/remote/arrival.ts'
import { FollowTurns } from '../../../../src/execution/remote/follow-turns.ts'
import { RemoteLogs } from '../../../../src/execution/remote/remote-logs.ts'
import { contactLost, endedHere, heard, type RemoteRun } from '../../../../src/execution/remote/remote-run.ts'
import type { Followed } from '../../../../src/execution/remote/run-protocol.ts'
import { temporaryDirectory } from '../../../support/temporary-directory.ts'

const SELF = 'SELF'
const OID = '0123456789abcdef0123456789abcdef01234567'
const TREE = '89abcdef0123456789abcdef0123456789abcdef'

function placed(more: Partial<RemoteRun> = {}): RemoteRun {
  const step = { name: 'count', tool: 'wc', cmd: null, env: null, docker_socket: false }
  return {
    ...{ id: 'r-1', pipeline: 'p', steps: [{ ...step, input_dataset: null, output_dataset: 'results' }] },
    ...{ tools: {}, asked: {}, state: 'placed', createdMs: 1, refusals: [], transitions: [], stepsDone: [] },
    ...{ host: { peer: 'P', name: 'bob' }, hostRun: 'a', ...more },
  }
}

type Told = Extract<Followed, { kind: 'run' }>
const told = (more: Partial<Told> = {}): Told => {
  return { kind: 'run', run: 'a', state: 'running', from: 0, transitions: [], steps: [], logs: true, ...more }
}
const end = (outputs: Extract<Followed, { kind: 'end' }>['outputs'] = []) => {
  return { kind: 'end' as const, run: 'a', state: 'succeeded', endedMs: 5, outputs }
}

suite('a run at another member, as its owner knows it', () => {
  test('what the host says moves it on; what does not follow on what is known is refused', () => {
    const transition = { state: 'queued', timeMs: 1, reason: 'a\u001b[31mb' }
    const first = heard(placed(), told({ transitions: [transition], position: 2, why: 'x' }))
    assert.deepEqual([first.state, first.position, first.transitions.length], ['following', 2, 1])
    assert.equal(first.transitions[0]?.reason, 'a [31mb')
    assert.equal(heard(first, told({ from: 1 })).position, undefined)
    assert.throws(() => heard(first, told({ from: 0 })), { code: 'INVALID_INPUT' })
    const many = Array.from({ length: 2_000 }, () => transition)
    const full = { ...first, transitions: many }
    assert.throws(() => heard(full, told({ from: 2_000, transitions: [transition] })), { code: 'TOO_LARGE' })
  })

  test('a lost contact is shown since it was lost, until the host is heard again; an end stays', () => {
    const lost = contactLost(heard(placed(), told()), { timeMs: 10, reason: 'cut' })
    assert.deepEqual([lost.state, lost.runState, lost.lostContact?.sinceMs], ['placed', 'running', 10])
    assert.equal(contactLost(lost, { timeMs: 20, reason: 'cut' }).lostContact?.sinceMs, 10)
    assert.equal(heard(lost, told()).lostContact, undefined)
    const over = heard(lost, end())
    assert.deepEqual([over.state, over.lostContact], ['ended', undefined])
    assert.equal(contactLost(over, { timeMs: 30, reason: 'cut' }), over)
    assert.equal(endedHere(placed(), { state: 'lost', reason: 'gone', timeMs: 3 }).end?.state, 'lost')
  })

  test('a host that lies about its results is found out by the commits', async () => {
    const output = {
      step: 'count',
      dataset: 'results',
      branch: branchOf(stepFor(SELF, 'count'), 'bob'),
      commit: OID,
      tree: TREE,
    }
    const here = new Map([[OID, TREE]])
    const datasets = {
      find: (name: string) => (name === 'results' ? {} : undefined),
      holds: async (_name: string, commit: string) => here.has(commit),
      repository: async () => ({ readCommit: async (commit: string) => ({ tree: here.get(commit) }) }),
      follows: () => true,
    } as never
    const arrival = async (more: object) => {
      const run = heard(placed(), end([{ ...output, ...more }]))
      return (await arrivalOf(run, SELF, datasets)).outputs[0]?.arrival
    }
    assert.equal(await arrival({}), 'here')
    assert.equal(await arrival({ commit: TREE }), 'awaited')
    assert.equal(await arrival({ tree: OID }), 'mismatch')
    // Where the host's own results of the step are, nothing of ours can be.
    assert.equal(await arrival({ branch: 'count-bob' }), 'mismatch')
    assert.equal(await arrival({ branch: branchOf(stepFor('another', 'count'), 'bob') }), 'mismatch')
    assert.equal(await arrival({ dataset: 'other' }), 'mismatch')
    assert.equal(await arrival({ step: 'else' }), undefined)
  })

  test('a log goes on where it was cut, also in a repetition, and is bounded', async (t) => {
    const logs = new RemoteLogs(await temporaryDirectory(t))
    const text = async (from = 0) => {
      const pieces: Uint8Array[] = []
      for await (const piece of logs.read('r-1', { from })) pieces.push(piece)
      return Buffer.concat(pieces).toString()
    }
    assert.deepEqual(await logs.place('r-1'), { offset: 0 })
    await logs.append('r-1', 'a', 0, Buffer.from('one\n'))
    await logs.append('r-1', 'a', 2, Buffer.from('e\ntwo\n'))
    assert.deepEqual(await logs.place('r-1'), { run: 'a', offset: 8 })
    await assert.rejects(logs.append('r-1', 'a', 9, Buffer.from('x')), { code: 'INVALID_INPUT' })
    await logs.append('r-1', 'b', 0, Buffer.from('again\n'))
    assert.deepEqual(await logs.place('r-1'), { run: 'b', offset: 6 })
    assert.equal(await text(), 'one\ntwo\nagain\n')
    assert.equal(await text(8), 'again\n')

    // Whoever follows reads what comes, and ends with the run.
    let over = false
    const following = (async () => {
      let all = ''
      for await (const piece of logs.read('r-1', { from: 8, isOver: () => over })) all += Buffer.from(piece)
      return all
    })()
    await logs.append('r-1', 'b', 6, Buffer.from('more\n'))
    over = true
    logs.wake('r-1')
    assert.equal(await following, 'again\nmore\n')

    const chunk = Buffer.alloc(8 * 1024 ** 2, 'x')
    let offset = 0
    const flood = async () => {
      for (; offset <= 3 * remoteLogBytesMax; offset += chunk.length)
        await logs.append('r-2', 'a', offset, chunk)
    }
    await assert.rejects(flood(), { code: 'TOO_LARGE' })
    assert.match((await text()).slice(0, 4), /one/)
  })

  test('a host that sends nothing under ever new names fills no disk', async (t) => {
    const logs = new RemoteLogs(await temporaryDirectory(t))
    for (let i = 0; i < 40; i += 1) await logs.append('r-1', `n${i}`, 0, new Uint8Array(0))
    assert.deepEqual(await logs.place('r-1'), { offset: 0 })
    const names = async () => {
      for (let i = 0; i < 40; i += 1) await logs.append('r-1', `n${i}`, 0, Buffer.from('x'))
    }
    await assert.rejects(names(), { code: 'TOO_LARGE' })
    assert.deepEqual(await logs.place('r-1'), { run: 'n15', offset: 1 })
  })

  test('more runs at one host than it serves followers are followed in turn', async () => {
    const turns = new FollowTurns(1, 5)
    const { signal } = new AbortController()
    const order: string[] = []
    const follow = (name: string) =>
      turns.take('P', signal, async (over) => {
        order.push(name)
        await new Promise<void>((_resolve, reject) => {
          over.addEventListener('abort', () => reject(over.reason), { once: true })
          if (name === 'b') reject(new Error('cut'))
        })
      })
    const first = follow('a')
    await assert.rejects(follow('b'), /cut/)
    await first
    assert.deepEqual(order, ['a', 'b'])
  })
})
