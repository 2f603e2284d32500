/**
 * A process of its own that opens the execution room of the directory in its first argument and submits the pipeline in
 * its second, where there is one. It says on standard output what its runs do, a line `<run> <state> <step>` per stored
 * transition, so that a test can end it at any of them.
 *
 * It can also end itself, as a power cut would: `MAO_TEST_KILL=before:3` the moment before the third transition is
 * stored, `after:3` when it is on the disk and nothing of it has taken effect. It says `killed` with the state first.
 * `MAO_TEST_SHELF` is a folder that the publisher `shelf` publishes to, `MAO_TEST_SOCKET` that of the container engine.
 */
import { writeSync } from 'node:fs'
import type { Run } from '../../src/execution/runs/run.ts'
import { RunStore } from '../../src/execution/runs/run-store.ts'
import { openExecutionRoom, shelfIn } from './execution-room.ts'

const [directory = '', pipeline = ''] = process.argv.slice(2)
const [side, count] = (process.env.MAO_TEST_KILL ?? '').split(':')

const { save } = RunStore.prototype
let saves = 0
RunStore.prototype.save = async function (...runs: Run[]): Promise<void> {
  saves += 1
  const mine = saves === Number(count)
  if (mine && side === 'before') die(runs)
  await save.apply(this, runs)
  if (mine && side === 'after') die(runs)
}

/** At once: no handler, no flush, nothing that a killed process could still do. */
function die([run]: Run[]): void {
  writeSync(1, `killed ${run?.state}\n`)
  process.kill(process.pid, 'SIGKILL')
}

const { MAO_TEST_SHELF, MAO_TEST_SOCKET: socketPath } = process.env
const room = await openExecutionRoom(directory, {
  settings: { ...shelfIn(MAO_TEST_SHELF).settings, retryDelayMs: 100 },
  ...(socketPath === undefined ? {} : { socketPath }),
})
room.execution.onRun((run) => {
  const last = run.transitions.at(-1)
  // Written synchronously: the line is out before the transition takes effect.
  writeSync(
    1,
    `${run.id} ${run.state} ${last?.step ?? '-'} ${run.steps.filter((s) => s.state === 'succeeded').length}\n`,
  )
})
if (pipeline !== '') {
  const { id } = await room.execution.submit(pipeline)
  if (count !== undefined) {
    await room.execution.finished(id)
    await room.stop()
  }
}
