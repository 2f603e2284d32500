import { branchOf, stepFor } from '../../datasets/branches.ts'
import type { Datasets } from '../../datasets/datasets.ts'
import type { RemoteRun } from './remote-run.ts'
import type { WireOutput } from './run-protocol.ts'

/**
 * Whether a result that a host tells of is here. `here`: the commit, with the tree that was told. `awaited`: not yet.
 * `not-copied`: this node does not copy the dataset. `mismatch`: what the host told is not so.
 */
export type Arrival = 'here' | 'awaited' | 'not-copied' | 'mismatch'

export type ShownOutput = WireOutput & { readonly arrival: Arrival }

export interface ShownRemoteRun {
  readonly run: RemoteRun
  readonly outputs: readonly ShownOutput[]
}

/**
 * [MUST] A result counts once its commit is here, whatever the host has said (run.md R27).
 *
 * @param self peer id of this node, which asked for the run.
 */
export async function arrivalOf(
  run: RemoteRun,
  self: string,
  datasets: Pick<Datasets, 'find' | 'holds' | 'repository' | 'follows'>,
): Promise<ShownRemoteRun> {
  const told = run.end?.outputs ?? []
  const outputs = told.map(async (output): Promise<ShownOutput> => {
    return { ...output, arrival: await arrivalOfOne(run, output, self, datasets) }
  })
  return { run, outputs: await Promise.all(outputs) }
}

async function arrivalOfOne(
  run: RemoteRun,
  { step, dataset, branch, commit, tree }: WireOutput,
  self: string,
  datasets: Pick<Datasets, 'find' | 'holds' | 'repository' | 'follows'>,
): Promise<Arrival> {
  const plan = run.steps.find(({ name }) => name === step)
  const expected = branchOf(stepFor(self, step), run.host?.name ?? '')
  if (plan?.output_dataset !== dataset || branch !== expected) return 'mismatch'
  if (datasets.find(dataset) === undefined) return 'awaited'
  if (await datasets.holds(dataset, commit)) {
    const repository = await datasets.repository(dataset)
    return (await repository.readCommit(commit)).tree === tree ? 'here' : 'mismatch'
  }
  return datasets.follows(dataset) ? 'awaited' : 'not-copied'
}
