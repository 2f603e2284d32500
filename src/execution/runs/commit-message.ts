import type { Run, StepRun } from './run.ts'

/**
 * The message of the commit of a step: a line for people, then git trailers with what is needed to repeat it
 * (`git log --format='%(trailers:key=Image-Digest)'`). Pure.
 */
export function commitMessage(run: Run, step: StepRun): string {
  const trailers: [string, string | undefined][] = [
    ['Run-Id', run.id],
    ['Pipeline', run.pipeline],
    ['Step', step.name],
    ['Slot', String(run.slot)],
    ['Tool', step.tool],
    ['Image', step.image],
    ['Image-Digest', step.digest],
    ['Input-Dataset', step.inputDataset],
    ['Input-Commit', step.inputCommit],
    // Names alone: a commit goes to every member and stays, and what an owner changed is told in the run.
    ...Object.keys(step.granted?.environment ?? {}).map((variable): [string, string] => [
      'Environment-Override',
      variable,
    ]),
  ]
  const lines = trailers.filter(([, value]) => value !== undefined)
  return [
    `${step.name}: ${step.tool} in run ${run.id} of ${run.pipeline}`,
    '',
    ...lines.map(([key, value]) => `${key}: ${oneLine(value ?? '')}`),
    '',
  ].join('\n')
}

/** The value of a trailer in a commit message, or undefined. Pure. */
export function trailerOf(message: string, key: string): string | undefined {
  const last = message.trimEnd().split('\n\n').at(-1) ?? ''
  const line = last.split('\n').find((text) => text.startsWith(`${key}: `))
  return line?.slice(key.length + 2)
}

/** A line break in a value would begin another trailer. */
function oneLine(text: string): string {
  return text.replaceAll(/\s*[\r\n]+\s*/g, ' ')
}
