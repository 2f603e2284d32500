/**
 * A run as a pure state machine. Nothing here waits, reads or writes: the runner stores what a function of this file
 * returns before it lets the new state take effect, so that a crash can never be ahead of the record.
 */
import { type ErrorCode, NodeError } from '../../base/errors.ts'
import { reasonCharactersMax } from '../../base/limits.ts'
import type { PipelineStep } from '../catalogue/pipeline.ts'
import {
  type ActiveState,
  type EndState,
  isAllowed,
  type Run,
  type RunState,
  type StepRun,
  type Transition,
  type Trigger,
} from './run.ts'

/** What became known of a step with a transition. */
export type StepPatch = Partial<Omit<StepRun, 'name' | 'tool' | 'state'>>

export interface Ending {
  timeMs: number
  reason?: string
  code?: ErrorCode
  patch?: StepPatch
}

/** What whoever asks for a run says of it beside its plan. */
export type RunTerms = Partial<
  Pick<
    Run,
    | 'owner'
    | 'author'
    | 'priority'
    | 'notBeforeMs'
    | 'waitUntilMs'
    | 'timeoutMs'
    | 'requestKey'
    | 'requestDigest'
    | 'inputCommits'
    | 'imageDigests'
    | 'inputPins'
    | 'bases'
  >
>

export function newRun(p: {
  id: string
  pipeline: string
  plan: PipelineStep[]
  trigger: Trigger
  timeMs: number
  /** Where neither the trigger nor the time of the request says it. */
  slot?: number
  /** Steps that the repeated run has done: they are taken over as they are. */
  done?: readonly StepRun[]
  terms?: RunTerms
}): Run {
  const steps = p.plan.map((step, index): StepRun => {
    const done = p.done?.[index]
    if (done !== undefined) return done
    const input = step.input_dataset === null ? {} : { inputDataset: step.input_dataset }
    return {
      name: step.name,
      tool: step.tool,
      state: 'queued',
      ...input,
      outputDataset: step.output_dataset,
    }
  })
  const { id, pipeline, trigger, plan, timeMs: createdMs } = p
  const transitions: Transition[] = [{ state: 'queued', timeMs: createdMs, reason: reasonOf(trigger) }]
  const slot = p.slot ?? trigger.slot ?? createdMs
  return { id, pipeline, trigger, state: 'queued', plan, slot, steps, transitions, createdMs, ...p.terms }
}

/** The index of the step at work or next in turn; the number of steps when all are done. */
export function currentStep(run: Run): number {
  const index = run.steps.findIndex((step) => step.state !== 'succeeded')
  return index === -1 ? run.steps.length : index
}

/**
 * Moves the run and its current step on.
 *
 * @param reason goes into the history beside the time; never a secret.
 * @throws NodeError INTERNAL when `state` may not follow, or no step is left.
 */
export function advance(
  run: Run,
  state: ActiveState,
  atMs: number,
  patch: StepPatch = {},
  reason: string = USUAL[state],
): Run {
  const index = currentStep(run)
  const step = run.steps[index]
  // A step begins by pulling; the run itself may come there from the step before.
  const fits = step !== undefined && step.state !== 'skipped' && isAllowed(step.state, state)
  if (!isAllowed(run.state, state) || !fits) throw notAllowed(run, state)
  const timeMs = laterOf(run, atMs)
  const started = state === 'pulling' ? { startedMs: timeMs } : {}
  const moved: StepRun = { ...step, ...started, ...patch, state }
  const { notBeforeMs: _waited, ...rest } = run
  return {
    ...rest,
    state,
    steps: run.steps.with(index, moved),
    transitions: [...run.transitions, { state, step: step.name, timeMs, reason: shortened(reason) }],
  }
}

/**
 * Puts the run back into the queue after the machinery failed the current step, which will begin again from the start.
 *
 * @throws NodeError INTERNAL when the step cannot be begun again.
 */
export function retryStep(run: Run, p: { timeMs: number; notBeforeMs: number; reason: string }): Run {
  const index = currentStep(run)
  const step = run.steps[index]
  if (step === undefined || !isAllowed(run.state, 'queued')) throw notAllowed(run, 'queued')
  const { name, tool, inputDataset, outputDataset } = step
  const again: StepRun = {
    ...{ name, tool, state: 'queued', outputDataset },
    ...(inputDataset === undefined ? {} : { inputDataset }),
    retries: (step.retries ?? 0) + 1,
  }
  const { allocation: _given, ...rest } = run
  const transition = { state: 'queued' as const, step: name, timeMs: laterOf(run, p.timeMs) }
  return {
    ...rest,
    state: 'queued',
    notBeforeMs: p.notBeforeMs,
    steps: run.steps.with(index, again),
    transitions: [...run.transitions, { ...transition, reason: shortened(p.reason) }],
  }
}

