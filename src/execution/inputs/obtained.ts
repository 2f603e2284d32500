import type { PipelineStep } from '../catalogue/pipeline.ts'
import type { Run, StagedSource } from '../runs/run.ts'
import type { ByteBudget } from './byte-budget.ts'
import type { InputsSettings } from './settings.ts'

/** One input that is here, without its name as yet. */
export interface Obtained {
  readonly source: Omit<StagedSource, 'name'>
  /** What it is called where it comes from. */
  readonly base: string
  readonly path: string
  /** Whether the file was written for this step alone, and is to get its name. */
  readonly isOwn: boolean
  release(): void
}

/** What every kind of input is obtained with. */
export interface Obtaining {
  readonly run: Run
  readonly step: PipelineStep
  /** Where a file is written, under a name that is not its own yet. */
  readonly file: string
  readonly budget: ByteBudget
  readonly settings: InputsSettings
  readonly freeBytesMin: () => number
  readonly signal: AbortSignal
  readonly say: (line: string) => void
}
