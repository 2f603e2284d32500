import { randomUUID } from 'node:crypto'
import { type Command, InvalidArgumentError } from 'commander'
import { type RunView, runSchema } from '../api/run-views.ts'
import { runPreviewSchema, type Submission } from '../api/submit-views.ts'
import { isNodeError } from '../base/errors.ts'
import { submitAgainMs, submitAttemptsMax } from '../base/limits.ts'
import { delay } from '../base/wait.ts'
import { parseDuration } from './arguments.ts'
import type { ApiClient } from './client.ts'
import { EXIT } from './exit-codes.ts'
import { isPlaced, type PlacementFlags, placementOptions, submitRemote } from './remote-run.ts'
import { runLogText } from './run-logs.ts'
import { renderPreview } from './run-preview.ts'
import { renderRun } from './run-view.ts'
import { untilEnded } from './run-wait.ts'
import type { Act, Session } from './session.ts'

export interface SubmitFlags extends PlacementFlags {
  slot?: number
  priority?: number
  maxWait?: number
  timeout?: number
  key?: string
  dryRun?: boolean
  wait?: boolean
  follow?: boolean
}

/** `run submit`, and the older `pipeline run`. */
export function submitCommand(parent: Command, act: Act, name: string): void {
  const command = parent
    .command(`${name} <pipeline>`)
    .description('run a pipeline on this node, or at another member')
  placementOptions(submitOptions(command)).action(
    act(async (session, pipeline: string, flags: SubmitFlags) => {
      if (isPlaced(flags)) return submitRemote(session, pipeline, flags)
      await submitRun(session, submissionOf(pipeline, flags), flags)
    }),
  )
}

export function submitOptions(command: Command): Command {
  return command
    .option('--priority <number>', 'from -100 to 100; higher goes first', parsePriority)
    .option('--max-wait <time>', 'wait in the queue no longer than this, such as 2h', parseDuration)
    .option('--timeout <time>', 'longest time of the run, such as 30m', parseDuration)
    .option('--slot <ms>', 'the round that the results belong to; default: now', parseSlot)
    .option('--key <key>', 'asking again under the same key gives the run that was made first')
    .option(
      '--dry-run',
      'only say what would become of it, and what is wrong; exit code 8 if it would not run',
    )
    .option('--wait', 'until the run has ended; exit code 8 unless it succeeded')
    .option('--follow', 'print what it prints, and wait')
}

export function submissionOf(pipeline: string, flags: SubmitFlags): Submission {
  const { slot, priority, maxWait: waitMsMax, timeout: timeoutMs } = flags
  return { pipeline, slot, priority, waitMsMax, timeoutMs }
}

async function submitRun(session: Session, asked: Submission, flags: SubmitFlags): Promise<void> {
  const client = await session.connect()
  if (flags.dryRun === true) {
    const preview = await client.post('/runs', runPreviewSchema, asked, { query: { dryRun: 'true' } })
    session.out.result(preview, () => renderPreview(session.out, preview))
    if (!preview.wouldRun) session.exitCode = EXIT.OUTCOME
    return
  }
  const run = await submitOnce(client, asked, flags.key ?? randomUUID())
  await tellSubmitted(session, client, run, { wait: flags.wait === true, follow: flags.follow === true })
}

/** An answer may be lost where the run was made; under one key, asking again makes no second one. */
async function submitOnce(client: ApiClient, asked: Submission, key: string): Promise<RunView> {
  const headers = { 'idempotency-key': `"${key}"` }
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await client.post('/runs', runSchema, asked, { headers })
    } catch (error) {
      const isLost = isNodeError(error, 'NODE_UNREACHABLE') || isNodeError(error, 'TIMED_OUT')
      if (!isLost || attempt >= submitAttemptsMax) throw error
      await delay(submitAgainMs)
    }
  }
}

/** What to do after a run was submitted: tell of it, or stay with it until its end, which then is our own. */
export async function tellSubmitted(
  session: Session,
  client: ApiClient,
  run: RunView,
  { wait, follow }: { wait: boolean; follow: boolean },
): Promise<void> {
  if (!wait && !follow) {
    session.out.result(run, () => {
      const why = run.queue === undefined ? '' : ` (${run.queue.why})`
      return `The run ${run.id} is ${run.state}${why}; "maoctl run logs -f ${run.id}" follows it.`
    })
    return
  }
  session.out.note(`The run ${run.id} is ${run.state}.`)
  if (follow) {
    for await (const part of runLogText(client, run.id, { follow: true })) session.out.raw(part)
  }
  const ended = await untilEnded(session, client, run.id)
  session.out.result(ended, () => renderRun(session.out, ended))
  if (ended.state !== 'succeeded') session.exitCode = EXIT.OUTCOME
}

/** @throws InvalidArgumentError */
function parsePriority(text: string): number {
  const priority = Number(text)
  if (!Number.isInteger(priority) || priority < -100 || priority > 100 || text.trim() === '') {
    throw new InvalidArgumentError('a priority is a whole number from -100 to 100')
  }
  return priority
}

/** @throws InvalidArgumentError */
function parseSlot(text: string): number {
  const slot = /^\d+$/.test(text) ? Number(text) : Date.parse(text)
  if (Number.isSafeInteger(slot) && slot >= 0) return slot
  throw new InvalidArgumentError('a slot is a time in ms since 1970, or written like 2026-11-21T03:00:00Z')
}
