import type { RunPreviewView } from '../api/submit-views.ts'
import { bytesText, type Output, type Pair, shortId, spanText, timeText } from './output.ts'

type StepPreviewView = RunPreviewView['steps'][number]

/** What would become of a run, for people: the verdict first, then what each step would get. */
export function renderPreview(out: Output, preview: RunPreviewView): string {
  const { pipeline, wouldRun, problems, steps, queue, slot, owner, priority, waitUntilMs, timeoutMs } =
    preview
  const verdict = wouldRun
    ? `${pipeline} would run. Nothing was written.`
    : `${pipeline} would not run: ${problems.length} ${problems.length === 1 ? 'thing is' : 'things are'} wrong. Nothing was written.`
  const pairs: Pair[] = [
    ['queue', queue.why === undefined ? 'it would start at once' : `place ${queue.position}: ${queue.why}`],
    ...(queue.engine === undefined ? [] : [['engine', queue.engine] as Pair]),
    ['slot', `${timeText(slot)} (${slot})`],
    ['owner', owner],
    ['priority', String(priority)],
    ...(waitUntilMs === undefined ? [] : [['waits until', timeText(waitUntilMs)] as Pair]),
    ...(timeoutMs === undefined ? [] : [['longest time', spanText(timeoutMs)] as Pair]),
  ]
  const wrong = problems.map(({ step, code, message }) => [step ?? '', code, message])
  return [
    verdict,
    ...(wrong.length === 0 ? [] : [out.table(['step', 'code', 'problem'], wrong)]),
    out.pairs(pairs),
    out.table(['step', 'tool', 'image', 'digest', 'allowed'], steps.map(imageRow)),
    out.table(['step', 'input', 'output', 'filter', 'publish'], steps.map(dataRow)),
    out.table(['step', 'would be granted'], steps.map(grantRow)),
  ].join('\n\n')
}

function imageRow({ name, tool, image }: StepPreviewView): string[] {
  if (image === undefined) return [name, tool, '-', '-', '-']
  const state = { there: '', 'to-be-pulled': ' (would be pulled)', unknown: ' (the engine does not answer)' }
  const { digest, pinned } = image
  const shown = shortId((digest ?? pinned)?.split('sha256:').at(-1))
  const fixed = pinned === undefined ? (digest === undefined ? '' : ' (would be pinned)') : ' (pinned)'
  return [name, tool, `${image.reference}${state[image.state]}`, `${shown}${fixed}`, image.allowed]
}

function dataRow(step: StepPreviewView): string[] {
  const { name, input, inputs, outputDataset, outputBranch, filter = '-', publish } = step
  const main = input === undefined ? [] : [inputText(input)]
  const read = [...main, ...inputs]
  const output = `${outputDataset} ${outputBranch}`
  return [name, read.join(', ') || '-', output, filter, publish.join(' ') || '-']
}

function inputText({ dataset, commit, from }: NonNullable<StepPreviewView['input']>): string {
  return commit === undefined ? `${dataset} (${from})` : `${dataset} ${shortId(commit)} (${from})`
}

function grantRow({ name, granted }: StepPreviewView): string[] {
  const { network, root, dockerSocket, memoryBytes, cpus, pids, timeoutMs, outputBytes, secrets } = granted
  const parts = [
    ...(dockerSocket ? ['the Docker socket'] : []),
    `network ${network}`,
    ...(root === undefined ? [] : [`root ${root}`]),
    bytesText(memoryBytes),
    `${cpus} cpus`,
    `${pids} pids`,
    ...(outputBytes === undefined ? [] : [`output ${bytesText(outputBytes)}`]),
    spanText(timeoutMs),
    ...(secrets.length === 0 ? [] : [`secrets: ${secrets.join(' ')}`]),
  ]
  return [name, parts.join(', ')]
}
