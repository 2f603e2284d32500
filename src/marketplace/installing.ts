/** Brings a pipeline of the marketplace with its tools and datasets into the federation: all of it, or nothing. */
import { isNodeError, messageOf, NodeError } from '../base/errors.ts'
import type { Datasets } from '../datasets/datasets.ts'
import type { Execution } from '../execution/execution.ts'
import { type InstallPlan, type InstallWish, type InstallWorld, planInstall } from './install-plan.ts'

export interface InstallingParts {
  readonly standingOf: InstallWorld['standingOf']
  readonly listed: InstallWorld['listed']
  readonly execution: Pick<Execution, 'tools' | 'pipelines' | 'addTool' | 'addPipeline'>
  readonly datasets: Pick<Datasets, 'find' | 'add' | 'remove' | 'listLocal' | 'removeLocal'> & {
    readonly upstreams: Pick<Datasets['upstreams'], 'set'>
  }
}

/** What was made so far, each with how to take it back. */
type Made = { readonly what: string; readonly undo: () => Promise<void> }[]

/** What would be done now; nothing is. */
export function installPlan(wish: InstallWish, parts: InstallingParts): InstallPlan {
  const { execution, datasets } = parts
  return planInstall(wish, {
    ...{ standingOf: parts.standingOf, listed: parts.listed },
    tool: (name) => execution.tools.get(name)?.value,
    pipeline: (name) => execution.pipelines.get(name)?.value,
    dataset: (name) => datasets.find(name)?.policy,
  })
}

/**
 * Carries out what `installPlan` says. Tools come first, then datasets, then the pipeline, so that nothing names what is
 * not there; done twice, the second time finds everything there.
 *
 * @param fingerprint of the plan that was shown: another one is not carried out.
 * @returns the plan that was carried out.
 * @throws NodeError CONFLICT where the plan is another by now or is blocked (`data.blocked`), LISTING_NOT_FOUND where
 * nobody lists the pipeline; else what failed, saying whether all that was made before has been taken back.
 */
export async function install(
  wish: InstallWish,
  parts: InstallingParts,
  fingerprint?: string,
): Promise<InstallPlan> {
  const plan = installPlan(wish, parts)
  if (fingerprint !== undefined && fingerprint !== plan.fingerprint) {
    const message = `Installing ${wish.pipeline} would do something else by now than what was shown; look at it again`
    throw new NodeError('CONFLICT', message, { pipeline: wish.pipeline })
  }
  const { blocked } = plan
  if (blocked.length > 0) {
    const code = plan.state === 'unknown' ? 'LISTING_NOT_FOUND' : 'CONFLICT'
    throw new NodeError(code, `${wish.pipeline} cannot be installed: ${blocked.join('; ')}`, { blocked })
  }
  if (!plan.done) await carryOut(plan, parts, wish)
  return plan
}

async function carryOut(plan: InstallPlan, parts: InstallingParts, wish: InstallWish): Promise<void> {
  const made: Made = []
  try {
    await make(plan, parts, wish, made)
  } catch (cause) {
    const left = await takeBack(made)
    const after = left.length === 0 ? 'nothing of it was left behind' : `left behind: ${left.join(', ')}`
    const message = `${plan.name} was not installed: ${messageOf(cause)}; ${after}`
    const code = isNodeError(cause) ? cause.code : 'INTERNAL'
    throw new NodeError(code, message, { ...(isNodeError(cause) ? cause.data : {}), left }, { cause })
  }
}

async function make(
  plan: InstallPlan,
  { execution, datasets }: InstallingParts,
  wish: InstallWish,
  made: Made,
): Promise<void> {
  for (const { name, tool } of plan.tools) {
    if (tool === undefined) continue
    await execution.addTool(name, tool)
    made.push({ what: `the tool ${name}`, undo: () => execution.tools.remove(name) })
  }
  for (const { name, state, policy, upstream } of plan.datasets) {
    if (state === 'here') continue
    // What is left of another dataset of this name is nothing that was made here.
    const hadCopy = (await datasets.listLocal()).some((copy) => copy.name === name)
    await datasets.add(name, { policy: policy === 'shared' ? 'shared' : 'local-only' })
    made.push({
      what: `the dataset ${name}`,
      undo: async () => {
        await datasets.remove(name)
        // It is a moment old and holds nothing that somebody else could lack.
        if (!hadCopy) await datasets.removeLocal(name, { force: true })
      },
    })
    if (upstream !== undefined) await datasets.upstreams.set(name, upstream)
  }
  if (plan.state !== 'add') return
  const { description, steps } = plan
  const pipeline = description === '' ? { steps } : { description, steps }
  await execution.addPipeline(plan.name, pipeline, { shareNames: wish.shareNames === true })
}

/** Last made, first taken back. @returns what could not be. */
async function takeBack(made: Made): Promise<string[]> {
  const left: string[] = []
  for (const { what, undo } of [...made].reverse()) {
    try {
      await undo()
    } catch (error) {
      left.push(`${what} (${messageOf(error)})`)
    }
  }
  return left
}
