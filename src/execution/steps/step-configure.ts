/** The first stage of a step: its image, its secrets, its inputs and its directories, each told in the log of the stage. */
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { orDiskFull } from '../../base/disk-space.ts'
import { messageOf, NodeError } from '../../base/errors.ts'
import { branchOf } from '../../datasets/branches.ts'
import { filterStepOf } from '../catalogue/filter-step.ts'
import type { PipelineStep } from '../catalogue/pipeline.ts'
import type { ContainerEngine } from '../engines/engine.ts'
import { LOCAL_ENGINE } from '../engines/engines.ts'
import type { StoredImage } from '../images/image-store.ts'
import { labelledService } from '../images/labelled-service.ts'
import type { ServiceDescription } from '../images/service.ts'
import type { StagedInput } from '../inputs/inputs.ts'
import type { Run } from '../runs/run.ts'
import { advance } from '../runs/run-machine.ts'
import { writeComputeToData } from './compute-to-data.ts'
import { type Laid, type LaidInput, layoutNameOf, layoutOf } from './layouts.ts'
import { isForeign, outputStepOf } from './refusals.ts'
import type { StagedStep, StepInput } from './staging.ts'
import { grantedTo, userOf } from './step-box.ts'
import { type FilterWork, moveRun, type StepParts, type StepWork, stepAt, withLog } from './step-parts.ts'

/**
 * Brings together what a step needs. The run is `staging` when this returns.
 *
 * @throws what images, secrets, inputs and directories throw; nothing is left then.
 */
export async function configure(
  parts: StepParts,
  p: { id: string; index: number; signal: AbortSignal },
): Promise<StepWork> {
  const { store, clock, toolOf, secrets } = parts
  const { id, index } = p
  const { plan } = stepAt(store.get(id), index)
  const { image } = toolOf(plan.tool)
  const pulling = (run: Run, timeMs: number) =>
    advance(run, 'pulling', timeMs, { image }, `the image ${image}`)
  await moveRun(store, id, pulling, clock)
  const filled = await secrets.fill(store.get(id).pipeline, plan)
  const of = { id, step: plan.name, stage: 'configure' as const, secrets: [...filled.values()] }
  return withLog(parts, of, async (_log, say) => {
    try {
      return await new Configuring(parts, { ...p, plan, filled, say }).work()
    } catch (error) {
      say(`stopped: ${messageOf(error)}`)
      throw error
    }
  })
}

interface Configured {
  readonly id: string
  readonly index: number
  readonly signal: AbortSignal
  readonly plan: PipelineStep
  readonly filled: ReadonlyMap<string, string>
  readonly say: (line: string) => void
}

/** One stage of one step, from its image to its layout. */
class Configuring {
  readonly #parts: StepParts
  readonly #p: Configured

  constructor(parts: StepParts, p: Configured) {
    this.#parts = parts
    this.#p = p
  }

  async work(): Promise<StepWork> {
    const { store, engines, settings, approvals, toolOf, staging, self, clock } = this.#parts
    const { id, index, plan, filled, signal, say } = this.#p
    const run = store.get(id)
    const engineId = run.allocation?.engine ?? LOCAL_ENGINE
    const engine = engines.of(engineId)
    const tool = toolOf(plan.tool)
    const image = await this.#obtain(run, plan.tool, engine)
    const service = labelledService({ ...tool, name: plan.tool }, image)
    const filter = await this.#filter(run, engine)
    const { digest } = image
    const filtered = filter === undefined ? {} : { filter: filterPatchOf(filter, toolOf) }
    const patch = { digest, ...(engineId === LOCAL_ENGINE ? {} : { engine: engineId }), ...filtered }
    const staged_ = (moved: Run, timeMs: number) => advance(moved, 'staging', timeMs, patch, `in ${digest}`)
    await moveRun(store, id, staged_, clock)

    await approvals.check({ run, step: plan, reference: tool.image, image })
    const user = userOf(image.user, processOwner())
    const [devices, foreign] = [run.allocation?.gpus, isForeign(run)]
    const granted = grantedTo({ step: plan, user, settings, secrets: filled, foreign, devices })
    if ((granted.devices?.length ?? 0) < (plan.resources?.gpus ?? 0)) throw tooFewDevices(plan)
    say(`box: user ${user}, network ${granted.network}, root ${granted.root}, ${granted.cpus} processors`)
    const branch = branchOf(outputStepOf(run, plan.name), self().name)
    const { step } = stepAt(store.get(id), index)
    const input = await staging.chooseInput(store.get(id), step, signal)
    if (input !== undefined) say(`input dataset ${step.inputDataset} at ${input.commit} (${input.from})`)
    const staged = await staging.prepare({ run, step, input, branch, user, signal })
    try {
      const { inputs, release } = await this.#inputs(run, staged)
      try {
        const laid = await this.#layout({ service, input, staged, inputs })
        signal.throwIfAborted()
        const done = async () => {
          await release()
          await staged.remove()
        }
        const sources = inputs.map(({ path: _path, ...source }) => source)
        const about = { id, index, plan, engine, image, granted, secrets: filled, branch }
        return { ...about, input, inputs: sources, staged, filter, ...laid, release: done }
      } catch (error) {
        await release()
        throw error
      }
    } catch (error) {
      await staged.remove()
      throw orDiskFull(error, staged.place)
    }
  }

