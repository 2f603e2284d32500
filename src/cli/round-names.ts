import { z } from 'zod'
import { type RoundHere, roundHereSchema } from '../api/round-views.ts'
import { NodeError } from '../base/errors.ts'
import type { ApiClient } from './client.ts'

/** Rounds that are named where several fit. */
const SHOWN = 3

/** Where the API has a round of that id. */
export function roundPath(id: string): string {
  return `/rounds/${id.split('/').map(encodeURIComponent).join('/')}`
}

/**
 * The whole id of a round: as it is, or from `dataset/step` (its newest round), or from the beginning of one id.
 *
 * @throws NodeError ROUND_NOT_FOUND, INVALID_INPUT where several rounds fit.
 */
export async function roundIdOf(client: ApiClient, text: string): Promise<string> {
  if (/^[^/]+\/[^/]+\/\d{10,}$/.test(text)) return text
  const rounds = await roundsOf(client, text.split('/')[0])
  return abbreviated(rounds, text)
}

export async function roundsOf(client: ApiClient, dataset?: string): Promise<RoundHere[]> {
  return client.get('/rounds', z.array(roundHereSchema), { dataset })
}

/** Pure. @param rounds newest first. @throws NodeError ROUND_NOT_FOUND, INVALID_INPUT */
export function abbreviated(
  rounds: readonly Pick<RoundHere, 'id' | 'dataset' | 'step'>[],
  text: string,
): string {
  const exact = rounds.find(({ id }) => id === text)
  if (exact !== undefined) return exact.id
  const ofStep = rounds.find(({ dataset, step }) => `${dataset}/${step}` === text)
  if (ofStep !== undefined) return ofStep.id
  const fitting = rounds.filter(({ id }) => id.startsWith(text.includes('/') ? text : `${text}/`))
  const steps = new Set(fitting.map(({ step }) => step))
  const [first, second] = fitting
  if (first === undefined) {
    throw new NodeError('ROUND_NOT_FOUND', `No round is named ${text}, nor does one begin so`, {
      round: text,
    })
  }
  // A dataset alone names its newest round where all are of one step.
  if (second === undefined || (!text.includes('/') && steps.size === 1)) return first.id
  const names = fitting.slice(0, SHOWN).map(({ id }) => id)
  const more = fitting.length > SHOWN ? ` and ${fitting.length - SHOWN} more` : ''
  throw new NodeError(
    'INVALID_INPUT',
    `"${text}" could be ${names.join(', ')}${more}; write more of it, or DATASET/STEP for the newest`,
  )
}
