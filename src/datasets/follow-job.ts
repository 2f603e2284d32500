import { isRejection } from './exchange/fetcher.ts'
import { isNoRoom } from './upkeep/room-left.ts'

/** A head that is being followed, until what it announces is here or refused. */
export interface Job {
  readonly dataset: string
  readonly author: string
  failures: number
  /** Those of them for which bytes were refused. */
  rejections: number
  running: boolean
  /** Something has changed while it ran. */
  again: boolean
  /** Room was made while it ran. */
  roomMade: boolean
  /** What it works on, or failed with: see `#stateOf`. */
  state: string
  /** What it failed with last. */
  failure: unknown
  /** When it runs next, ms since the epoch. */
  dueMs: number
  timer: NodeJS.Timeout | undefined
}

export function newJob(dataset: string, author: string): Job {
  const idle = {
    failures: 0,
    rejections: 0,
    running: false,
    again: false,
    roomMade: false,
    dueMs: 0,
    timer: undefined,
  }
  return { dataset, author, ...idle, state: '', failure: undefined }
}

/** Whether a member that has come may help; not who has sent what did not hold itself. */
export function mayHelp(peer: string, error: unknown, { author }: Job): boolean {
  return !isNoRoom(error) && !(isRejection(error) && peer === author)
}
