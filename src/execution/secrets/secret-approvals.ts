/**
 * Which steps may have this node's secrets, and, of those that other members wrote, which may use data that stay here.
 * Tools, pipelines and schedules are records that any member writes, so a step that asks proves nothing: without a word
 * of this node's owner, every member could have every secret and all data copied into an output, which goes to all.
 * What a step asks for is told by consent.ts. The owner approves a step as it stands (tool, image, command,
 * variables, datasets); whatever of it changes afterwards, it is another step, and has to be approved anew.
 */
import { createHash } from 'node:crypto'
import type { Clock } from '../../base/clock.ts'
import { type Database, DURABLE, type Table, table } from '../../base/database.ts'
import { NodeError } from '../../base/errors.ts'
import { withheldAs } from '../../datasets/policies.ts'
import { filterStepOf } from '../catalogue/filter-step.ts'
import type { PipelineStep } from '../catalogue/pipeline.ts'
import type { EngineImage } from '../engines/engine.ts'
import type { ServiceDescription } from '../images/service.ts'
import {
  type Asked,
  askedOf,
  askedText,
  type ConsentFacts,
  covers,
  type Hand,
  isNothing,
  type WithheldUse,
} from './consent.ts'

interface Approval {
  /** SHA-256 of the step and its image's reference. */
  plan: string
  /** The image itself, by the engine's id, which is a hash of it. */
  imageId: string
  /** The datasets that not all members may have: name → id. */
  datasets?: Record<string, string>
  timeMs: number
}

/** A step that wants secrets or data, as the owner is asked about it. */
export interface AskingStep extends Asked {
  readonly step: string
  readonly tool: string
  readonly image: string
  readonly digest: string
  readonly cmd: readonly string[] | null
  readonly env: Readonly<Record<string, string>>
  /** Where what comes out goes, and who gets it there; no policy where no such dataset is here. */
  readonly output: { readonly dataset: string; readonly policy?: 'shared' | WithheldUse['policy'] }
  /** What else the step asks for that opens a way to what is secret or out of the box, such as a network or publishers. */
  readonly rights: Readonly<Record<string, unknown>>
  readonly approved: boolean
}

export interface ApprovalView {
  readonly pipeline: string
  /** Names exactly what is shown here, so that nothing else is approved than what was looked at. */
  readonly fingerprint: string
  readonly steps: readonly AskingStep[]
}

export interface SecretApprovalsParts extends ConsentFacts {
  readonly database: Database
  /** The image that a tool's reference means here, brought by this node's rules. */
  readonly obtain: (tool: string, reference: string) => Promise<EngineImage>
  /** The image reference of a tool. @throws NodeError TOOL_NOT_FOUND */
  readonly imageOf: (tool: string) => string
  /** What the record of a tool says of its inputs and outputs, where it is a service. */
  readonly serviceOf: (tool: string) => ServiceDescription | undefined
  readonly clock: Clock
}

export class SecretApprovals {
  readonly #parts: SecretApprovalsParts
  readonly #table: Table<Approval>

  constructor(parts: SecretApprovalsParts) {
    this.#parts = parts
    this.#table = table(parts.database, 'secret-approvals')
  }

