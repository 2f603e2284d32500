import { isName } from '../base/names.ts'
import { isReservedStep } from '../datasets/branches.ts'

/** What a round is about: whose heads are compared (`<step>-<node>` of every member), and when. */
export interface RoundId {
  readonly dataset: string
  readonly step: string
  /** The schedule's slot, or the time of the request; ms since the epoch. */
  readonly slot: number
}

/** Decimal without leading zeros, so that one slot has one spelling. */
const SLOT = /^(?:0|[1-9][0-9]{0,15})$/

/** `<dataset>/<step>/<slot>`, the round's name in every key and certificate. */
export function formatRoundId(id: RoundId): string {
  return `${id.dataset}/${id.step}/${id.slot}`
}

/** Undefined when the text names no round. */
export function parseRoundId(text: string): RoundId | undefined {
  const [dataset, step, slot, ...rest] = text.split('/')
  if (dataset === undefined || step === undefined || slot === undefined || rest.length > 0) return undefined
  if (!isName(dataset) || !isName(step) || !SLOT.test(slot)) return undefined
  // [N4] What members had made at others' is not these others' word.
  if (isReservedStep(step)) return undefined
  const value = Number(slot)
  return Number.isSafeInteger(value) ? { dataset, step, slot: value } : undefined
}

/** Rounds in the order in which they are decided where they compete: by slot, then by name. */
export function compareRounds(a: RoundId, b: RoundId): number {
  if (a.slot !== b.slot) return a.slot - b.slot
  const [left, right] = [formatRoundId(a), formatRoundId(b)]
  return left < right ? -1 : left > right ? 1 : 0
}

export const roundsPrefix = '/rounds/'
export const ballotsPrefix = '/ballots/'
export const votesPrefix = '/votes/'
export const confirmationsPrefix = '/confirmations/'
export const preparedPrefix = '/prepared/'
export const truthPrefix = '/truth/'

export function openingKey(round: string): string {
  return `${roundsPrefix}${round}/opening`
}

export function closingKey(round: string): string {
  return `${roundsPrefix}${round}/closing`
}

export function ballotKey(round: string, peer: string): string {
  return `${ballotsPrefix}${round}/${peer}`
}

export function voteKey(round: string, peer: string): string {
  return `${votesPrefix}${round}/${peer}`
}

export function confirmationKey(round: string, peer: string): string {
  return `${confirmationsPrefix}${round}/${peer}`
}

export function preparedKey(round: string, peer: string): string {
  return `${preparedPrefix}${round}/${peer}`
}

export function truthKey(dataset: string): string {
  return truthPrefix + dataset
}

const ROOMS: ReadonlySet<string> = new Set(['rounds', 'ballots', 'votes', 'confirmations', 'prepared'])

/** The round that a key of one of its records belongs to; undefined for every other key. */
export function roundOfKey(key: string): string | undefined {
  const [empty, room = '', dataset, step, slot, last, ...rest] = key.split('/')
  if (empty !== '' || last === undefined || rest.length > 0) return undefined
  if (!ROOMS.has(room)) return undefined
  const round = `${dataset}/${step}/${slot}`
  return parseRoundId(round) === undefined ? undefined : round
}