  /** The image that the run names, else the one that the tool names now. @throws NodeError IMAGE_MOVED, … */
  async #obtain(run: Run, tool: string, engine: ContainerEngine): Promise<StoredImage> {
    const { images, toolOf } = this.#parts
    const { signal, say } = this.#p
    const digest = run.imageDigests?.[tool]
    const named = digest === undefined ? {} : { digest }
    const { image: reference } = toolOf(tool)
    const engineId = run.allocation?.engine ?? LOCAL_ENGINE
    const about = { tool, reference, engine, engineId, ...named, forMember: isForeign(run) }
    return images.obtain({ ...about, signal, say })
  }

  async #filter(run: Run, engine: ContainerEngine): Promise<FilterWork | undefined> {
    const { approvals, secrets, settings, toolOf } = this.#parts
    const { plan, signal } = this.#p
    const step = filterStepOf(plan)
    if (step === undefined) return undefined
    const image = await this.#obtain(run, step.tool, engine)
    signal.throwIfAborted()
    const reference = toolOf(step.tool).image
    await approvals.check({ run, step: plan, part: 'filter', reference, image })
    const filled = await secrets.fill(run.pipeline, { name: plan.name, env: step.env })
    const user = userOf(image.user, processOwner())
    const granted = grantedTo({ step, user, settings, secrets: filled, foreign: isForeign(run) })
    return { step, image, granted, user, secrets: filled }
  }

  async #inputs(run: Run, staged: StagedStep) {
    const { inputs } = this.#parts
    const { plan: step, signal, say } = this.#p
    if (step.inputs === undefined || step.inputs.length === 0) return NO_INPUTS
    const directory = join(staged.place, 'inputs')
    return inputs.stage({ run, step, directory, signal, say })
  }

  async #layout(p: {
    service: ServiceDescription | undefined
    input: StepInput | undefined
    staged: StagedStep
    inputs: readonly StagedInput[]
  }): Promise<{ layout: StepWork['layout']; laid: Laid; toolLogs: string | undefined }> {
    const { plan, signal } = this.#p
    const { service, staged } = p
    const layout = layoutNameOf(plan, { service })
    const inputs: LaidInput[] = []
    for (const { name, path } of p.inputs) {
      inputs.push({ name, path, isDirectory: (await stat(path)).isDirectory() })
    }
    const request = { layout, tool: plan.tool, service, data: staged.data, input: staged.input, inputs }
    if (layout !== 'compute-to-data') {
      const laid = layoutOf(request)
      for (const name of laid.directories) await staged.writable(join('data', name))
      return { layout, laid, toolLogs: undefined }
    }
    const dataset = plan.input_dataset
    const all =
      staged.input === undefined || dataset === null
        ? inputs
        : [{ name: freeName(dataset, inputs), path: staged.input, isDirectory: true }, ...inputs]
    const directory = join(staged.place, 'house')
    const dids = await writeComputeToData({
      ...{ directory, inputs: all, tool: plan.tool, signal },
      reserveBytes: this.#parts.freeBytesMin(),
    })
    const logs = await staged.writable('logs')
    return { layout, laid: layoutOf({ ...request, house: { directory, logs, dids } }), toolLogs: logs }
  }
}

const NO_INPUTS = { inputs: [], release: async () => undefined }

function processOwner() {
  return { uid: process.getuid?.(), gid: process.getgid?.() }
}

/** The name of the input dataset among the other inputs: its own, unless one of them has it. */
function freeName(wanted: string, inputs: readonly LaidInput[]): string {
  let name = wanted
  while (inputs.some((input) => input.name === name)) name += '-dataset'
  return name
}

function filterPatchOf({ step, image }: FilterWork, toolOf: StepParts['toolOf']) {
  return { tool: step.tool, image: toolOf(step.tool).image, digest: image.digest }
}

function tooFewDevices({ name, resources }: PipelineStep): NodeError {
  const message = `The step ${name} asks for ${resources?.gpus} graphics cards, and fewer were set apart for its run`
  return new NodeError('NO_PLACE', message, { step: name })
}
