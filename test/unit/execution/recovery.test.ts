import assert from 'node:assert/strict'
import { test } from 'node:test'
import { systemClock } from '../../../src/base/clock.ts'
import { silentLogger } from '../../../src/base/logger.ts'
import { Recovery } from '../../../src/execution/runs/recovery.ts'
import type { Run } from '../../../src/execution/runs/run.ts'
import { advance, newRun } from '../../../src/execution/runs/run-machine.ts'

const COMMIT = 'c'.repeat(40)

/** A run that a crash has cut between its commit and the word that it was made. */
function cutRun(terms: { owner?: string }): Run {
  const step = { name: 'count', tool: 'wc', cmd: null, env: null, docker_socket: false }
  const plan = [{ ...step, input_dataset: null, output_dataset: 'results' }]
  let run = newRun({ id: 'run', pipeline: 'p', plan, trigger: { kind: 'request' }, timeMs: 1, terms })
  for (const state of ['pulling', 'staging', 'running', 'committing'] as const) {
    run = advance(run, state, 2, state === 'running' ? { outputBranch: 'count-bob' } : {})
  }
  return run
}

for (const [owner, reviews] of [
  [undefined, 1],
  ['peer01', 0],
] as const) {
  const whose = owner === undefined ? 'this node’s own' : 'another member’s'
  test(`a commit of ${whose} run that is found after a crash is reviewed ${reviews} times`, async () => {
    const run = cutRun(owner === undefined ? {} : { owner })
    const saved: Run[] = []
    let reviewed = 0
    const repository = {
      resolve: async () => COMMIT,
      readCommit: async () => ({ message: 'count\n\nRun-Id: run\nStep: count\n' }),
    }
    const recovery = new Recovery({
      store: {
        list: () => [run],
        save: async (...runs: Run[]) => saved.push(...runs),
        find: () => undefined,
      },
      staging: { clear: async () => undefined },
      datasets: { repository: async () => repository },
      monitor: {
        review: async () => {
          reviewed += 1
          return undefined
        },
      },
      ...{ repeatLost: true, newId: () => 'next', clock: systemClock, log: silentLogger },
    } as never)
    await recovery.recover()
    assert.equal(saved[0]?.steps[0]?.outputCommit, COMMIT)
    assert.equal(reviewed, reviews)
  })
}
