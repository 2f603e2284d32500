import { trailerCharactersMax, trailersOfKeyMax } from '../../base/limits.ts'
import { privateVariables } from '../secrets/secrets.ts'
import { type Granted, identityOf, type Run, type StagedSource, type StepRun } from './run.ts'

type Trailer = readonly [key: string, value: string | number | undefined]

/**
 * The message of the commit of a step: a line for people, then git trailers with what is needed to repeat it
 * (`git log --format='%(trailers:key=Image-Digest)'`) and with what its box allowed. Pure.
 */
export function commitMessage(run: Run, step: StepRun): string {
  const trailers: Trailer[] = [
    ['Run-Id', run.id],
    ['Pipeline', run.pipeline],
    ['Step', step.name],
    ['Slot', run.slot],
    ['Run-Identity', identityOf(run)],
    ['Tool', step.tool],
    ['Image', step.image],
    ['Image-Digest', step.digest],
    ...parametersOf(run, step),
    ['Input-Dataset', step.inputDataset],
    ['Input-Commit', step.inputCommit],
    ...(step.inputs ?? []).slice(0, trailersOfKeyMax).map((input): Trailer => ['Input', inputOf(input)]),
    ...(step.granted === undefined ? [] : grantsOf(step.granted)),
  ]
  const lines = trailers.filter(([, value]) => value !== undefined)
  return [
    `${step.name}: ${step.tool} in run ${run.id} of ${run.pipeline}`,
    '',
    ...lines.map(([key, value]) => `${key}: ${oneLine(String(value))}`),
    '',
  ].join('\n')
}

/** What the tool and its filter were told. Of what is secret, or the owner's own, the names alone stand elsewhere. */
function parametersOf(run: Run, step: StepRun): Trailer[] {
  const plan = run.plan.find(({ name }) => name === step.name)
  if (plan === undefined) return []
  const kept = new Set([...privateVariables(plan), ...Object.keys(step.granted?.environment ?? {})])
  const told = Object.entries(plan.env ?? {}).filter(([variable]) => !kept.has(variable))
  const { filter } = plan
  return [
    ['Command', plan.cmd === null ? undefined : JSON.stringify(plan.cmd)],
    ['Environment', told.length === 0 ? undefined : JSON.stringify(Object.fromEntries(told))],
    ['Layout', plan.layout],
    ['Filter', filter?.tool],
    ['Filter-Image-Digest', step.filter?.digest],
    ['Filter-Command', filter == null || filter.cmd === null ? undefined : JSON.stringify(filter.cmd)],
  ]
}

/** One further input: its name, what it was, and what fixes its content. */
function inputOf({ name, kind, source, resolved, sha256, commit }: StagedSource): string {
  const place = resolved === undefined || resolved === source ? source : `${source} -> ${resolved}`
  const fixed = commit ?? (sha256 === undefined ? '' : `sha256:${sha256}`)
  // What fixes the content comes before what may be cut.
  return `${name} = ${kind} ${fixed} ${place}`.replaceAll('  ', ' ')
}

function grantsOf(granted: Granted): Trailer[] {
  const { network, root = 'read-only', user, memoryBytes, cpus, pids, timeoutMs, outputBytes } = granted
  // Names alone: a commit goes to every member and stays, and what an owner changed is told in the run.
  const overrides = Object.keys(granted.environment)
  return [
    ['Network', network],
    ['Root', root],
    ['User', user],
    ['Memory-Bytes', memoryBytes],
    ['Cpus', cpus],
    ['Pids', pids],
    ['Timeout-Ms', timeoutMs],
    ['Output-Bytes-Max', outputBytes],
    ['Docker-Socket', granted.dockerSocket ? 'granted' : undefined],
    ['Devices', granted.devices?.join(', ')],
    ...granted.secrets.slice(0, trailersOfKeyMax).map((variable): Trailer => ['Secret', variable]),
    ...overrides.slice(0, trailersOfKeyMax).map((variable): Trailer => ['Environment-Override', variable]),
  ]
}

/** The value of a trailer in a commit message, or undefined. Pure. */
export function trailerOf(message: string, key: string): string | undefined {
  const last = message.trimEnd().split('\n\n').at(-1) ?? ''
  const line = last.split('\n').find((text) => text.startsWith(`${key}: `))
  return line?.slice(key.length + 2)
}

/** A line break in a value would begin another trailer; what a step names may be long. */
function oneLine(text: string): string {
  return text.replaceAll(/\s*[\r\n]+\s*/g, ' ').slice(0, trailerCharactersMax)
}
