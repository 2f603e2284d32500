/**
 * Carries one run from the queue to its end. Before anything takes effect (a pull, a container, a commit) the state
 * that names it is on the disk; whatever happens in between, a failure, a limit, a cancel, a stop of the node, becomes
 * exactly one truthful end.
 */
import type { Clock } from '../../base/clock.ts'
import { type ErrorCode, isNodeError, messageOf, NodeError } from '../../base/errors.ts'
import type { Logger } from '../../base/logger.ts'
import { branchOf } from '../../datasets/branches.ts'
import type { Datasets } from '../../datasets/datasets.ts'
import type { Monitor } from '../../monitoring/monitor.ts'
import { type EngineImage, NODE_LABEL, RUN_LABEL, STEP_LABEL } from '../engines/engine.ts'
import type { Engines } from '../engines/engines.ts'
import type { Images } from '../images/images.ts'
import type { RunLogs } from '../logs/logs.ts'
import { STOPPED } from '../queue/queue.ts'
import { commitMessage } from '../runs/commit-message.ts'
import { loseRun } from '../runs/recovery.ts'
import { endStateOf, retryOfRun } from '../runs/retries.ts'
import { type EndState, isAllowed, type Run } from '../runs/run.ts'
import { advance, currentStep, endRun, finishStep, retryStep } from '../runs/run-machine.ts'
import type { RunStore } from '../runs/run-store.ts'
import type { SecretApprovals } from '../secrets/secret-approvals.ts'
import { type FoundSecret, findSecret } from '../secrets/secret-search.ts'
import type { Secrets } from '../secrets/secrets.ts'
import type { ExecutionSettings } from '../settings.ts'
import { excessOf, watchOutput } from './output-watch.ts'
import type { StagedDatasets, StagedStep, Staging, StepInput } from './staging.ts'
import { environmentOf, grantedTo, userOf } from './step-box.ts'
import { type ContainerOutcome, runContainer, specOf } from './step-container.ts'

export type RunnerDatasets = StagedDatasets & Pick<Datasets, 'commitDirectory'>

export interface RunnerParts {
  readonly store: RunStore
  readonly engines: Engines
  readonly images: Images
  readonly staging: Staging
  readonly logs: RunLogs
  readonly secrets: Pick<Secrets, 'fill'>
  readonly approvals: Pick<SecretApprovals, 'check'>
  readonly datasets: RunnerDatasets
  /** The image reference of a tool. @throws NodeError TOOL_NOT_FOUND */
  readonly imageOf: (tool: string) => string
  readonly monitor: Pick<Monitor, 'review'>
  readonly settings: ExecutionSettings
  /** Disk space that steps leave to the node. */
  readonly freeBytesMin: () => number
  readonly dockerSocketPath: string
  /** This member: its peer id labels the containers, its name ends its branches. */
  readonly self: () => { peer: string; name: string }
  readonly newId: () => string
  readonly clock: Clock
  readonly log: Logger
}

/** How a run ends other than well. */
interface Outcome {
  state: EndState
  reason: string
  code?: ErrorCode
  exitCode?: number
}

export class Runner {
  readonly #parts: RunnerParts
  /** Containers that could not be removed because the engine had gone, and may be running yet. */
  readonly #left = new Set<string>()

  constructor(parts: RunnerParts) {
    this.#parts = parts
  }

  /** Resolves when the run has ended. @throws NodeError STORE_FAILED when that could not be written down. */
  async run(id: string, signal: AbortSignal): Promise<void> {
    const { store, log } = this.#parts
    const outcome = await this.#outcomeOf(id, signal)
    if (outcome?.state === 'errored' && (await this.#again(store.get(id), outcome))) return
    await this.#end(store.get(id), outcome)
    const { pipeline, state, reason } = store.get(id)
    log.info({ run: id, pipeline, state, reason }, 'a run has ended')
  }

  /** Puts a run that the machinery failed back into the queue, as often as the bound allows. @returns whether it did. */
  async #again(run: Run, { code, reason: why }: Outcome): Promise<boolean> {
    const { store, settings, clock, log } = this.#parts
    const timeMs = clock.now()
    const retry = retryOfRun({ run, code, nowMs: timeMs, ...settings })
    if (retry === undefined) return false
    const { notBeforeMs, retries } = retry
    const reason = `tried again (${retries} of ${settings.retriesMax}): ${why}`
    await store.save(retryStep(run, { timeMs, notBeforeMs, reason }))
    log.warn({ run: run.id, code, retries, notBeforeMs }, 'a step that the machinery failed is tried again')
    return true
  }

  async #end(run: Run, outcome: Outcome | undefined): Promise<void> {
    const { store, clock } = this.#parts
    const timeMs = clock.now()
    if (outcome === undefined) return store.save(endRun(run, 'succeeded', { timeMs }))
    if (outcome.state === 'lost') return this.#lose(run, outcome)
    const { reason, code, exitCode } = outcome
    const state = this.#nearestEnd(run, outcome.state)
    const patch = exitCode === undefined ? {} : { exitCode }
    await store.save(endRun(run, state, { timeMs, reason, patch, ...(code === undefined ? {} : { code }) }))
  }

