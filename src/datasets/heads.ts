/**
 * Heads: a member's signed word on where its branches of a dataset are. Everything here is pure; the replicator asks
 * it what to do and does it.
 */
import { createHash } from 'node:crypto'
import { z } from 'zod'
import { branchesPerHeadMax, resetReasonCharactersMax } from '../base/limits.ts'
import { ownerOfBranch } from './branches.ts'
import { datasetIdSchema, idOf } from './dataset-record.ts'
import { oidSchema } from './exchange/pack-protocol.ts'
import { isBranch } from './git/git-directory.ts'

const branchSchema = z.string().refine(isBranch, { message: 'no name of a branch' })

/** That an author has rewritten a branch of its own, and why. */
const resetSchema = z.object({
  /** How often the branch was reset so far, this time included. */
  count: z.number().int().positive().max(Number.MAX_SAFE_INTEGER),
  from: oidSchema,
  to: oidSchema,
  reason: z.string().min(1).max(resetReasonCharactersMax),
})
export type Reset = z.infer<typeof resetSchema>

/** At most `branchesPerHeadMax` branches, and what is said of each. */
function byBranch<T>(schema: z.ZodType<T>) {
  return z
    .record(branchSchema, schema)
    .refine((branches) => Object.keys(branches).length <= branchesPerHeadMax, {
      message: `more than ${branchesPerHeadMax} branches`,
    })
}

/** `/heads/<dataset>/<peer>`: only that peer may write it (dataset-heads.md H1). */
export const headSchema = z.object({
  /** Id of the dataset; absent in heads from before there were ids. */
  dataset: datasetIdSchema.optional(),
  /** Counts the author's heads of the dataset; absent, or 0, in heads from before they were counted. */
  sequence: z.number().int().nonnegative().max(Number.MAX_SAFE_INTEGER).optional(),
  /** Branch to commit. */
  branches: byBranch(oidSchema),
  /** The last reset of each branch that was ever reset. */
  resets: byBranch(resetSchema).optional(),
  /** The ground truth of a dataset on which nobody votes, by the word of who founded it. */
  truth: oidSchema.optional(),
  /** Where its author's certificates of the dataset are, which prove the ground truth (verification.md). */
  certificates: oidSchema.optional(),
  /** Of all branches together, where the objects themselves are not to be had. */
  size: z.object({ bytes: z.number().int().nonnegative(), files: z.number().int().nonnegative() }).optional(),
  /** SHA-256 of the author's head before this one, so that no head can be left out or put elsewhere unnoticed. */
  previous: z
    .string()
    .regex(/^[0-9a-f]{64}$/)
    .nullable(),
})
export type HeadRecord = z.infer<typeof headSchema>

/** Whether a head is about the dataset that has this name now ([MUST] H2). */
export function isOf(head: HeadRecord, name: string, record: { readonly id?: string | undefined }): boolean {
  return (head.dataset ?? name) === idOf(name, record)
}

/** What a successor names as its `previous`. */
export function headHash(value: Uint8Array): string {
  return createHash('sha256').update(value).digest('hex')
}

/** What changes from one head to the next. */
export interface HeadChange {
  /** Branches that moved. */
  readonly branches?: HeadRecord['branches']
  /** Branches that were rewritten. */
  readonly resets?: HeadRecord['resets']
  readonly truth?: HeadRecord['truth']
  readonly certificates?: HeadRecord['certificates']
  readonly size?: HeadRecord['size']
}

/**
 * The head that follows `current`.
 *
 * @param current the author's head of the same dataset, if there is one.
 * @param sequence the highest that the author has ever used; the new head goes one above.
 */
export function nextHead(
  current: { readonly head: HeadRecord; readonly value: Uint8Array } | undefined,
  dataset: string,
  sequence: number,
  change: HeadChange,
): HeadRecord {
  const resets = { ...current?.head.resets, ...change.resets }
  return {
    dataset,
    sequence: Math.max(sequence, current?.head.sequence ?? 0) + 1,
    branches: { ...current?.head.branches, ...change.branches },
    previous: current === undefined ? null : headHash(current.value),
    ...(Object.keys(resets).length === 0 ? {} : { resets }),
    ...(change.truth === undefined ? {} : { truth: change.truth }),
    ...(change.certificates === undefined ? {} : { certificates: change.certificates }),
    ...(change.size === undefined ? {} : { size: change.size }),
  }
}

/** [MUST] The branches of a head that are not its author's to move: they stay where they are, the others move (H7). */
export function foreignBranches(head: HeadRecord, author: string, memberNames: readonly string[]): string[] {
  return Object.keys(head.branches).filter((branch) => ownerOfBranch(branch, memberNames) !== author)
}

/** What lies between the commit that we hold and the one that is announced. */
export interface Kinship {
  readonly held: string | undefined
  readonly announced: string
  readonly heldIsAncestor: boolean
  readonly announcedIsAncestor: boolean
  /** Why the branch may leave what is held, if there is a reason. */
  readonly excuse?: Excuse | undefined
}

/** `reset`: its author says so in the head; `equivocation`: what is held is of the one of two heads that lost. */
export type Excuse = 'reset' | 'equivocation'

export type Move = 'nothing' | 'forward' | 'refuse-rollback' | 'refuse-divergence' | Excuse

/** [MUST] A branch only ever moves forward, unless its author has signed a reset of it (dataset-heads.md H6, H8). */
export function judgeMove({ held, announced, heldIsAncestor, announcedIsAncestor, excuse }: Kinship): Move {
  if (held === announced) return 'nothing'
  if (held === undefined || heldIsAncestor) return 'forward'
  if (excuse !== undefined) return excuse
  return announcedIsAncestor ? 'refuse-rollback' : 'refuse-divergence'
}

/** The pause before the next round of attempts after `failures` in a row, in ms. */
export function retryPauseMs(failures: number, firstMs: number, longestMs: number): number {
  return Math.min(longestMs, firstMs * 2 ** Math.min(failures - 1, 30))
}

/** What decides about whom to ask. */
export interface Asking {
  /** How often all of this was tried before. */
  readonly round: number
  readonly countMax: number
  /** Whether a member has said that it holds something of the dataset. */
  readonly holds: (peer: string) => boolean
  /** Somebody waits for it: everybody is asked at once. */
  readonly urgent?: boolean
}

/**
 * Whom to ask for an author's commits, and in which order: the author, then others, rotated by how often all of this was
 * tried, so that no member is always the second. At first only those others are asked who hold something of the dataset:
 * what nobody but its author has heard of would cost every member a question ([SHOULD] H10). What they say may be untrue,
 * so each second round asks without regard to it.
 */
export function candidates(
  author: string | undefined,
  connected: readonly string[],
  { round, countMax, holds, urgent = false }: Asking,
): string[] {
  const first = author !== undefined && connected.includes(author) ? [author] : []
  const others = connected.filter((peer) => peer !== author).sort()
  if (round % 2 === 1) return [...first, ...rotated(others, round)].slice(0, countMax)
  const likely = rotated(others.filter(holds), round)
  const asksAll = urgent || round > 0 || first.length + likely.length === 0
  const rest = asksAll
    ? rotated(
        others.filter((peer) => !holds(peer)),
        round,
      )
    : []
  return [...first, ...likely, ...rest].slice(0, countMax)
}

/** Begins at another one each round. Pure. */
export function rotated(peers: readonly string[], round: number): string[] {
  const turn = peers.length === 0 ? 0 : round % peers.length
  return [...peers.slice(turn), ...peers.slice(0, turn)]
}
