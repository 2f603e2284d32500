/**
 * A run in the PROV data model (W3C PROV-DM, 2013), as PROV-JSON (W3C member submission of 24 April 2013). Pure. Commits
 * are named by their SWHIDs, so that the entities of one run are those of another that read them.
 */
import type { Run, StepRun } from '../execution/runs/run.ts'
import type { RunCrateInput } from './run-crate.ts'

type Attributes = Record<string, unknown>

/** A PROV-JSON document: kind of statement → id → attributes. */
export interface ProvDocument {
  readonly prefix: Readonly<Record<string, string>>
  readonly [statements: string]: Readonly<Record<string, unknown>>
}

const PREFIXES = {
  mao: 'urn:mao:',
  rev: 'https://archive.softwareheritage.org/swh:1:rev:',
  schema: 'http://schema.org/',
}

export function provOf(input: RunCrateInput): ProvDocument {
  const { run, agent, federation } = input
  const statements = new Statements()
  const member = `mao:peer.${agent.peer}`
  const group = `mao:federation.${federation.id}`
  statements.add('agent', member, { 'prov:type': qualified('prov:Organization'), 'prov:label': agent.name })
  statements.add('agent', group, {
    'prov:type': qualified('prov:Organization'),
    'prov:label': federation.name,
  })
  statements.relate('actedOnBehalfOf', { 'prov:delegate': member, 'prov:responsible': group })
  const plan = `mao:pipeline.${run.pipeline}.${run.id}`
  statements.add('entity', plan, {
    'prov:type': qualified('prov:Plan'),
    'prov:label': run.pipeline,
    'prov:value': JSON.stringify(run.plan.map(({ env: _env, ...step }) => step)),
  })
  for (const step of run.steps) {
    if (step.startedMs !== undefined) addStep(statements, { run, step, member, plan })
  }
  return { prefix: PREFIXES, ...statements.all() }
}

function addStep(
  statements: Statements,
  { run, step, member, plan }: { run: Run; step: StepRun; member: string; plan: string },
): void {
  const activity = `mao:run.${step.doneBy ?? run.id}.${step.name}`
  statements.add('activity', activity, {
    'prov:label': `${step.name} of ${run.pipeline}`,
    ...(step.startedMs === undefined ? {} : { 'prov:startTime': iso(step.startedMs) }),
    ...(step.endedMs === undefined ? {} : { 'prov:endTime': iso(step.endedMs) }),
    'mao:state': step.state,
    ...(step.exitCode === undefined ? {} : { 'mao:exitCode': step.exitCode }),
  })
  statements.relate('wasAssociatedWith', {
    'prov:activity': activity,
    'prov:agent': member,
    'prov:plan': plan,
  })
  if (step.digest !== undefined) {
    addImage(statements, { activity, image: step.image ?? step.tool, digest: step.digest })
  }
  const used = inputsOf(step).map(({ id, attributes, role }) => {
    statements.add('entity', id, attributes)
    statements.use(activity, id, role)
    return id
  })
  if (step.outputCommit === undefined || step.outputChanged === false) return
  const made = `rev:${step.outputCommit}`
  statements.add('entity', made, commitAttributes(step.outputDataset))
  const maker = step.filter === undefined ? activity : addFilter(statements, { step, activity, member, plan })
  statements.relate('wasGeneratedBy', {
    'prov:entity': made,
    'prov:activity': maker,
    ...(step.endedMs === undefined ? {} : { 'prov:time': iso(step.endedMs) }),
  })
  statements.relate('wasAttributedTo', { 'prov:entity': made, 'prov:agent': member })
  for (const source of used) {
    statements.relate('wasDerivedFrom', {
      'prov:generatedEntity': made,
      'prov:usedEntity': source,
    })
  }
}

/** What the tool made went through a filter, and only what the filter left was kept. @returns the filter's activity. */
function addFilter(
  statements: Statements,
  { step, activity, member, plan }: { step: StepRun; activity: string; member: string; plan: string },
): string {
  const { tool = '', image = tool, digest = '' } = step.filter ?? {}
  const [filter, raw] = [`${activity}.filter`, `${activity}.unfiltered`]
  statements.add('entity', raw, { 'prov:label': `output of ${step.name} before its filter, not kept` })
  statements.relate('wasGeneratedBy', { 'prov:entity': raw, 'prov:activity': activity })
  statements.add('activity', filter, { 'prov:label': `filter ${tool} of ${step.name}` })
  const associated = { 'prov:activity': filter, 'prov:agent': member, 'prov:plan': plan }
  statements.relate('wasAssociatedWith', associated)
  addImage(statements, { activity: filter, image, digest })
  statements.use(filter, raw, 'mao:unfiltered')
  return filter
}

function addImage(
  statements: Statements,
  { activity, image, digest }: { activity: string; image: string; digest: string },
): void {
  const id = `mao:image.${digest.split('sha256:').at(-1)}`
  const software = qualified('schema:SoftwareApplication')
  statements.add('entity', id, { 'prov:type': software, 'prov:label': image, 'mao:digest': digest })
  statements.use(activity, id, 'mao:tool')
}

interface Used {
  readonly id: string
  readonly attributes: Attributes
  readonly role: string
}

function inputsOf({ inputDataset, inputCommit, inputs = [] }: StepRun): Used[] {
  const main: Used[] =
    inputDataset === undefined || inputCommit === undefined
      ? []
      : [{ id: `rev:${inputCommit}`, attributes: commitAttributes(inputDataset), role: 'mao:input' }]
  const further = inputs.map(({ name, source, resolved, sha256, commit }): Used => {
    const role = `mao:input.${name}`
    if (commit !== undefined) return { id: `rev:${commit}`, attributes: commitAttributes(source), role }
    const attributes = {
      'prov:label': name,
      'prov:location': resolved ?? source,
      ...(sha256 === undefined ? {} : { 'mao:sha256': sha256 }),
    }
    return { id: `mao:file.${sha256 ?? encodeURIComponent(source)}`, attributes, role }
  })
  return [...main, ...further]
}

/** A name that stands for something, as against a text. */
function qualified(name: string): Attributes {
  return { $: name, type: 'xsd:QName' }
}

function commitAttributes(dataset: string): Attributes {
  return { 'prov:type': qualified('schema:Dataset'), 'prov:label': dataset }
}

/** Statements by kind; a relation has an id of its own, which PROV-JSON wants and nobody refers to. */
class Statements {
  readonly #kinds = new Map<string, Record<string, Attributes>>()
  #relations = 0

  add(kind: string, id: string, attributes: Attributes): void {
    const of = this.#kinds.get(kind) ?? {}
    of[id] ??= attributes
    this.#kinds.set(kind, of)
  }

  relate(kind: string, attributes: Attributes): void {
    this.#relations += 1
    this.add(kind, `_:r${this.#relations}`, attributes)
  }

  use(activity: string, entity: string, role: string): void {
    this.relate('used', { 'prov:activity': activity, 'prov:entity': entity, 'prov:role': role })
  }

  all(): Record<string, Record<string, Attributes>> {
    return Object.fromEntries(this.#kinds)
  }
}

function iso(timeMs: number): string {
  return new Date(timeMs).toISOString()
}
