import { z } from 'zod'
import { type RoundHere, roundHereSchema } from '../api/round-views.ts'
import { NodeError } from '../base/errors.ts'
import type { ApiClient } from './client.ts'

/** Where the API has a round of that id. */
export function roundPath(id: string): string {
  return `/rounds/${id.split('/').map(encodeURIComponent).join('/')}`
}

/**
 * The whole id of a round: as it is, or the newest of `dataset/step`, or of a dataset all of whose rounds are of one step.
 *
 * @throws NodeError ROUND_NOT_FOUND, INVALID_INPUT where rounds of several steps fit.
 */
export async function roundIdOf(client: ApiClient, text: string): Promise<string> {
  if (/^[^/]+\/[^/]+\/\d+$/.test(text)) return text
  if (!/^[^/]+(?:\/[^/]+)?$/.test(text)) {
    const message = `"${text}" is no round; its id is dataset/step/slot, as "maoctl round list" tells it, and dataset/step its newest`
    throw new NodeError('INVALID_INPUT', message, { round: text })
  }
  return newestOf(await roundsOf(client, text.split('/')[0]), text)
}

export async function roundsOf(client: ApiClient, dataset?: string): Promise<RoundHere[]> {
  return client.get('/rounds', z.array(roundHereSchema), { dataset })
}

/** Pure. @param rounds newest first. @throws NodeError ROUND_NOT_FOUND, INVALID_INPUT */
export function newestOf(
  rounds: readonly Pick<RoundHere, 'id' | 'dataset' | 'step'>[],
  text: string,
): string {
  const fitting = rounds.filter(({ dataset, step }) => text === dataset || text === `${dataset}/${step}`)
  const [newest] = fitting
  if (newest === undefined)
    throw new NodeError('ROUND_NOT_FOUND', `There is no round of ${text}`, { round: text })
  const steps = [...new Set(fitting.map(({ step }) => step))].sort()
  if (steps.length === 1) return newest.id
  const names = steps.map((step) => `${text}/${step}`).join(', ')
  throw new NodeError(
    'INVALID_INPUT',
    `There are rounds of several steps; say of which the newest is meant: ${names}`,
  )
}
