import type { Run, Stage } from '../runs/run.ts'

/** Whoever holds this node's token, which gives everything here. */
export const OPERATOR = 'operator'

/** The stages whose logs are a tool's; the others are the node's own words, about this machine. */
const TOOLS_OWN: readonly Stage[] = ['algorithm', 'filter']

/**
 * Whether somebody may read the log of a stage of a run. The operator may read all; a member only what the tools of
 * the runs that it asked for have printed. Pure.
 */
export function mayReadLog(p: {
  /** OPERATOR, or a peer id. */
  reader: string
  run: Pick<Run, 'owner'>
  stage: Stage
}): boolean {
  const { reader, run, stage } = p
  if (reader === OPERATOR) return true
  return run.owner === reader && TOOLS_OWN.includes(stage)
}