  /** The steps one after another; undefined when all of them succeeded. */
  async #outcomeOf(id: string, signal: AbortSignal): Promise<Outcome | undefined> {
    try {
      await this.#refuseEarly(this.#parts.store.get(id))
      for (;;) {
        const run = this.#parts.store.get(id)
        // Looked at first: a run whose last step has been committed succeeded, whatever was wished meanwhile.
        if (currentStep(run) === run.steps.length) return undefined
        signal.throwIfAborted()
        const outcome = await this.#step(id, currentStep(run), signal)
        if (outcome !== undefined) return outcome
      }
    } catch (error) {
      if (signal.aborted) return endOfAbort(signal)
      if (isNodeError(error, 'STORE_FAILED')) throw error
      const code = isNodeError(error) ? error.code : 'INTERNAL'
      if (code === 'INTERNAL') this.#parts.log.error({ run: id, err: error }, 'a run met a defect')
      return { state: endStateOf(code), reason: messageOf(error), code }
    }
  }

  /** What can be known before anything has been done is told before anything has been done. */
  async #refuseEarly(run: Run): Promise<void> {
    const { settings, secrets, approvals, imageOf } = this.#parts
    const { pipeline } = run
    for (const step of run.plan) {
      await approvals.check({ pipeline, step, reference: imageOf(step.tool) })
      await secrets.fill(pipeline, step)
      if (!step.docker_socket || settings.dockerSocketGranted) continue
      const message = `The step ${step.name} asks for the Docker socket, with which it would own this machine, and this node does not grant it (setting execution.dockerSocketGranted)`
      throw new NodeError('FORBIDDEN', message, { step: step.name })
    }
  }

  async #step(id: string, index: number, signal: AbortSignal): Promise<Outcome | undefined> {
    const { staging, settings, secrets, approvals, imageOf, clock, store } = this.#parts
    const now = () => clock.now()
    const { pipeline, plan: steps } = store.get(id)
    const plan = steps[index]
    if (plan === undefined) throw new NodeError('INTERNAL', `Run ${id} has no step ${index}`)
    const reference = imageOf(plan.tool)
    await this.#move(id, (run) =>
      advance(run, 'pulling', now(), { image: reference }, `the image ${reference}`),
    )
    const engine = this.#parts.engines.of(store.get(id).allocation?.engine)
    const say = (line: string) => this.#parts.log.debug({ run: id }, line)
    const image = await this.#parts.images.obtain({ tool: plan.tool, reference, engine, signal, say })
    await this.#move(id, (run) =>
      advance(run, 'staging', now(), { digest: image.digest }, `in ${image.digest}`),
    )

    await approvals.check({ pipeline, step: plan, reference, image })
    const filled = await secrets.fill(pipeline, plan)
    const owner = { uid: process.getuid?.(), gid: process.getgid?.() }
    const user = userOf(image.user, owner)
    const granted = grantedTo({ step: plan, user, settings, secrets: filled })
    const branch = branchOf(plan.name, this.#parts.self().name)
    const step = this.#stepOf(id, index)
    const input = await staging.chooseInput(store.get(id), step, signal)
    const staged = await staging.prepare({ run: store.get(id), step, input, branch, user, signal })
    try {
      signal.throwIfAborted()
      const outcome = await this.#contain({
        id,
        index,
        image,
        granted,
        filled,
        input,
        staged,
        branch,
        signal,
      })
      if (outcome.state !== 'succeeded') return outcome
      // Asked again: between two looks a fast tool writes much, and ends.
      const excess = await excessOf({ directory: staged.data, bytesMax: settings.outputBytes }, signal)
      if (excess !== undefined) throw excess
      signal.throwIfAborted()
      const leak = await findSecret(staged.data, filled, signal)
      if (leak !== undefined) return endOfLeak(leak)
      await this.#move(id, (run) =>
        advance(run, 'committing', now(), { exitCode: 0 }, 'the tool ended with exit code 0'),
      )
      await this.#commit(id, index, staged)
      return undefined
    } finally {
      await staged.remove()
    }
  }

  /** Runs the container of a staged step; it is gone when this returns. */
  async #contain(p: {
    id: string
    index: number
    image: EngineImage
    granted: ReturnType<typeof grantedTo>
    filled: ReadonlyMap<string, string>
    input: StepInput | undefined
    staged: StagedStep
    branch: string
    signal: AbortSignal
  }): Promise<ContainerOutcome> {
    const { engines, logs, settings, dockerSocketPath, self, clock, store, log } = this.#parts
    const { id, index, image, granted, filled, input, staged, branch, signal } = p
    const run = store.get(id)
    const engine = engines.of(run.allocation?.engine)
    const plan = run.plan[index] as Run['plan'][number]
    const { peer, name: node } = self()
    const overrides = granted.environment
    const environment = environmentOf({ run, step: plan, node, secrets: filled, overrides })
    const labels = { [RUN_LABEL]: id, [STEP_LABEL]: plan.name, [NODE_LABEL]: peer }
    const spec = await specOf({ run, plan, image, granted, environment, labels, staged, dockerSocketPath })
    const stepLog = await logs.open(id, plan.name, 'algorithm', [...filled.values()])
    try {
      const containerId = await engine.create(spec)
      try {
        const from = input === undefined ? {} : { inputCommit: input.commit, inputFrom: input.from }
        const patch = { granted, containerId, outputBranch: branch, ...from }
        await this.#move(id, (moved) =>
          advance(
            moved,
            'running',
            clock.now(),
            patch,
            `${plan.tool} in container ${containerId.slice(0, 12)}`,
          ),
        )
        const timeoutMs = settings.stepTimeoutMs
        const { outputBytes: bytesMax } = settings
        const bounds = { directory: staged.data, bytesMax, freeBytesMin: this.#parts.freeBytesMin() }
        const watch = watchOutput(bounds, log)
        try {
          return await runContainer({ engine, containerId, stepLog, timeoutMs, limit: watch.signal, signal })
        } finally {
          watch.stop()
        }
      } finally {
        this.#left.add(containerId)
        await this.#removeLeft()
      }
    } finally {
      await stepLog.close().catch((error: unknown) => {
        log.warn({ run: id, error: messageOf(error) }, 'the end of a log was not written')
      })
    }
  }

  /** Tried again with each container that follows; after a restart, their labels bring them up. */
  async #removeLeft(): Promise<void> {
    const { engines, log } = this.#parts
    const engine = engines.of()
    // The newest first: an older one that is stuck must not keep it.
    for (const containerId of [...this.#left].reverse()) {
      try {
        await engine.remove(containerId)
        this.#left.delete(containerId)
      } catch (error) {
        log.warn({ containerId, error: messageOf(error) }, 'a container was not removed')
        return
      }
    }
  }

  async #commit(id: string, index: number, staged: StagedStep): Promise<void> {
    const { datasets, monitor, clock, store } = this.#parts
    const run = store.get(id)
    const step = this.#stepOf(id, index)
    const { name, tool, outputDataset: dataset } = step
    const message = commitMessage(run, step)
    const committed = await datasets.commitDirectory({ dataset, step: name, directory: staged.data, message })
    const { branch: outputBranch, commit, changed: outputChanged } = committed
    const repository = await datasets.repository(dataset)
    const seen = { run: id, pipeline: run.pipeline, step: name, tool, dataset, commit, repository }
    const report = await monitor.review(seen)
    const patch = {
      outputBranch,
      outputCommit: commit,
      outputChanged,
      ...(report === undefined ? {} : { report }),
    }
    await this.#move(id, (moved) => finishStep(moved, clock.now(), patch))
  }

  async #lose(run: Run, outcome: Outcome): Promise<void> {
    const { store, settings, newId, clock } = this.#parts
    // A run that had not begun simply waits in the queue for the next start.
    if (run.state === 'queued') return
    const repeated = run.trigger.kind === 'repeat' ? store.find(run.trigger.of) : undefined
    const { reason } = outcome
    await store.save(
      ...loseRun({ run, repeated, repeat: settings.repeatLost, newId, timeMs: clock.now(), reason }),
    )
  }

  async #move(id: string, change: (run: Run) => Run): Promise<void> {
    await this.#parts.store.save(change(this.#parts.store.get(id)))
  }

  #stepOf(id: string, index: number): Run['steps'][number] {
    const step = this.#parts.store.get(id).steps[index]
    if (step === undefined) throw new NodeError('INTERNAL', `Run ${id} has no step ${index}`)
    return step
  }

  /** A refusal that comes too late to be one is a failure, and what fails before it began was refused. */
  #nearestEnd(run: Run, wanted: EndState): EndState {
    if (isAllowed(run.state, wanted)) return wanted
    return isAllowed(run.state, 'failed') ? 'failed' : 'rejected'
  }
}

function endOfLeak({ place, variable }: FoundSecret): Outcome {
  const reason = `${place} holds the secret ${variable}; an output goes to all members, so nothing of it was committed`
  return { state: 'failed', reason, code: 'FORBIDDEN', exitCode: 0 }
}

function endOfAbort(signal: AbortSignal): Outcome {
  if (signal.reason === STOPPED)
    return { state: 'lost', reason: 'the node was stopped in the middle of the run' }
  return { state: 'cancelled', reason: 'cancelled on request', code: 'CANCELLED' }
}
