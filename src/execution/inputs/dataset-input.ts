/** Inputs that lie in datasets: at a commit, at the ground truth, or as what an earlier run made. */
import { basename, join } from 'node:path'
import { NodeError } from '../../base/errors.ts'
import { entryIn } from '../../datasets/browse/listing.ts'
import type { Datasets } from '../../datasets/datasets.ts'
import type { Checkouts } from '../../datasets/upkeep/checkouts.ts'
import type { StepInput } from '../catalogue/step-input.ts'
import { isEnded, type Run } from '../runs/run.ts'
import type { Obtained, Obtaining } from './obtained.ts'

export interface InputTrees {
  readonly datasets: Pick<Datasets, 'find' | 'truth' | 'ensureCommit' | 'repository'>
  /** Trees of commits that nobody can write. */
  readonly checkouts: Pick<Checkouts, 'use'>
}

/** @throws NodeError RUN_NOT_FOUND */
export type RunSource = (id: string) => Run

type DatasetInput = Extract<StepInput, { dataset: string }>
type OutputInput = Extract<StepInput, { run: string }>

/**
 * A dataset, or a file or directory in it. The rules are those of a step's input dataset: objects that may not come
 * here do not come here.
 *
 * @throws NodeError NOT_FOUND when nothing is agreed on yet, or nothing is at the path; DATASET_NOT_FOUND,
 * DATASET_WITHHELD, PEER_UNREACHABLE, PATH_UNSAFE, INVALID_INPUT for a link.
 */
export async function obtainDataset(input: DatasetInput, p: Obtaining, trees: InputTrees): Promise<Obtained> {
  const { dataset } = input
  const commit =
    input.commit ??
    madeBefore(p, dataset) ??
    p.run.inputCommits?.[dataset] ??
    (await trees.datasets.truth(dataset))
  if (commit === undefined) {
    const message = `The dataset ${dataset} has no ground truth yet to read from: import data into it, let a round decide, or name a commit of it`
    throw new NodeError('NOT_FOUND', message, { dataset })
  }
  const named = `${dataset}@${commit}${below(input.path)}`
  const source = { kind: 'dataset' as const, source: named, commit, dataset }
  return obtainTree({ dataset, commit, path: input.path, source, base: dataset }, p, trees)
}

/**
 * What a step of an earlier run has made: the commit itself, whatever happened to its branch since.
 *
 * @throws NodeError RUN_NOT_FOUND, CONFLICT for a run that has not succeeded, NOT_FOUND for a step that is not in it
 * or made nothing, FORBIDDEN for another's run.
 */
export async function obtainOutput(
  input: OutputInput,
  p: Obtaining,
  trees: InputTrees,
  runs: RunSource,
): Promise<Obtained> {
  const earlier = runs(input.run)
  checkReadable(p.run, earlier)
  const { dataset, step, commit } = outputOf(earlier, input.step)
  const named = `${earlier.id}/${step}${below(input.path)}`
  const source = { kind: 'run' as const, source: named, commit, dataset }
  return obtainTree({ dataset, commit, path: input.path, source, base: `${dataset}-${step}` }, p, trees)
}

/**
 * Where what a run made lies: the output of a step, or of the last one. Pure.
 *
 * @throws NodeError CONFLICT, NOT_FOUND
 */
export function outputOf(
  run: Pick<Run, 'id' | 'state' | 'steps'>,
  name?: string,
): { dataset: string; step: string; commit: string } {
  const step = name === undefined ? run.steps.at(-1) : run.steps.find((each) => each.name === name)
  if (step === undefined) {
    const names = run.steps.map((each) => each.name).join(', ')
    throw new NodeError('NOT_FOUND', `The run ${run.id} has no step ${name}; its steps are ${names}`, {
      run: run.id,
    })
  }
  if (run.state !== 'succeeded') {
    const message = `The run ${run.id} is ${run.state}, and only the output of a run that has succeeded is an input; "maoctl run show ${run.id}" tells more`
    throw new NodeError('CONFLICT', message, { run: run.id, state: run.state })
  }
  if (step.outputCommit === undefined) {
    const message = `The step ${step.name} of the run ${run.id} made nothing that could be read`
    throw new NodeError('NOT_FOUND', message, { run: run.id, step: step.name })
  }
  return { dataset: step.outputDataset, step: step.name, commit: step.outputCommit }
}

/** What can be known of it before anything is done. @throws NodeError DATASET_NOT_FOUND */
export function checkDataset({ dataset }: DatasetInput, { datasets }: InputTrees): void {
  if (datasets.find(dataset) !== undefined) return
  const message = `No dataset is named ${dataset} here; "maoctl dataset list" shows those that there are`
  throw new NodeError('DATASET_NOT_FOUND', message, { name: dataset })
}

/** The same of a run's output; one at work may have succeeded by the time that it is read. @throws as `obtainOutput`. */
export function checkOutput(input: OutputInput, run: Run, runs: RunSource): void {
  const earlier = runs(input.run)
  checkReadable(run, earlier)
  if (isEnded(earlier)) outputOf(earlier, input.step)
}

/** Another member's run reads its own earlier runs, not those of others. */
function checkReadable(run: Run, earlier: Run): void {
  const [owner, other] = [run.owner ?? 'node', earlier.owner ?? 'node']
  if (owner === 'node' || owner === other) return
  throw new NodeError('FORBIDDEN', `The run ${earlier.id} belongs to somebody else`, { run: earlier.id })
}

/** So that a chain of steps works on one state of things. */
function madeBefore({ run, step }: Obtaining, dataset: string): string | undefined {
  const at = run.steps.findIndex(({ name }) => name === step.name)
  const earlier = run.steps.slice(0, Math.max(at, 0))
  return earlier.findLast(({ outputDataset }) => outputDataset === dataset)?.outputCommit
}

async function obtainTree(
  wanted: Pick<Obtained, 'source' | 'base'> & { dataset: string; commit: string; path: string | undefined },
  p: Obtaining,
  trees: InputTrees,
): Promise<Obtained> {
  const { dataset, commit, source } = wanted
  const path = (wanted.path ?? '').replace(/\/+$/, '')
  await trees.datasets.ensureCommit(dataset, commit, { signal: p.signal })
  // Through git's own trees: no link on the way leads elsewhere.
  const entry = await entryIn(await trees.datasets.repository(dataset), commit, path)
  if (entry.mode === '120000') {
    const message = `${JSON.stringify(path)} of ${dataset} is a link, which is not followed; name the file that it leads to`
    throw new NodeError('INVALID_INPUT', message, { dataset, path, commit })
  }
  const { path: top, release } = await trees.checkouts.use(dataset, commit)
  const base = path === '' ? wanted.base : basename(path)
  return { source, base, path: join(top, path), isOwn: false, release }
}

function below(path: string | undefined): string {
  return path === undefined ? '' : `:${path}`
}
