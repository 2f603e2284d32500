/**
 * The directories of a step at work. The output is a checkout of the step's own branch, made for this step and the user
 * that its tool runs as; the input is one that all runs share, which nobody can write.
 */
import { chmod, lchown, mkdir, opendir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock } from '../../base/clock.ts'
import { checkFree, orDiskFull } from '../../base/disk-space.ts'
import { messageOf, NodeError } from '../../base/errors.ts'
import type { Logger } from '../../base/logger.ts'
import { beginAnew, removeTree } from '../../base/remove-tree.ts'
import type { Datasets } from '../../datasets/datasets.ts'
import type { Repository, TreeFile } from '../../datasets/git/repository.ts'
import { filesBytes } from '../../datasets/upkeep/checkout-bytes.ts'
import type { Checkout, Checkouts } from '../../datasets/upkeep/checkouts.ts'
import type { Run, StepRun } from '../runs/run.ts'
import { isForeign } from './refusals.ts'

export type StagedDatasets = Pick<Datasets, 'truth' | 'ensureCommit' | 'repository' | 'show'>

export interface StagingParts {
  readonly datasets: StagedDatasets
  /** Read-only trees for inputs. */
  readonly checkouts: Pick<Checkouts, 'use'>
  /** Disk space that steps leave to the node. */
  readonly freeBytesMin: () => number
  /** Emptied at start: what is found there then belongs to runs that were cut. */
  readonly directory: string
  readonly clock: Clock
  readonly log: Logger
}

export interface StepInput {
  readonly commit: string
  readonly from: NonNullable<StepRun['inputFrom']>
}

export interface StagedStep {
  /** Holds what is made for the step, its output included; nobody but this node can enter it. */
  readonly place: string
  readonly input: string | undefined
  /** The output. */
  readonly data: string
  /** The commit that `data` began as, null for none. */
  readonly base: string | null
  /** A directory below `place` that the tool's user can write; it is made where it is not there. */
  writable(path: string): Promise<string>
  /** Makes the whole output that of another user. */
  handOver(user: string): Promise<void>
  /** Never throws: what is left behind changes nothing of how the step ended. */
  remove(): Promise<void>
}

export class Staging {
  readonly #parts: StagingParts

  constructor(parts: StagingParts) {
    this.#parts = parts
  }

  /** Begins anew. What cannot be removed, such as what another user's node left here, is moved aside. */
  async clear(): Promise<void> {
    const { directory, clock, log } = this.#parts
    await beginAnew(directory, clock.now(), log)
  }

  /**
   * Which commit a step reads: what an earlier step of the same run has made of that dataset, so that a chain works on
   * one state of things, else the one that the run names, else the ground truth. Undefined for a step without input.
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
    const named = run.inputCommits?.[dataset]
    if (named !== undefined) {
      await datasets.ensureCommit(dataset, named, { signal })
      return { commit: named, from: 'named' }
    }
    const truth = await datasets.truth(dataset)
    if (truth === undefined) {
      const message = `The dataset ${dataset} has no ground truth yet to read from: import data into it, or let a round decide`
      throw new NodeError('NOT_FOUND', message, { dataset })
    }
    await datasets.ensureCommit(dataset, truth, { signal })
    return { commit: truth, from: 'ground-truth' }
  }

  /**
   * Checks out the step's own branch, which may not be there yet, and takes the input's tree into use.
   *
   * @throws NodeError DISK_FULL, and what checking out throws; nothing is left then.
   */
  async prepare(p: {
    run: Run
    step: StepRun
    input: StepInput | undefined
    branch: string
    user: string
    signal: AbortSignal
  }): Promise<StagedStep> {
    const { datasets, checkouts, directory } = this.#parts
    const place = join(directory, `${p.run.id}-${p.step.name}`)
    let input: Checkout | undefined
    const remove = async () => {
      input?.release()
      await this.#remove(place)
    }
    try {
      const data = await emptyDirectory(place, 'data')
      const output = await datasets.repository(p.step.outputDataset)
      const head = await this.#baseOf(output, p)
      const checkRoom = async (files: readonly TreeFile[]) => {
        const wantedBytes = files.length === 0 ? 0 : await filesBytes(output, files)
        await checkFree({ place: directory, reserveBytes: this.#parts.freeBytesMin(), wantedBytes })
      }
      if (head === undefined) await checkRoom([])
      else await output.checkout(head, data, checkRoom)
      await openUp(data, p.user)
      if (p.input !== undefined && p.step.inputDataset !== undefined)
        input = await checkouts.use(p.step.inputDataset, p.input.commit)
      const writable = async (path: string) => {
        const directory = await emptyDirectory(place, path)
        await openFor(directory, true, p.user)
        return directory
      }
      const handOver = (user: string) => openUp(data, user)
      return { place, input: input?.path, data, base: head ?? null, writable, handOver, remove }
    } catch (error) {
      await remove()
      throw orDiskFull(error, directory)
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

  /**
   * Where the output begins. [MUST] That of another member's run begins empty: what its earlier runs left would steer a
   * tool that is trusted because nobody can steer it (run.md R15).
   */
  async #baseOf(
    output: Pick<Repository, 'resolve'>,
    p: { run: Run; step: StepRun; branch: string; signal: AbortSignal },
  ): Promise<string | undefined> {
    const base = p.run.bases?.[p.step.name]
    if (base !== undefined) return base ?? undefined
    return isForeign(p.run) ? undefined : this.#headOf(output, p)
  }

  async #headOf(
    output: Pick<Repository, 'resolve'>,
    p: { step: StepRun; branch: string; signal: AbortSignal },
  ): Promise<string | undefined> {
    return (await output.resolve(p.branch)) ?? (await this.#announcedHead(p))
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
async function openUp(path: string, user: string): Promise<void> {
  await openFor(path, true, user)
  for await (const entry of await opendir(path)) {
    const child = join(path, entry.name)
    if (entry.isDirectory()) await openUp(child, user)
    else if (entry.isFile()) await openFor(child, false, user)
  }
}

async function openFor(path: string, isDirectory: boolean, user: string): Promise<void> {
  const executable = isDirectory || ((await stat(path)).mode & 0o100) !== 0
  const [uid = '', gid = uid] = user.split(':')
  const isRoot = process.getuid?.() === 0
  if (isRoot && /^\d+$/.test(uid) && /^\d+$/.test(gid)) {
    await lchown(path, Number(uid), Number(gid))
    return chmod(path, executable ? 0o755 : 0o644)
  }
  return chmod(path, executable ? 0o777 : 0o666)
}
