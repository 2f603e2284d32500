import type { StepInput } from '../catalogue/step-input.ts'
import type { InputPin, StagedSource } from '../runs/run.ts'

/**
 * What a rerun holds each input of a step to. Pure.
 *
 * @param isMadeAnew whether an earlier step of the rerun makes that dataset's state itself.
 */
export function pinsOf(
  inputs: readonly StagedSource[],
  isMadeAnew: (dataset: string) => boolean = () => false,
): InputPin[] {
  return inputs.map(({ name, kind, commit, dataset, sha256 }) => {
    const isKept = kind === 'dataset' && !isMadeAnew(dataset ?? '')
    return {
      name,
      ...(isKept && commit !== undefined ? { commit } : {}),
      ...((kind === 'url' || kind === 'pid') && sha256 !== undefined ? { sha256 } : {}),
    }
  })
}

/** The inputs as they were: what has changed since is then refused and not taken. Pure. */
export function pinned(inputs: readonly StepInput[], pins: readonly InputPin[] | undefined): StepInput[] {
  return inputs.map((input, index) => {
    const pin = pins?.length === inputs.length ? pins[index] : undefined
    if (pin === undefined) return input
    const { name, commit, sha256 } = pin
    if ('dataset' in input) return { ...input, name, ...(commit === undefined ? {} : { commit }) }
    if ('url' in input || 'pid' in input)
      return { ...input, name, ...(sha256 === undefined ? {} : { sha256 }) }
    return { ...input, name }
  })
}
