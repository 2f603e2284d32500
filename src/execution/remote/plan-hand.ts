import { NodeError } from '../../base/errors.ts'
import type { PipelineStep } from '../catalogue/pipeline.ts'
import { askedOf, type ConsentFacts, useText } from '../secrets/consent.ts'

/**
 * [MUST] What is granted to this node's people is given to no other member's plan by their name: a host judges by who
 * asks alone, and cannot tell who wrote what is asked for (protocols/run.md R36). Pure.
 *
 * @param author another member that had a hand in the pipeline, its tools or its schedule.
 * @throws NodeError FORBIDDEN
 */
export function checkHand(
  pipeline: string,
  steps: readonly PipelineStep[],
  author: string | undefined,
  find: ConsentFacts['find'],
): void {
  if (author === undefined) return
  const facts = { find, findRun: () => undefined }
  for (const step of steps) {
    const { datasets } = askedOf({ step, hand: { author } }, facts)
    const use = datasets.find(({ policy }) => policy === 'granted')
    if (use === undefined) continue
    const message = `The step ${step.name}, in which ${author} had a hand, ${useText(use)}, and would at another member in your name; run it here after "maoctl pipeline approve ${pipeline}", or register a pipeline and tools of your own`
    throw new NodeError('FORBIDDEN', message, { pipeline, step: step.name, datasets: [use.dataset] })
  }
}
