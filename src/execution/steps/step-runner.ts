/**
 * Carries one step through its stages: configure, algorithm, filter, publish. Each has a log of its own; each begins
 * only when the one before it ended well, so that what a filter withheld is neither committed nor published.
 */
import type { PipelineStep } from '../catalogue/pipeline.ts'
import { NODE_LABEL, RUN_LABEL, STEP_LABEL } from '../engines/engine.ts'
import type { Granted, StepRun } from '../runs/run.ts'
import { advance } from '../runs/run-machine.ts'
import { findSecret } from '../secrets/secret-search.ts'
import { filterLayoutOf, type Laid } from './layouts.ts'
import { excessOf, type OutputBounds } from './output-watch.ts'
import { environmentOf } from './step-box.ts'
import { configure } from './step-configure.ts'
import { type ContainerRun, type EndedContainer, StepContainers, specOf } from './step-container.ts'
import { endOfFilter, endOfLeak, endOfTool, failureOf, type Outcome } from './step-end.ts'
import { type FilterWork, moveRun, type StepParts, type StepWork, stepAt, withLog } from './step-parts.ts'
import { publish } from './step-publish.ts'
import { addToolLogs } from './tool-logs.ts'

export class StepRunner {
  readonly #parts: StepParts
  readonly #containers: StepContainers

  constructor(parts: StepParts) {
    this.#parts = parts
    this.#containers = new StepContainers(parts)
  }

