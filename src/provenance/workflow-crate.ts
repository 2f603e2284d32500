/**
 * A run as the run of a workflow: RO-Crate 1.1 with the Workflow Run Crate profile 0.5
 * (https://w3id.org/ro/wfrun/workflow/0.5), which adds to the Process Run Crate the pipeline itself as a file of the
 * crate, its parameters, and one action for the whole run. Pure.
 */
import { stringify } from 'yaml'
import type { Run, StepRun } from '../execution/runs/run.ts'
import { type Crate, type Entity, Graph, type Reference } from './crate.ts'
import {
  addActions,
  agentEntity,
  crateOf,
  describeRun,
  iso,
  PROCESS_PROFILE,
  profileEntity,
  RO_CRATE,
  type RunCrateInput,
} from './run-crate.ts'
import { stagedEntity } from './step-inputs.ts'

export const WORKFLOW_FILE = 'pipeline.yaml'
export const WORKFLOW_PROFILE = 'https://w3id.org/ro/wfrun/workflow/0.5'
const WORKFLOW_CRATE = 'https://w3id.org/workflowhub/workflow-ro-crate/1.0'
const PARAMETER_PROFILE = 'https://bioschemas.org/profiles/FormalParameter/1.0-RELEASE'
const LANGUAGE = '#mao-pipeline'
const ACTION = '#run'
/** The profile wants a licence; where the owner named none, the crate says so. */
const NO_LICENCE = '#no-licence'

/** The pipeline as the run had it, as text: what `WORKFLOW_FILE` holds. */
export function workflowText({ pipeline, plan }: Pick<Run, 'pipeline' | 'plan'>): string {
  return stringify({ name: pipeline, steps: plan })
}

export function workflowRunCrate(input: RunCrateInput): Crate {
  const { run } = input
  const graph = new Graph()
  const actions = addActions(graph, input)
  const inputs = outside(run).map((given) => parameter(graph, 'input', given))
  const outputs = run.steps.flatMap((step) => {
    const made = step.outputChanged === false ? undefined : step.outputCommit
    return made === undefined
      ? []
      : [parameter(graph, 'output', { name: step.name, id: `swh:1:rev:${made}`, type: 'Dataset' })]
  })
  const license = input.license ?? NO_LICENCE
  const workflow: Entity = {
    '@id': WORKFLOW_FILE,
    '@type': ['File', 'SoftwareSourceCode', 'ComputationalWorkflow'],
    name: run.pipeline,
    programmingLanguage: { '@id': LANGUAGE },
    encodingFormat: 'application/yaml',
    input: inputs.map(({ formal }) => formal),
    output: outputs.map(({ formal }) => formal),
    hasPart: instrumentsOf(graph, actions),
  }
  const whole: Entity = {
    '@id': `${ACTION}/${run.id}`,
    '@type': 'CreateAction',
    name: `Run ${run.id} of ${run.pipeline}`,
    description: describeRun(input),
    instrument: { '@id': WORKFLOW_FILE },
    object: inputs.map(({ actual }) => actual),
    result: outputs.map(({ actual }) => actual),
    agent: graph.add(agentEntity(input)),
    startTime: iso(run.createdMs),
    ...(run.endedMs === undefined ? {} : { endTime: iso(run.endedMs) }),
    ...statusOf(run),
  }
  const root: Entity = {
    '@id': './',
    '@type': 'Dataset',
    conformsTo: [PROCESS_PROFILE, WORKFLOW_PROFILE, WORKFLOW_CRATE].map((id) => ({ '@id': id })),
    name: whole.name,
    description: whole.description,
    datePublished: iso(run.endedMs ?? run.transitions.at(-1)?.timeMs ?? run.createdMs),
    license: { '@id': license },
    mainEntity: { '@id': WORKFLOW_FILE },
    hasPart: [{ '@id': WORKFLOW_FILE }, ...graph.data],
    mentions: [{ '@id': whole['@id'] }, ...actions],
  }
  const entities = [
    root,
    profileEntity(PROCESS_PROFILE, 'Process Run Crate', '0.5'),
    profileEntity(WORKFLOW_PROFILE, 'Workflow Run Crate', '0.5'),
    profileEntity(WORKFLOW_CRATE, 'Workflow RO-Crate', '1.0'),
    { '@id': license, '@type': 'CreativeWork', name: input.license ?? 'No licence was named' },
    { '@id': LANGUAGE, '@type': 'ComputerLanguage', name: 'MAO pipeline' },
    workflow,
    whole,
  ]
  return crateOf([...entities, ...graph.entities()], [RO_CRATE, WORKFLOW_CRATE])
}

interface Given {
  readonly name: string
  /** Of the entity that stood for it. */
  readonly id: string
  readonly type: 'Dataset' | 'File'
}

/** What the run read that it had not made itself. */
function outside(run: Run): Given[] {
  return run.steps.flatMap((step) => {
    const main: Given[] =
      step.inputFrom === 'this-run' || step.inputCommit === undefined
        ? []
        : [
            {
              name: `${step.name}.${step.inputDataset}`,
              id: `swh:1:rev:${step.inputCommit}`,
              type: 'Dataset',
            },
          ]
    return [...main, ...furtherOf(step)]
  })
}

function furtherOf({ name, inputs = [] }: StepRun): Given[] {
  return inputs.map((staged) => {
    const entity = stagedEntity(staged)
    const type = entity['@type'] === 'Dataset' ? ('Dataset' as const) : ('File' as const)
    return { name: `${name}.${staged.name}`, id: entity['@id'], type }
  })
}

/** A formal parameter of the pipeline, and the very thing that stood for it in this run; each names the other. */
function parameter(
  graph: Graph,
  direction: 'input' | 'output',
  { name, id: actualId, type }: Given,
): { formal: Reference; actual: Reference } {
  const id = `#${direction}/${name}`
  const actual = { '@id': actualId }
  const formal = graph.add({
    '@id': id,
    '@type': 'FormalParameter',
    additionalType: type,
    conformsTo: { '@id': PARAMETER_PROFILE },
    name,
    workExample: actual,
  })
  const known = graph.get(actual['@id'])
  if (known !== undefined) {
    const before = known.exampleOfWork === undefined ? [] : [known.exampleOfWork].flat()
    graph.add({ ...known, exampleOfWork: [...before, formal] })
  }
  graph.add({ '@id': PARAMETER_PROFILE, '@type': 'CreativeWork', name: 'FormalParameter', version: '1.0' })
  return { formal, actual }
}

function instrumentsOf(graph: Graph, actions: readonly Reference[]): Reference[] {
  const named = actions.map((action) => graph.get(action['@id'])?.instrument as Reference | undefined)
  const ids = new Set(named.flatMap((reference) => (reference === undefined ? [] : [reference['@id']])))
  return [...ids].map((id) => ({ '@id': id }))
}

function statusOf(run: Run): { actionStatus: string; error?: string } {
  const status = 'http://schema.org/'
  if (run.state === 'succeeded') return { actionStatus: `${status}CompletedActionStatus` }
  if (run.endedMs === undefined) return { actionStatus: `${status}ActiveActionStatus` }
  return {
    actionStatus: `${status}FailedActionStatus`,
    error: `${run.state}${run.reason === undefined ? '' : `: ${run.reason}`}`,
  }
}