/**
 * Notes that the current step is done. The run stays `committing` until the next step begins or it ends.
 *
 * @throws NodeError INTERNAL unless the step is committing.
 */
export function finishStep(run: Run, timeMs: number, patch: StepPatch = {}): Run {
  const index = currentStep(run)
  const step = run.steps[index]
  if (run.state !== 'committing' || step?.state !== 'committing') throw notAllowed(run, 'succeeded')
  const done: StepRun = { ...step, ...patch, state: 'succeeded', endedMs: laterOf(run, timeMs) }
  return { ...run, steps: run.steps.with(index, done) }
}

/**
 * Ends the run: the step at work ends alike, steps whose turn never came are skipped.
 *
 * @throws NodeError INTERNAL when the run may not end so, or would succeed with steps left.
 */
export function endRun(run: Run, state: EndState, ending: Ending): Run {
  const index = currentStep(run)
  const stepsLeft = index < run.steps.length
  if (!isAllowed(run.state, state) || (state === 'succeeded' && stepsLeft)) throw notAllowed(run, state)
  const { code, patch = {} } = ending
  const timeMs = laterOf(run, ending.timeMs)
  const reason = ending.reason === undefined ? undefined : shortened(ending.reason)
  const steps = run.steps.map((step, at): StepRun => {
    if (at < index) return step
    if (step.state === 'queued') return { ...step, state: 'skipped' }
    return { ...step, ...patch, state, endedMs: timeMs }
  })
  const atWork = run.steps.find((step) => step.state !== 'queued' && step.state !== 'succeeded')
  const said = {
    ...(atWork === undefined ? {} : { step: atWork.name }),
    reason: reason ?? (state === 'succeeded' ? 'every step is done' : state),
  }
  const { notBeforeMs: _waited, ...rest } = run
  return {
    ...rest,
    state,
    ...(reason === undefined ? {} : { reason }),
    ...(code === undefined ? {} : { code }),
    steps,
    transitions: [...run.transitions, { state, ...said, timeMs }],
    endedMs: timeMs,
  }
}

/** The commits of a dataset that runs name as what they read or made. */
export function commitsNamed(runs: Iterable<Run>, dataset: string): string[] {
  const found = new Set<string>()
  for (const { steps, inputCommits, bases } of runs) {
    const named = inputCommits?.[dataset]
    if (named !== undefined) found.add(named)
    for (const { name, inputDataset, inputCommit, inputs = [], outputDataset, outputCommit } of steps) {
      if (inputDataset === dataset && inputCommit !== undefined) found.add(inputCommit)
      if (outputDataset === dataset && outputCommit !== undefined) found.add(outputCommit)
      const base = outputDataset === dataset ? bases?.[name] : undefined
      if (base !== undefined && base !== null) found.add(base)
      for (const input of inputs) {
        if (input.dataset === dataset && input.commit !== undefined) found.add(input.commit)
      }
    }
  }
  return [...found]
}

/** What is to be said of a move where nobody says more. */
const USUAL: Readonly<Record<ActiveState, string>> = {
  pulling: 'the step begins',
  staging: 'the image is there',
  running: 'the directories are there',
  filtering: 'the tool has ended well',
  committing: 'the output is there',
}

/** Why a run exists, for the first line of its history. */
function reasonOf(trigger: Trigger): string {
  const slot = trigger.slot === undefined ? '' : ` for ${new Date(trigger.slot).toISOString()}`
  switch (trigger.kind) {
    case 'request':
      return `asked for${slot}`
    case 'schedule':
      return `by its schedule${slot}`
    case 'repeat':
      return `repeats ${trigger.of}${slot}`
    case 'rerun':
      return `does ${trigger.of} again, to compare what comes out`
    case 'remote':
      return `asked for by ${trigger.by}${slot}`
  }
}

/** History goes forward, also where the clock was set back. */
function laterOf(run: Run, timeMs: number): number {
  return Math.max(timeMs, run.transitions.at(-1)?.timeMs ?? timeMs)
}

function shortened(reason: string): string {
  return reason.slice(0, reasonCharactersMax)
}

function notAllowed(run: Run, state: RunState): NodeError {
  return new NodeError('INTERNAL', `Run ${run.id} cannot go from ${run.state} to ${state}`, { id: run.id })
}
