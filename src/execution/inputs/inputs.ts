/**
 * What a step reads beside its input dataset, brought to this machine before its tool starts. All of it or nothing: a
 * tool that misses an input would give a result that is wrong and looks right.
 */
import { chmod, mkdir, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { orDiskFull } from '../../base/disk-space.ts'
import { inputsFetchedAtOnceMax, stepInputsMax } from '../../base/limits.ts'
import { AllowedAddresses } from '../../base/public-address.ts'
import { removeTree } from '../../base/remove-tree.ts'
import { Semaphore } from '../../base/semaphore.ts'
import type { PipelineStep } from '../catalogue/pipeline.ts'
import type { StepInput } from '../catalogue/step-input.ts'
import type { Run, StagedSource } from '../runs/run.ts'
import { ByteBudget } from './byte-budget.ts'
import { checkLiteral } from './checked-request.ts'
import {
  checkDataset,
  checkOutput,
  type InputTrees,
  obtainDataset,
  obtainOutput,
  type RunSource,
} from './dataset-input.ts'
import { inputNames } from './input-names.ts'
import { pinned } from './input-pins.ts'
import type { Obtained, Obtaining } from './obtained.ts'
import { obtainIdentified } from './pid-input.ts'
import type { InputsSettings } from './settings.ts'
import { obtainText } from './text-input.ts'
import { obtainUrl } from './url-input.ts'

export interface InputsParts extends InputTrees {
  /** Earlier runs of this node. */
  readonly runs: RunSource
  readonly settings: InputsSettings
  /** What the inputs of a step that says nothing may take together. */
  readonly bytesMax: number
  /** Disk space that steps leave to the node. */
  readonly freeBytesMin: () => number
}

export interface StagedInput extends StagedSource {
  /** A file or a directory on this machine, read-only for the tool. */
  readonly path: string
}

export interface StagedInputs {
  /** In the step's order. */
  readonly inputs: readonly StagedInput[]
  /** Of the shared trees; files lie in the directory that `stage` was given, and go with it. */
  release(): Promise<void>
}

export interface StageRequest {
  readonly run: Run
  readonly step: PipelineStep
  /** Files are written there; it is made when there are any. */
  readonly directory: string
  readonly signal: AbortSignal
  readonly say: (line: string) => void
}

export class Inputs {
  readonly #parts: InputsParts

  constructor(parts: InputsParts) {
    this.#parts = parts
  }

  /**
   * Brings all inputs of a step here, a few at once. The first that fails ends the others.
   *
   * @throws NodeError NOT_FOUND, FORBIDDEN, INVALID_INPUT, TOO_LARGE, CHECKSUM_MISMATCH, which the same step would meet
   * again; SOURCE_UNAVAILABLE, PEER_UNREACHABLE, DISK_FULL, which may pass; the signal's reason when it aborts.
   */
  async stage(p: StageRequest): Promise<StagedInputs> {
    const inputs = pinned(p.step.inputs ?? [], p.run.inputPins?.[p.step.name])
    if (inputs.length === 0) return { inputs: [], release: async () => undefined }
    const failed = new AbortController()
    const signal = AbortSignal.any([p.signal, failed.signal])
    const budget = new ByteBudget(p.step.resources?.diskBytes ?? this.#parts.bytesMax)
    const turns = new Semaphore(inputsFetchedAtOnceMax, stepInputsMax)
    await mkdir(p.directory, { recursive: true, mode: 0o700 })
    const obtaining = inputs.map((input, index) => {
      const file = join(p.directory, `.${index}.part`)
      return turns.run(() => {
        signal.throwIfAborted()
        return this.#obtain(input, { ...this.#parts, ...p, signal, budget, file })
      })
    })
    for (const each of obtaining) each.catch((error: unknown) => failed.abort(error))
    const settled = await Promise.allSettled(obtaining)
    const obtained = settled.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []))
    const release = async () => {
      for (const each of obtained) each.release()
    }
    try {
      p.signal.throwIfAborted()
      // The first failure in time, and not those that followed from it.
      failed.signal.throwIfAborted()
      return { inputs: await place(inputs, obtained, p), release }
    } catch (error) {
      await release()
      // A part of the inputs must not be taken for all of them.
      await removeTree(p.directory)
      throw orDiskFull(error, p.directory)
    }
  }

  /**
   * What is wrong with the inputs of a step as far as it can be known before anything is fetched.
   *
   * @throws NodeError DATASET_NOT_FOUND, RUN_NOT_FOUND, NOT_FOUND, CONFLICT, FORBIDDEN
   */
  check(run: Run, step: PipelineStep): void {
    const { runs, settings } = this.#parts
    for (const input of pinned(step.inputs ?? [], run.inputPins?.[step.name])) {
      if ('dataset' in input) checkDataset(input, this.#parts)
      if ('run' in input) checkOutput(input, run, runs)
      if ('url' in input) checkLiteral(new URL(input.url), new AllowedAddresses(settings.allowedAddresses))
    }
  }

  #obtain(input: StepInput, p: Obtaining): Promise<Obtained> {
    if ('dataset' in input) return obtainDataset(input, p, this.#parts)
    if ('run' in input) return obtainOutput(input, p, this.#parts, this.#parts.runs)
    if ('text' in input) return obtainText(input, p)
    return 'url' in input ? obtainUrl(input, p) : obtainIdentified(input, p)
  }
}

/** Gives everything its name, which can be known only now: an identifier's file is named where it is found. */
async function place(
  inputs: readonly StepInput[],
  obtained: readonly Obtained[],
  { directory, say }: StageRequest,
): Promise<StagedInput[]> {
  const names = inputNames(obtained.map(({ base }, index) => ({ base, wanted: inputs[index]?.name })))
  const staged: StagedInput[] = []
  for (const [index, { source, path, isOwn }] of obtained.entries()) {
    const name = names[index] ?? ''
    const at = isOwn ? join(directory, name) : path
    if (isOwn) {
      await chmod(path, 0o444)
      await rename(path, at)
    }
    staged.push({ ...source, name, path: at })
    say(`input ${name}: ${told(source)}`)
  }
  return staged
}

function told({ kind, source, resolved, sha256, bytes, commit }: Omit<StagedSource, 'name'>): string {
  const what = kind === 'text' ? 'a text of the step' : source
  return [
    resolved === undefined || resolved === source ? what : `${what} at ${resolved}`,
    ...(commit === undefined || source.includes(commit) ? [] : [`commit ${commit}`]),
    ...(bytes === undefined ? [] : [`${bytes} bytes`]),
    ...(sha256 === undefined ? [] : [`sha256 ${sha256}`]),
  ].join(', ')
}
