/**
 * What is wrong with a run as far as it can be known before anything is done: the runner refuses it for the first of
 * these, and a dry run tells them all.
 */
import { isNodeError, NodeError } from '../../base/errors.ts'
import { filterStepOf } from '../catalogue/filter-step.ts'
import type { PipelineStep } from '../catalogue/pipeline.ts'
import { checkServiceInputs } from '../images/service-inputs.ts'
import type { Run } from '../runs/run.ts'
import { type BoxSettings, runRefusal } from './refusals.ts'
import type { StepParts } from './step-parts.ts'

export interface PreflightParts
  extends Pick<StepParts, 'secrets' | 'approvals' | 'toolOf' | 'engines' | 'publishers'> {
  readonly inputs: Pick<StepParts['inputs'], 'check'>
  readonly settings: BoxSettings
}

export interface Problem {
  /** The step whose problem it is, where it is one's. */
  readonly step?: string
  readonly error: NodeError
}

/** All problems, in the order of the steps. @throws what is no NodeError, since it is a defect. */
export async function preflight(
  run: Run,
  parts: PreflightParts,
  engine = run.allocation?.engine,
): Promise<Problem[]> {
  const problems: Problem[] = []
  const ofRun = runRefusal({ ...run, plan: [] }, parts.settings)
  if (ofRun !== undefined) problems.push({ error: ofRun })
  for (const plan of run.plan) {
    for (const check of checksOf(run, plan, parts, engine)) {
      try {
        await check()
      } catch (error) {
        if (!isNodeError(error)) throw error
        problems.push({ step: plan.name, error })
      }
    }
  }
  return problems
}

/** Each throws a NodeError where something is wrong. */
function checksOf(
  run: Run,
  plan: PipelineStep,
  parts: PreflightParts,
  engine: string | undefined,
): (() => unknown)[] {
  const { settings, secrets, approvals, toolOf, engines, publishers, inputs } = parts
  const { pipeline, owner } = run
  const owned = owner === undefined ? {} : { owner }
  const secretsOf = async (part: 'tool' | 'filter') => {
    const step = part === 'filter' ? filterStepOf(plan) : plan
    if (step === undefined) return
    await approvals.check({ run, step: plan, part, reference: toolOf(step.tool).image })
    await secrets.fill(pipeline, { name: plan.name, env: step.env })
  }
  return [
    () => {
      const refusal = runRefusal({ ...owned, plan: [plan] }, settings)
      if (refusal !== undefined) throw refusal
    },
    () => checkService(plan, toolOf),
    () => inputs.check(run, plan),
    () => secretsOf('tool'),
    () => secretsOf('filter'),
    // A rerun publishes nothing.
    () => publishers.check(run.bases === undefined ? (plan.publish ?? []) : [], plan),
    () => (plan.network === undefined ? undefined : engines.of(engine).checkNetwork(plan.network)),
  ]
}

function checkService(plan: PipelineStep, toolOf: PreflightParts['toolOf']): void {
  const { service } = toolOf(plan.tool)
  const problems = service === undefined ? [] : checkServiceInputs(service, plan)
  if (problems.length === 0) return
  const message = `The step ${plan.name} cannot run: ${problems.join('; ')}`
  throw new NodeError('INVALID_INPUT', message, { step: plan.name, problems })
}
