import assert from 'node:assert/strict'
import { test } from 'node:test'
import { serveFollower } from '../../../../src/execution/remote/follow-server.ts'
import type { Followed } from '../../../../src/execution/remote/run-protocol.ts'
import type { Run } from '../../../../src/execution/runs/run.ts'
import { eventually } from '../../../support/eventually.ts'

const ALICE = 'alice-peer'

test('what is printed after trust in the log was withdrawn does not go out, on a stream that had begun before', async () => {
  let trusts = true
  let state: Run['state'] = 'running'
  const heard: Followed[] = []
  const listeners = new Set<() => void>()
  const move = () => {
    for (const listener of [...listeners]) listener()
  }
  const run = () => {
    const transitions = [{ state, timeMs: 1 }]
    return { id: 'run-1', owner: ALICE, state, steps: [], transitions, plan: [], endedMs: 2 } as never as Run
  }
  const texts = () =>
    heard.flatMap((word) => (word.kind === 'log' ? [Buffer.from(word.bytes).toString()] : []))
  async function* printing() {
    yield Buffer.from('before')
    await eventually(() => texts().length === 1, 'the first piece never came')
    trusts = false
    yield Buffer.from('after')
  }
  const serving = serveFollower(
    {
      talk: {
        peer: ALICE,
        say: async (word) => void heard.push(word as Followed),
        end: async () => undefined,
      },
      question: { kind: 'follow', request: 'r-1', transitions: 0, log: { offset: 0 } },
      chain: () => [run()],
      openness: () => ({ isPrivate: true, logs: trusts }),
      execution: {
        onRun: (listener: (moved: Run) => void) => {
          const hear = () => listener(run())
          listeners.add(hear)
          return () => listeners.delete(hear)
        },
        reading: { bytes: printing },
        position: () => undefined,
      } as never,
      datasets: {} as never,
    },
    AbortSignal.timeout(10_000),
  )
  await eventually(() => !trusts, 'the tool never printed')
  state = 'succeeded'
  move()
  await serving
  assert.deepEqual(texts(), ['before'])
  assert.equal(heard.at(-1)?.kind, 'end')
})
