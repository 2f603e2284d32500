/** What consensus looks at in a run; the execution room's runs have all of it. */
export interface ScheduledRun {
  readonly pipeline: string
  readonly trigger: { readonly kind: string; readonly slot?: number }
  readonly state: string
  readonly steps: readonly {
    readonly name: string
    readonly outputDataset: string
    readonly outputCommit?: string
  }[]
  /** `node`, or the peer id of the member that asked. Absent: `node`. */
  readonly owner?: string
  readonly createdMs: number
  readonly endedMs?: number
}

/** Where the runs of this node come from. */
export interface RunSource {
  runs(): readonly ScheduledRun[]
  /** Hears of every stored transition. @returns how to stop. */
  onRun(onRun: (run: ScheduledRun) => void): () => void
  /** What the schedule of a pipeline says about rounds; undefined when it asks for none. */
  roundOf(pipeline: string): { readonly windowMs: number } | undefined
  /** Whether some member's schedule has a round on this step's results at this time; without it, whoever says so is believed. */
  isSlot?(round: { readonly dataset: string; readonly step: string; readonly slot: number }): boolean
}

/** The output of a scheduled step, to be cast in the round of its slot. */
export interface Output {
  readonly dataset: string
  readonly step: string
  readonly slot: number
  readonly commit: string
  /** When the run ended, ms since the epoch. */
  readonly sinceMs: number
}

/**
 * The outputs of a run that belong into rounds: those of a scheduled run that succeeded, or of its repetition after a
 * crash, which keeps the slot. What another member asked for is not this node's word, and a rerun is there to be
 * compared. Where several steps write one dataset under one name the last one counts.
 */
export function scheduledOutputs(run: ScheduledRun): Output[] {
  const { slot, kind } = run.trigger
  const isOwn = run.owner === undefined || run.owner === 'node'
  const isScheduled = kind === 'schedule' || kind === 'repeat'
  if (run.state !== 'succeeded' || slot === undefined || !isOwn || !isScheduled) return []
  const outputs = new Map<string, Output>()
  for (const { name: step, outputDataset: dataset, outputCommit: commit } of run.steps) {
    if (commit === undefined) continue
    outputs.set(`${dataset}/${step}`, { dataset, step, slot, commit, sinceMs: run.endedMs ?? run.createdMs })
  }
  return [...outputs.values()]
}
