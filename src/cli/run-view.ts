import type { RunView } from '../api/run-views.ts'
import { type NameOf, shortPeer } from './member-names.ts'
import { type Output, type Pair, shortId, spanText, timeText } from './output.ts'
import { filterRows, verdictText } from './run-filter-view.ts'
import { renderInputsAndPublished } from './run-io-view.ts'

type StepView = RunView['steps'][number]

const MIB = 1024 ** 2

/** A run for people: what it is, what its steps did, what they were given, and how it went. */
export function renderRun(out: Output, run: RunView, nameOf: NameOf = shortPeer): string {
  const { id, pipeline, trigger, state, reason, steps, slot, transitions, createdMs, endedMs } = run
  const { queue, owner, author, priority, allocation } = run
  const pairs: Pair[] = [
    ['run', id],
    ['pipeline', pipeline],
    ['by', trigger.of === undefined ? trigger.kind : `repeat of ${trigger.of}`],
    ['slot', `${timeText(slot)} (${slot})`],
    ['state', state],
    ...(reason === undefined ? [] : [['reason', reason] as Pair]),
    ...(queue === undefined ? [] : [['place', `${queue.position}: ${queue.why}`] as Pair]),
    ...(owner === undefined ? [] : [['owner', nameOf(owner)] as Pair]),
    ...(author === undefined ? [] : [['plan by', nameOf(author)] as Pair]),
    ...(priority === undefined ? [] : [['priority', String(priority)] as Pair]),
    ...(allocation === undefined ? [] : [['set apart', allocationText(allocation)] as Pair]),
    ['created', timeText(createdMs)],
    ...(endedMs === undefined ? [] : [['took', spanText(endedMs - createdMs)] as Pair]),
  ]
  const given = steps.filter((step) => step.image !== undefined)
  const filters = steps.flatMap(filterRows)
  const verdicts = steps.flatMap(verdictText)
  const history = transitions.map((each) => {
    // The reason of the end stands above already, however long it is.
    const why = each.reason === reason && reason !== undefined ? 'as above' : (each.reason ?? '')
    return [timeText(each.timeMs), each.state, each.step ?? '', why]
  })
  return [
    out.pairs(pairs),
    out.table(['step', 'tool', 'state', 'exit', 'output', 'commit', 'control'], steps.map(outcomeOf)),
    ...(verdicts.length === 0 ? [] : [verdicts.join('\n')]),
    ...(given.length === 0
      ? []
      : [out.table(['step', 'input', 'image', 'digest', 'granted'], given.map(givenTo))]),
    ...(filters.length === 0 ? [] : [out.table(['step', 'filter', 'image', 'exit', 'digest'], filters)]),
    ...renderInputsAndPublished(out, run),
    out.table(['time', 'state', 'step', 'reason'], history),
  ].join('\n\n')
}

function allocationText({ engine, cpus, memoryBytes, gpus }: NonNullable<RunView['allocation']>): string {
  const devices = gpus.length === 0 ? [] : [gpus.join(' ')]
  return [`engine ${engine}`, `${cpus} cpus`, `${Math.round(memoryBytes / MIB)} MiB`, ...devices].join(', ')
}

function outcomeOf(step: StepView): string[] {
  const { name, tool, state, exitCode, outputDataset, outputBranch, outputCommit, report } = step
  const output = outputBranch === undefined ? outputDataset : `${outputDataset} ${outputBranch}`
  const exit = exitCode === undefined ? '-' : String(exitCode)
  return [name, tool, state, exit, output, shortId(outputCommit), report?.verdict ?? '-']
}

function givenTo(step: StepView): string[] {
  const { name, inputDataset, inputCommit, inputFrom, image = '-', digest } = step
  const commit = inputCommit === undefined ? 'nothing yet' : shortId(inputCommit)
  const from = inputFrom === undefined ? '' : ` (${inputFrom.replace('-', ' ')})`
  const input = inputDataset === undefined ? '-' : `${inputDataset} ${commit}${from}`
  return [name, input, image, shortId(digest?.split('sha256:').at(-1)), grantedTo(step)]
}

function grantedTo({ granted, doneBy }: StepView): string {
  if (granted === undefined) return '-'
  const { network, root, devices = [], dockerSocket, user, memoryBytes, cpus, pids, timeoutMs } = granted
  const { environment, secrets } = granted
  const overrides = Object.entries(environment).map(([variable, value]) => `${variable}=${value}`)
  return [
    ...(dockerSocket ? ['the Docker socket'] : []),
    `network ${network}`,
    ...(root === 'writable' ? ['root writable'] : []),
    ...devices,
    `user ${user}`,
    `${Math.round(memoryBytes / MIB)} MiB`,
    `${cpus} cpus`,
    `${pids} pids`,
    spanText(timeoutMs),
    ...(overrides.length === 0 ? [] : [`set by this node: ${overrides.join(' ')}`]),
    ...(secrets.length === 0 ? [] : [`secrets: ${secrets.join(' ')}`]),
    ...(doneBy === undefined ? [] : [`done by run ${doneBy}`]),
  ].join(', ')
}
