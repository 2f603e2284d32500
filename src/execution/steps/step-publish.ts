/** The last stage of a step: its output is committed, looked at and handed to the publishers that the step names. */
import { isNodeError, messageOf } from '../../base/errors.ts'
import { commitDetached } from '../lineage/detached-commit.ts'
import { publishedBefore } from '../publishing/published.ts'
import { commitMessage } from '../runs/commit-message.ts'
import { endStateOf } from '../runs/retries.ts'
import { finishStep, type StepPatch } from '../runs/run-machine.ts'
import { isForeign, outputStepOf } from './refusals.ts'
import { stagedFiles } from './staged-files.ts'
import { endOfAbort, type Outcome } from './step-end.ts'
import { moveRun, type StepParts, type StepWork, stepAt, withLog } from './step-parts.ts'

/**
 * Commits the output and finishes the step. What fails after the commit leaves it where it is: the run then ends by that
 * failure and names the commit.
 *
 * @throws what committing throws.
 */
export async function publish(
  parts: StepParts,
  work: StepWork,
  signal: AbortSignal,
): Promise<Outcome | undefined> {
  const { store, clock } = parts
  const { id, plan, secrets } = work
  const of = { id, step: plan.name, stage: 'publish' as const, secrets: [...secrets.values()] }
  return withLog(parts, of, async (_log, say) => {
    const patch: StepPatch | Outcome = await commit(parts, work, say).catch(endOfConflict)
    if ('state' in patch) return patch
    try {
      const run = store.get(id)
      // A rerun is there to be compared: nobody is told of what it makes.
      if (run.bases === undefined) {
        // Insights and alarms are this node's word; what another's tool writes is not.
        if (!isForeign(run)) Object.assign(patch, await review(parts, work, patch))
        Object.assign(patch, await handOut(parts, work, { patch, signal, say }))
      }
    } catch (error) {
      say(`stopped: ${messageOf(error)}`)
      const published = publishedBefore(error)
      if (published.length > 0) patch.published = published
      const committed = `the output was committed as ${patch.outputCommit}, and then`
      if (signal.aborted) return { ...endOfAbort(signal), patch }
      const code = isNodeError(error) ? error.code : 'INTERNAL'
      return { state: endStateOf(code), reason: `${committed} ${messageOf(error)}`, code, patch }
    }
    await moveRun(store, id, (run, timeMs) => finishStep(run, timeMs, patch), clock)
    return undefined
  })
}

async function commit(
  parts: StepParts,
  { id, index, staged }: StepWork,
  say: (line: string) => void,
): Promise<StepPatch> {
  const { datasets, store } = parts
  const run = store.get(id)
  const { step } = stepAt(run, index)
  const { name, outputDataset: dataset } = step
  const message = commitMessage(run, step)
  const base = run.bases?.[name]
  if (base !== undefined) {
    const repository = await datasets.repository(dataset)
    const by = parts.self()
    const timeMs = parts.clock.now()
    const detached = { repository, directory: staged.data, message, parent: base, by, timeMs }
    const outputCommit = await commitDetached(detached)
    say(`committed ${outputCommit} beside all branches of ${dataset}, to be compared`)
    return { outputCommit, outputChanged: true }
  }
  const { branch, commit, changed } = await datasets.commitDirectory({
    ...{ dataset, step: outputStepOf(run, name), directory: staged.data, message },
    // What began empty on purpose overwrites nothing that it should have known.
    ...(isForeign(run) ? {} : { from: staged.base }),
  })
  say(`${changed ? 'committed' : 'nothing new, the output is'} ${commit} on ${branch} of ${dataset}`)
  return { outputBranch: branch, outputCommit: commit, outputChanged: changed }
}

/** The tool did its work, and so did the machinery: it is the branch that has gone on without them. */
function endOfConflict(error: unknown): Outcome {
  if (!isNodeError(error, 'CONFLICT')) throw error
  return { state: 'errored', reason: `${error.message}; run it again`, code: 'CONFLICT' }
}

/** What was committed still lies in the directory, where it is read without git. */
async function review(
  parts: StepParts,
  { id, index, staged }: StepWork,
  { outputCommit: commit = '' }: StepPatch,
): Promise<StepPatch> {
  const { monitor, store } = parts
  const run = store.get(id)
  const { name, tool, outputDataset: dataset } = stepAt(run, index).step
  const repository = stagedFiles(staged.data)
  const seen = { run: id, pipeline: run.pipeline, step: name, tool, dataset, commit, repository }
  const report = await monitor.review(seen)
  return report === undefined ? {} : { report }
}

async function handOut(
  parts: StepParts,
  { id, index, plan, staged }: StepWork,
  p: { patch: StepPatch; signal: AbortSignal; say: (line: string) => void },
): Promise<StepPatch> {
  const { publishers, store } = parts
  const names = plan.publish ?? []
  if (names.length === 0) return {}
  const { patch, signal, say } = p
  const run = store.get(id)
  const step = { ...stepAt(run, index).step, ...patch }
  const directory = staged.data
  const published = await publishers.publish({ run, step, names, directory, signal, say })
  for (const { publisher, address, files } of published)
    say(`published by ${publisher}: ${address} (${files} files)`)
  return { published }
}
