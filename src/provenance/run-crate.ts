/**
 * A run as a research object: RO-Crate 1.1 with the Process Run Crate profile 0.5 (https://w3id.org/ro/wfrun/process/0.5),
 * as JSON-LD that any tool for such crates reads. Pure, and written here: the file is small and its shape is fixed.
 *
 * The crate describes and does not carry: data stay in their git repositories, named by SWHIDs (ISO/IEC 18670), which
 * are computed from the git ids and so name the same commit wherever a copy of it is.
 */
import type { CommitInfo } from '../datasets/git/repository.ts'
import type { PipelineStep } from '../execution/catalogue/pipeline.ts'
import type { Tool } from '../execution/catalogue/tool.ts'
import type { Run, StepRun } from '../execution/runs/run.ts'
import { type Crate, type Entity, Graph, type Reference } from './crate.ts'
import { imageEntity } from './image-entity.ts'
import { stagedEntity } from './step-inputs.ts'

export const RUN_CRATE_FILE = 'ro-crate-metadata.json'
export const RO_CRATE = 'https://w3id.org/ro/crate/1.1'
export const PROCESS_PROFILE = 'https://w3id.org/ro/wfrun/process/0.5'
const STATUS = 'http://schema.org/'

export interface RunCrateInput {
  readonly run: Run
  /** Whose node ran it. */
  readonly agent: { readonly peer: string; readonly name: string }
  readonly federation: { readonly id: string; readonly name: string }
  /** The tools of the run's steps as the registry shows them now, by name; those that are gone are left out. */
  readonly tools: ReadonlyMap<string, Tool>
  /** What this node knows of the commits that the run names, by id. */
  readonly commits: ReadonlyMap<string, CommitInfo>
  /** Address of a licence that covers the crate, such as an SPDX one. */
  readonly license?: string
}

/** The crate of a run; its steps that did not begin are told of in the description alone. */
export function runCrate(input: RunCrateInput): Crate {
  const { run } = input
  const graph = new Graph()
  const actions = addActions(graph, input)
  const root: Entity = {
    '@id': './',
    '@type': 'Dataset',
    conformsTo: { '@id': PROCESS_PROFILE },
    name: `Run ${run.id} of ${run.pipeline}`,
    description: describeRun(input),
    datePublished: iso(run.endedMs ?? run.transitions.at(-1)?.timeMs ?? run.createdMs),
    ...(input.license === undefined ? {} : { license: { '@id': input.license } }),
    hasPart: graph.data,
    mentions: actions,
  }
  const licence: Entity[] =
    input.license === undefined
      ? []
      : [{ '@id': input.license, '@type': 'CreativeWork', name: input.license }]
  const profile = profileEntity(PROCESS_PROFILE, 'Process Run Crate', '0.5')
  return crateOf([root, profile, ...licence, ...graph.entities()], [RO_CRATE])
}

/** Each step that began, as an action of the graph with all that it refers to. */
export function addActions(graph: Graph, input: RunCrateInput): Reference[] {
  return input.run.steps.flatMap((step, index) => {
    const begun = step.startedMs !== undefined
    return begun ? addStepActions(graph, input, step, input.run.plan[index]) : []
  })
}

export function profileEntity(id: string, name: string, version: string): Entity {
  return { '@id': id, '@type': 'CreativeWork', name, version }
}

/** @param standards that the metadata file itself conforms to. */
export function crateOf(entities: readonly Entity[], standards: readonly string[]): Crate {
  const [first = RO_CRATE, ...rest] = standards
  const metadata: Entity = {
    '@id': RUN_CRATE_FILE,
    '@type': 'CreativeWork',
    conformsTo: rest.length === 0 ? { '@id': first } : standards.map((id) => ({ '@id': id })),
    about: { '@id': './' },
  }
  return {
    '@context': [`${RO_CRATE}/context`, 'https://w3id.org/ro/terms/workflow-run/context'],
    '@graph': [metadata, ...entities],
  }
}