  /**
   * Lets a step pass that asks for nothing, or that the owner approved as it is. Before the image is known, what can be
   * said without it is checked.
   *
   * @param p.part which of the two is checked: the tool of the step, or its filter.
   * @throws NodeError FORBIDDEN saying how to approve it.
   */
  async check(p: {
    run: Hand & { readonly pipeline: string }
    step: PipelineStep
    part?: 'tool' | 'filter'
    reference: string
    image?: EngineImage
  }): Promise<void> {
    const { run, reference, image } = p
    const { pipeline } = run
    const filter = p.part === 'filter' ? filterStepOf(p.step) : undefined
    const step = filter ?? p.step
    const asked = askedOf({ step: p.step, filter, hand: run }, this.#parts)
    if (isNothing(asked)) return
    const approval = await this.#table.get(keyOf(pipeline, step))
    if (approval !== undefined && isMeant(approval, this.#planOf(step, reference), image, asked)) return
    const why =
      approval === undefined
        ? 'which this node gives to approved steps only'
        : 'and is no longer what was approved'
    const by = asked.datasets.length === 0 ? '' : ', in which another member had a hand,'
    const message = `The step ${step.name}${by} ${askedText(asked)}, ${why}; if you trust its tool with them, type "maoctl pipeline approve ${pipeline}"`
    throw new NodeError('FORBIDDEN', message, { pipeline, step: step.name, ...asked })
  }

  /** What there is to approve in a pipeline now. @throws NodeError what finding the images throws, IMAGE_MOVED. */
  async view(name: string, pipeline: Asking): Promise<ApprovalView> {
    return viewOf(name, await this.#look(name, pipeline))
  }

  /**
   * Approves all steps of a pipeline that ask for something, as they stand now.
   *
   * @throws NodeError CONFLICT when `fingerprint` is given and the pipeline is not any more what was looked at.
   */
  async approve(name: string, pipeline: Asking, fingerprint?: string): Promise<ApprovalView> {
    const found = await this.#look(name, pipeline)
    const view = viewOf(name, found)
    if (fingerprint !== undefined && fingerprint !== view.fingerprint) {
      const message = `The pipeline ${name} has changed since it was looked at, and nothing was approved; look at it again`
      throw new NodeError('CONFLICT', message, { pipeline: name })
    }
    const puts = found.map(({ key, approval }) => ({ type: 'put' as const, key, value: approval }))
    await this.#table.batch(puts, DURABLE)
    return { ...view, steps: view.steps.map((step) => ({ ...step, approved: true })) }
  }

  /**
   * Takes back what was approved in a pipeline, whether or not it is still in the registry.
   *
   * @returns the names of the steps that had it.
   */
  async revoke(pipeline: string): Promise<string[]> {
    const from = `${pipeline}/`
    const keys = await this.#table.keys({ gt: from, lt: `${from}\uffff` }).all()
    await this.#table.batch(
      keys.map((key) => ({ type: 'del' as const, key })),
      DURABLE,
    )
    return keys.map((key) => key.slice(from.length))
  }

  async #look(name: string, { steps: all, author }: Asking): Promise<Found[]> {
    const { obtain, imageOf, serviceOf, clock } = this.#parts
    const found: Found[] = []
    const steps = all.flatMap((whole) => {
      const filter = filterStepOf(whole)
      return [{ whole, step: whole }, ...(filter === undefined ? [] : [{ whole, filter, step: filter }])]
    })
    const hand = author === undefined ? {} : { author }
    for (const { whole, filter, step } of steps) {
      const asked = askedOf({ step: whole, filter, hand }, this.#parts)
      if (isNothing(asked)) continue
      const { tool, cmd } = step
      const env = step.env ?? {}
      const reference = imageOf(tool)
      // Its own deadline ends a pull.
      const image = await obtain(tool, reference)
      const key = keyOf(name, step)
      const plan = this.#planOf(step, reference)
      const before = await this.#table.get(key)
      const approved = before !== undefined && isMeant(before, plan, image, asked)
      const runs = {
        tool,
        image: reference,
        digest: image.digest,
        cmd,
        env,
        rights: rightsOf(step, serviceOf(tool)),
      }
      const dataset = whole.output_dataset
      const known = this.#parts.find(dataset)
      const output = { dataset, ...(known && { policy: withheldAs(known) ?? ('shared' as const) }) }
      const said = { step: step.name, ...runs, output, ...asked, approved }
      const datasets = Object.fromEntries(asked.datasets.map(({ dataset, id }) => [dataset, id]))
      found.push({ key, approval: { plan, imageId: image.id, datasets, timeMs: clock.now() }, said })
    }
    return found
  }

  #planOf(step: PipelineStep, reference: string): string {
    return planOf(step, reference, this.#parts.serviceOf(step.tool))
  }
}

/** A pipeline as it runs, with another member that had a hand in it (`Run.author`). */
export interface Asking {
  readonly steps: readonly PipelineStep[]
  readonly author?: string | undefined
}

interface Found {
  readonly key: string
  readonly approval: Approval
  readonly said: AskingStep
}

/** Names hold no slash. */
function keyOf(pipeline: string, step: PipelineStep): string {
  return `${pipeline}/${step.name}`
}

function isMeant(
  approval: Approval,
  plan: string,
  image: EngineImage | undefined,
  asked: Pick<Asked, 'datasets'>,
): boolean {
  const same = approval.plan === plan && (image === undefined || approval.imageId === image.id)
  return same && covers(approval.datasets, asked)
}

/** The same for the same step, in whatever order its record names the variables. */
function planOf(step: PipelineStep, reference: string, service: ServiceDescription | undefined): string {
  const { name, tool, cmd, docker_socket, input_dataset, output_dataset } = step
  const env = Object.entries(step.env ?? {}).sort(([a], [b]) => (a < b ? -1 : 1))
  const further = JSON.stringify(rightsOf(step, service))
  const all = [name, tool, reference, cmd, env, docker_socket, input_dataset, output_dataset]
  return sha256(JSON.stringify(further === '{}' ? all : [...all, further]))
}

/** Whatever else opens a way to the secret or out of the box; a step without any of it is what it always was. */
function rightsOf(step: PipelineStep, described: ServiceDescription | undefined): Record<string, unknown> {
  const { network, root, layout, inputs, filter, publish } = step
  // Where in the image the inputs are mounted decides what its programs are.
  const service = described && { inputs: described.inputs, outputs: described.outputs }
  const asked = Object.entries({ network, root, layout, inputs, filter, publish, service })
  return Object.fromEntries(asked.filter(([, value]) => value !== undefined))
}

function viewOf(pipeline: string, found: readonly Found[]): ApprovalView {
  const plans = found.map(({ key, approval: { plan, imageId, datasets } }) => [key, plan, imageId, datasets])
  return { pipeline, fingerprint: sha256(JSON.stringify(plans)), steps: found.map(({ said }) => said) }
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}
