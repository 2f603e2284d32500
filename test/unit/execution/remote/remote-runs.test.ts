import assert from 'node:assert/strict'
import { suite, type TestContext, test } from 'node:test'
import { openDatabase } from '../../../../src/base/database.ts'
import { NodeError } from '../../../../src/base/errors.ts'
import { remoteCancelWaitMs } from '../../../../src/base/limits.ts'
import { silentLogger } from '../../../../src/base/logger.ts'
import { RemoteLogs } from '../../../../src/execution/remote/remote-logs.ts'
import type { RemoteRun } from '../../../../src/execution/remote/remote-run.ts'
import { RemoteRunStore } from '../../../../src/execution/remote/remote-run-store.ts'
import { RemoteRuns } from '../../../../src/execution/remote/remote-runs.ts'
import { eventually } from '../../../support/eventually.ts'
import { temporaryDirectory } from '../../../support/temporary-directory.ts'

const placed: RemoteRun = {
  ...{ id: 'r-1', pipeline: 'p', steps: [], tools: {}, asked: {}, state: 'placed', createdMs: 1 },
  ...{ refusals: [], transitions: [], stepsDone: [], host: { peer: 'P', name: 'bob' }, hostRun: 'a' },
}

/** A run at bob's, who is never reached. */
async function atBobs(t: TestContext) {
  const directory = await temporaryDirectory(t)
  const database = await openDatabase(`${directory}/db`)
  const world = { nowMs: 1_000_000, isMember: true, asked: 0, connected: (_peer: string): void => undefined }
  const store = new RemoteRunStore(database)
  await store.save(placed)
  const open = () => {
    world.asked += 1
    return Promise.reject(new NodeError('PEER_UNREACHABLE', 'bob is not there'))
  }
  const never = () => {
    throw new Error('not asked for')
  }
  const runs = new RemoteRuns({
    ...{ store, logs: new RemoteLogs(directory), streams: { open }, log: silentLogger },
    clock: { now: () => world.nowMs },
    isMember: () => world.isMember,
    onConnect: (connected) => {
      world.connected = connected
      return () => undefined
    },
    ...{ candidates: () => [], isOperator: () => false, planOf: never, toolOf: never, newId: never },
  })
  await runs.start()
  t.after(async () => {
    await runs.stop()
    await database.close()
  })
  const ended = () => eventually(() => runs.get('r-1').state === 'ended', 'the run never ended', 20_000)
  return { runs, world, ended }
}

suite('a run at a host that does not say how it ended', () => {
  test('cancelled, it counts as lost after a while, and the host is told again when it is back', async (t) => {
    const { runs, world, ended } = await atBobs(t)
    await runs.cancel('r-1')
    world.nowMs += remoteCancelWaitMs - 1
    await eventually(() => runs.get('r-1').lostContact !== undefined, 'bob was never looked for')
    assert.equal(runs.get('r-1').state, 'placed')
    world.nowMs += 1
    world.connected('P')
    await ended()
    assert.equal(runs.get('r-1').end?.state, 'lost')
    assert.match(runs.get('r-1').end?.reason ?? '', /bob has not said for 60 minutes .* may go on there/)
    const before = world.asked
    world.connected('P')
    await eventually(() => world.asked > before, 'bob was not told again')
  })

  test('it is lost with the membership of its host', async (t) => {
    const { runs, world, ended } = await atBobs(t)
    world.isMember = false
    world.connected('P')
    await ended()
    assert.deepEqual([runs.get('r-1').end?.state, runs.get('r-1').end?.code], ['lost', 'NOT_A_MEMBER'])
  })
})