/** The tool's action and, where its output went through a filter, the filter's: what came between them was not kept. */
function addStepActions(
  graph: Graph,
  input: RunCrateInput,
  step: StepRun,
  plan: PipelineStep | undefined,
): Reference[] {
  const { run, commits } = input
  const made = () => {
    // What was there before the tool left it as it was is no result of the action.
    if (step.outputCommit === undefined || step.outputChanged === false) return undefined
    const data = dataEntity(step.outputDataset, step.outputCommit, commits)
    return graph.addData({ ...data, ...copiesOf(graph, step) })
  }
  if (step.filter === undefined) return [addAction(graph, { input, step, plan, result: made })]
  const actionId = actionIdOf(run, step)
  const raw = graph.add({
    '@id': `${actionId}/unfiltered`,
    '@type': 'Dataset',
    name: `Output of ${step.name} before its filter`,
    description: 'Not kept',
  })
  const { tool, image, digest } = step.filter
  const action = addAction(graph, { input, step, plan, result: () => raw })
  const result = made()
  const filter = graph.add({
    '@id': `${actionId}/filter`,
    '@type': 'CreateAction',
    name: `Filter of ${step.name} of ${run.pipeline}`,
    description: `Runs the filter ${tool} on the output in a container of its own`,
    instrument: graph.add(toolEntity({ tool, image, digest }, input)),
    containerImage: graph.add(imageEntity(image, digest)),
    object: [raw],
    ...(result === undefined ? {} : { result: [result] }),
    agent: graph.add(agentEntity(input)),
    ...(step.endedMs === undefined ? {} : { endTime: iso(step.endedMs) }),
    ...statusOf(run, step),
  })
  return [action, filter]
}

/** A step that an earlier run did, and this one took over, is that run's action. */
function actionIdOf(run: Run, step: StepRun): string {
  return `#run/${step.doneBy ?? run.id}/${step.name}`
}

/** Where the output was published beside its dataset. */
function copiesOf(graph: Graph, { published = [] }: StepRun): { distribution?: Reference[] } {
  const copies = published
    .filter(({ removedMs }) => removedMs === undefined)
    .map(({ address, bytes, publisher }) => {
      const told = {
        name: `Copy by the publisher ${publisher}`,
        contentUrl: address,
        contentSize: String(bytes),
      }
      return graph.add({ '@id': `#copy/${encodeURIComponent(address)}`, '@type': 'DataDownload', ...told })
    })
  return copies.length === 0 ? {} : { distribution: copies }
}

function addAction(
  graph: Graph,
  p: {
    input: RunCrateInput
    step: StepRun
    plan: PipelineStep | undefined
    /** After what was read, so that the crate lists its data in the order in which they came to be. */
    result: () => Reference | undefined
  },
): Reference {
  const { input, step, plan } = p
  const { run, commits } = input
  const id = actionIdOf(run, step)
  const object =
    step.inputDataset === undefined || step.inputCommit === undefined
      ? undefined
      : graph.addData(dataEntity(step.inputDataset, step.inputCommit, commits))
  const further = (step.inputs ?? []).map((staged) => graph.addData(stagedEntity(staged)))
  const objects = uniqueReferences([...(object === undefined ? [] : [object]), ...further])
  const result = p.result()
  const image = step.image === undefined ? undefined : graph.add(imageEntity(step.image, step.digest))
  return graph.add({
    '@id': id,
    '@type': 'CreateAction',
    name: `${step.name} of ${run.pipeline}`,
    description: describeStep(run, step, plan),
    instrument: graph.add(toolEntity(step, input)),
    ...(image === undefined ? {} : { containerImage: image }),
    ...(objects.length === 0 ? {} : { object: objects }),
    ...(result === undefined ? {} : { result: [result] }),
    environment: environmentOf(id, step, plan).map((variable) => graph.add(variable)),
    agent: graph.add(agentEntity(input)),
    ...(step.startedMs === undefined ? {} : { startTime: iso(step.startedMs) }),
    ...(step.endedMs === undefined ? {} : { endTime: iso(step.endedMs) }),
    ...statusOf(run, step),
  })
}

/** Read twice, it is still one thing. */
function uniqueReferences(references: readonly Reference[]): Reference[] {
  return [...new Map(references.map((each) => [each['@id'], each])).values()]
}

/** How the step ended; an error only for one that failed, as the profile asks. */
function statusOf(run: Run, step: StepRun): { actionStatus: string; error?: string } {
  if (step.state === 'succeeded') return { actionStatus: `${STATUS}CompletedActionStatus` }
  if (step.endedMs === undefined) return { actionStatus: `${STATUS}ActiveActionStatus` }
  const exit = step.exitCode === undefined ? '' : `, exit code ${step.exitCode}`
  const reason = run.reason === undefined ? '' : `: ${run.reason}`
  return { actionStatus: `${STATUS}FailedActionStatus`, error: `${step.state}${exit}${reason}` }
}

