import type { PipelineStep } from '../catalogue/pipeline.ts'
import { privateVariables } from '../secrets/secrets.ts'

/** Anything that looks like a placeholder of ours, so that one with a slip in it is told and not passed on. */
const LIKE_A_PLACEHOLDER = /\{\{\s*MAO_/

/** Whether a step, or its filter, wants secrets of the node that runs it. Pure. */
export function asksForSecrets({ env, filter }: PipelineStep): boolean {
  const wants = (variables: PipelineStep['env']) =>
    privateVariables({ env: variables }).length > 0 ||
    Object.values(variables ?? {}).some((value) => LIKE_A_PLACEHOLDER.test(value))
  return wants(env) || wants(filter?.env ?? null)
}