  /**
   * @returns undefined when the step succeeded, else how its run ends.
   * @throws what the machinery throws, and the signal's reason; no container and no directory of the step is left.
   */
  async run(id: string, index: number, signal: AbortSignal): Promise<Outcome | undefined> {
    const work = await configure(this.#parts, { id, index, signal })
    // A container that has ended is removed beside what follows.
    const removals: Promise<void>[] = []
    try {
      const { retries = 0 } = stepAt(this.#parts.store.get(id), index).step
      if (retries > 0) await this.#containers.clear(id, work.engine)
      return await this.#stages(work, signal, removals)
    } finally {
      await Promise.all(removals)
      await work.release()
    }
  }

  async #stages(
    work: StepWork,
    signal: AbortSignal,
    removals: Promise<void>[],
  ): Promise<Outcome | undefined> {
    const { store, clock } = this.#parts
    const { id, staged, filter } = work
    signal.throwIfAborted()
    const { outcome, removed } = await this.#algorithm(work, signal)
    removals.push(removed)
    if (outcome.state !== 'succeeded') return endOfTool(outcome)
    await this.#measure(work, signal)
    if (filter !== undefined) {
      const withheld = await this.#filter(work, filter, signal, removals)
      if (withheld !== undefined) return withheld
      await this.#measure(work, signal)
    }
    signal.throwIfAborted()
    const known = new Map([...work.secrets, ...(filter?.secrets ?? [])])
    const leak = await findSecret(staged.data, known, signal)
    if (leak !== undefined) return endOfLeak(leak)
    const by = filter === undefined ? 'the tool' : 'the filter'
    const patch = filter === undefined ? { exitCode: 0 } : this.#filterPatch(work, { exitCode: 0 })
    await moveRun(
      store,
      id,
      (run, timeMs) => advance(run, 'committing', timeMs, patch, `${by} ended with exit code 0`),
      clock,
    )
    return publish(this.#parts, work, signal)
  }

  /** Asked again: between two looks a fast tool writes much, and ends. @throws NodeError TOO_LARGE */
  async #measure(work: StepWork, signal: AbortSignal): Promise<void> {
    const excess = await excessOf(this.#boundsOf(work), signal)
    if (excess !== undefined) throw excess
  }

  async #algorithm(work: StepWork, signal: AbortSignal): Promise<EndedContainer> {
    const { store, clock } = this.#parts
    const { id, plan, image, granted, secrets, laid, input, inputs, branch, toolLogs } = work
    const of = { id, step: plan.name, stage: 'algorithm' as const, secrets: [...secrets.values()] }
    return withLog(this.#parts, of, async (log) => {
      const from = input === undefined ? {} : { inputCommit: input.commit, inputFrom: input.from }
      const known = { ...from, ...(inputs.length === 0 ? {} : { inputs: [...inputs] }) }
      const onCreated = (containerId: string) => {
        const patch = { granted, containerId, outputBranch: branch, ...known }
        const reason = `${plan.tool} in container ${containerId.slice(0, 12)}`
        return moveRun(store, id, (run, timeMs) => advance(run, 'running', timeMs, patch, reason), clock)
      }
      const ended = await this.#contain(work, {
        ...{ name: `mao-${id}-${plan.name}`, step: plan, image, granted, secrets, laid },
        ...{ log, signal, onCreated },
      })
      if (toolLogs !== undefined) await addToolLogs(toolLogs, log)
      return ended
    })
  }

  /** Runs the filter on what the tool left. @returns how the run ends where it withholds the output. */
  async #filter(
    work: StepWork,
    filter: FilterWork,
    signal: AbortSignal,
    removals: Promise<void>[],
  ): Promise<Outcome | undefined> {
    const { store, clock } = this.#parts
    const { id, plan, staged, layout } = work
    const { step, image, granted, secrets, user } = filter
    const known = [...work.secrets.values(), ...secrets.values()]
    const of = { id, step: plan.name, stage: 'filter' as const, secrets: known }
    const onCreated = (containerId: string) => {
      const patch = { exitCode: 0, ...this.#filterPatch(work, { containerId }) }
      const reason = `${step.tool} in container ${containerId.slice(0, 12)}, on the output alone`
      return moveRun(store, id, (run, timeMs) => advance(run, 'filtering', timeMs, patch, reason), clock)
    }
    try {
      await staged.handOver(user)
      const laid = filterLayoutOf(layout, step.tool, staged.data)
      const name = `mao-${id}-${plan.name}-filter`
      const { outcome, removed } = await withLog(this.#parts, of, (log) =>
        this.#contain(work, { name, step, image, granted, secrets, laid, log, signal, onCreated }),
      )
      removals.push(removed)
      if (outcome.state === 'succeeded') return undefined
      const { exitCode } = outcome
      return endOfFilter(
        step.tool,
        outcome,
        exitCode === undefined ? {} : this.#filterPatch(work, { exitCode }),
      )
    } catch (error) {
      const failure = signal.aborted ? undefined : failureOf(error)
      if (failure === undefined) throw error
      return endOfFilter(step.tool, failure, {})
    }
  }

  async #contain(
    work: StepWork,
    p: Pick<ContainerRun, 'log' | 'signal' | 'onCreated'> & {
      name: string
      step: PipelineStep
      image: StepWork['image']
      granted: Granted
      secrets: ReadonlyMap<string, string>
      laid: Laid
    },
  ): Promise<EndedContainer> {
    const { store, dockerSocketPath, self } = this.#parts
    const { id, plan, engine } = work
    const { name, step, image, granted, secrets, laid, log, signal, onCreated } = p
    const { peer, name: node } = self()
    const environment = environmentOf({
      ...{ run: store.get(id), step: { ...step, name: plan.name }, node, secrets },
      ...{ overrides: granted.environment, layout: laid.environment },
    })
    const labels = { [RUN_LABEL]: id, [STEP_LABEL]: plan.name, [NODE_LABEL]: peer }
    const box = { name, image, command: step.cmd, granted, environment, labels, dockerSocketPath }
    const spec = await specOf({ ...box, mounts: laid.mounts })
    const { timeoutMs } = granted
    const bounds = this.#boundsOf(work)
    return this.#containers.run({ engine, spec, log, timeoutMs, bounds, signal, onCreated })
  }

  #boundsOf({ staged, toolLogs, granted }: StepWork): OutputBounds {
    const bytesMax = granted.outputBytes ?? this.#parts.settings.outputBytes
    const freeBytesMin = this.#parts.freeBytesMin()
    const directories = toolLogs === undefined ? [] : [toolLogs]
    return { directories: [staged.data, ...directories], bytesMax, freeBytesMin }
  }

  /** What is known of the filter, with what becomes known now. */
  #filterPatch(
    { id, index }: StepWork,
    more: Partial<NonNullable<StepRun['filter']>>,
  ): Pick<StepRun, 'filter'> {
    const { filter } = stepAt(this.#parts.store.get(id), index).step
    return filter === undefined ? {} : { filter: { ...filter, ...more } }
  }
}