/** The tool in the version that ran: the image's digest says which. */
function toolEntity(step: Pick<StepRun, 'tool' | 'image' | 'digest'>, { tools }: RunCrateInput): Entity {
  const tool = tools.get(step.tool)
  const version = step.digest ?? step.image
  return {
    '@id': `#tool/${step.tool}${version === undefined ? '' : `/${encodeURIComponent(version)}`}`,
    '@type': 'SoftwareApplication',
    name: step.tool,
    ...(version === undefined ? {} : { softwareVersion: version }),
    ...(tool?.description === undefined ? {} : { description: tool.description }),
    ...(tool?.code_repo === undefined || !URL.canParse(tool.code_repo) ? {} : { url: tool.code_repo }),
    ...(tool === undefined || tool.author === '' ? {} : { creditText: tool.author }),
  }
}

/** A commit of a dataset. */
function dataEntity(dataset: string, oid: string, commits: ReadonlyMap<string, CommitInfo>): Entity {
  const commit = commits.get(oid)
  const known =
    commit === undefined
      ? {}
      : {
          description: commit.message.split('\n')[0],
          dateModified: iso(commit.timeMs),
          creditText: commit.author.name,
          sameAs: `swh:1:dir:${commit.tree}`,
        }
  return {
    '@id': `swh:1:rev:${oid}`,
    '@type': 'Dataset',
    name: `${dataset} at ${oid.slice(0, 12)}`,
    alternateName: dataset,
    identifier: oid,
    ...known,
  }
}

export function agentEntity({ agent, federation }: RunCrateInput): Entity {
  return {
    '@id': `#peer/${agent.peer}`,
    '@type': 'Organization',
    name: agent.name,
    identifier: agent.peer,
    description: `Member ${agent.name} of the federation ${federation.name} (${federation.id})`,
  }
}

/**
 * The variables of a step. What the node's owner filled in (secrets) or changed is named without its value: it belongs
 * to that owner, and a crate is made to be passed on.
 */
function environmentOf(action: string, step: StepRun, plan: PipelineStep | undefined): Entity[] {
  const { secrets = [], environment = {} } = step.granted ?? {}
  const kept = new Set([...secrets, ...Object.keys(environment)])
  const told = Object.entries(plan?.env ?? {}).filter(([name]) => !kept.has(name))
  const variable = (name: string) => ({ '@id': `${action}/env/${name}`, '@type': 'PropertyValue', name })
  return [
    ...told.map(([name, value]) => ({ ...variable(name), value })),
    ...[...kept].sort().map((name) => ({
      ...variable(name),
      description: "Set by the node's owner; the value is not published",
    })),
  ]
}

export function describeRun({ run, federation }: RunCrateInput): string {
  const reason = run.reason === undefined ? '' : ` (${run.reason})`
  const idle = run.steps.filter((step) => step.startedMs === undefined).map((step) => step.name)
  const rest = idle.length === 0 ? '' : ` Steps that did not begin: ${idle.join(', ')}.`
  const { trigger } = run
  const again =
    trigger.kind === 'rerun' || trigger.kind === 'repeat' ? ` It does run ${trigger.of} again.` : ''
  return `The pipeline ${run.pipeline} in the federation ${federation.name}, for the time ${iso(run.slot)}; it is ${run.state}${reason}.${again}${rest}`
}

function describeStep(run: Run, step: StepRun, plan: PipelineStep | undefined): string {
  const command = plan?.cmd == null ? "the image's own command" : JSON.stringify(plan.cmd)
  const branch = step.outputBranch === undefined ? '' : `, branch ${step.outputBranch}`
  const unchanged = step.outputChanged === false ? ', which the tool left as it was' : ''
  const taken = step.doneBy === undefined ? '' : ` Done by run ${step.doneBy}, taken over by ${run.id}.`
  return `Runs ${command} in a container; output to dataset ${step.outputDataset}${branch}${unchanged}.${taken}`
}

export function iso(timeMs: number): string {
  return new Date(timeMs).toISOString()
}
