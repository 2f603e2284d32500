/**
 * A process of its own that opens the execution room of the directory in its first argument and submits the pipeline in
 * its second, where there is one. It says on standard output what its runs do, a line `<run> <state> <step>` per stored
 * transition, so that a test can end it at any of them.
 */
import { openExecutionRoom } from './execution-room.ts'

const [directory = '', pipeline = ''] = process.argv.slice(2)
const room = await openExecutionRoom(directory)
room.execution.onRun((run) => {
  const last = run.transitions.at(-1)
  // Written synchronously: the line is out before the transition takes effect.
  process.stdout.write(
    `${run.id} ${run.state} ${last?.step ?? '-'} ${run.steps.filter((s) => s.state === 'succeeded').length}\n`,
  )
})
if (pipeline !== '') await room.execution.submit(pipeline)
