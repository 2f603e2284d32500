/** The directories of a step at work: input and output, checked out for the user that the tool runs as. */
import { chmod, lchown, mkdir, opendir, rename, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock } from '../base/clock.ts'
import { messageOf, NodeError } from '../base/errors.ts'
import type { Logger } from '../base/logger.ts'
import { removeTree } from '../base/remove-tree.ts'
import type { Datasets } from '../datasets/datasets.ts'
import type { Run, StepRun } from './run.ts'

export type StagedDatasets = Pick<Datasets, 'truth' | 'ensureCommit' | 'repository' | 'show'>

export interface StagingParts {
  readonly datasets: StagedDatasets
  /** Emptied at start: what is found there then belongs to runs that were cut. */
  readonly directory: string
  readonly clock: Clock
  readonly log: Logger
}

export interface StepInput {
  readonly commit: string
  readonly from: 'ground-truth' | 'this-run'
}

export interface StagedStep {
  readonly input: string | undefined
  readonly data: string
  /** Never throws: what is left behind changes nothing of how the step ended. */
  remove(): Promise<void>
}

/** What a directory is opened for. */
type Access = { kind: 'read' } | { kind: 'write'; user: string }

export class Staging {
  readonly #parts: StagingParts

  constructor(parts: StagingParts) {
    this.#parts = parts
  }

  /** Begins anew. What cannot be removed, such as what another user's node left here, is moved aside. */
  async clear(): Promise<void> {
    const { directory, clock, log } = this.#parts
    try {
      await removeTree(directory)
    } catch (error) {
      const aside = `${directory}-left-${clock.now()}`
      log.error({ directory, aside, error: messageOf(error) }, 'old work is not to be removed; moved aside')
      await rename(directory, aside).catch((failure: unknown) => {
        log.error({ directory, error: messageOf(failure) }, 'old work stays where it is')
      })
    }
    await mkdir(directory, { recursive: true, mode: 0o700 })
  }

  /**
   * Which commit a step reads: what an earlier step of the same run has made of that dataset, so that a chain works on
   * one state of things, else the ground truth. Undefined for a step without input.
   *
   * @throws NodeError NOT_FOUND when the dataset has no agreed state yet, and what fetching the commit throws.
   */
  async chooseInput(run: Run, step: StepRun, signal: AbortSignal): Promise<StepInput | undefined> {
    const dataset = step.inputDataset
    if (dataset === undefined) return undefined
    const earlier = run.steps.slice(0, run.steps.indexOf(step))
    const made = earlier.findLast((other) => other.outputDataset === dataset)?.outputCommit
    if (made !== undefined) return { commit: made, from: 'this-run' }
    const { datasets } = this.#parts
    const truth = await datasets.truth(dataset)
    if (truth === undefined) {
      const message = `The dataset ${dataset} has no ground truth yet to read from: import data into it, or let a round decide`
      throw new NodeError('NOT_FOUND', message, { dataset })
    }
    await datasets.ensureCommit(dataset, truth, { signal })
    return { commit: truth, from: 'ground-truth' }
  }

  /** Checks out the input and the step's own branch, which may not be there yet. */
  async prepare(p: {
    run: Run
    step: StepRun
    input: StepInput | undefined
    branch: string
    user: string
    signal: AbortSignal
  }): Promise<StagedStep> {
    const { datasets, directory } = this.#parts
    const place = join(directory, `${p.run.id}-${p.step.name}`)
    const remove = () => this.#remove(place)
    try {
      const data = await emptyDirectory(place, 'data')
      const output = await datasets.repository(p.step.outputDataset)
      const head = (await output.resolve(p.branch)) ?? (await this.#announcedHead(p))
      if (head !== undefined) await output.checkout(head, data)
      await openUp(data, { kind: 'write', user: p.user })
      if (p.input === undefined || p.step.inputDataset === undefined)
        return { input: undefined, data, remove }
      const input = await emptyDirectory(place, 'input')
      const source = await datasets.repository(p.step.inputDataset)
      await source.checkout(p.input.commit, input)
      await openUp(input, { kind: 'read' })
      return { input, data, remove }
    } catch (error) {
      await remove()
      throw error
    }
  }

  async #remove(place: string): Promise<void> {
    try {
      await removeTree(place)
    } catch (error) {
      // No other step works in this place, and the next start tries again.
      this.#parts.log.error({ place, error: messageOf(error) }, 'the directories of a step are left')
    }
  }

  /** A node that lost its disk gets its own branch back from whoever copied it, so that the tool goes on from there. */
  async #announcedHead(p: {
    step: StepRun
    branch: string
    signal: AbortSignal
  }): Promise<string | undefined> {
    const { datasets } = this.#parts
    const { branches } = await datasets.show(p.step.outputDataset)
    const announced = branches.find(({ branch }) => branch === p.branch)?.commit
    if (announced === undefined) return undefined
    await datasets.ensureCommit(p.step.outputDataset, announced, { signal: p.signal })
    return announced
  }
}

/** Checkouts want a directory that is there and empty. */
async function emptyDirectory(place: string, name: string): Promise<string> {
  const path = join(place, name)
  await mkdir(path, { recursive: true, mode: 0o700 })
  return path
}

/**
 * Lets the tool's user in. The directory lies in one that only the node's owner can enter, so open modes open it to the
 * container alone. Links are left as they are: their modes mean nothing, and their targets may lie elsewhere.
 */
async function openUp(path: string, access: Access): Promise<void> {
  await openFor(path, true, access)
  for await (const entry of await opendir(path)) {
    const child = join(path, entry.name)
    if (entry.isDirectory()) await openUp(child, access)
    else if (entry.isFile()) await openFor(child, false, access)
  }
}

async function openFor(path: string, isDirectory: boolean, access: Access): Promise<void> {
  const executable = isDirectory || ((await stat(path)).mode & 0o100) !== 0
  if (access.kind === 'read') return chmod(path, executable ? 0o755 : 0o644)
  const [uid = '', gid = uid] = access.user.split(':')
  const isRoot = process.getuid?.() === 0
  if (isRoot && /^\d+$/.test(uid) && /^\d+$/.test(gid)) {
    await lchown(path, Number(uid), Number(gid))
    return chmod(path, executable ? 0o755 : 0o644)
  }
  return chmod(path, executable ? 0o777 : 0o666)
}
