import { createHash } from 'node:crypto'
import { TRUTH_BRANCH } from './git/git-directory.ts'

/** What the step part of a branch begins with whose content another member asked for. */
const FOR_MEMBER = 'for.'
/** What it begins with where people put together the ballots of a round (hand-ballots.md). */
const BY_HAND = 'vote.'
/** 64 bits: nobody makes an identity whose results would land among those of another. */
const ASKER_DIGITS = 16
/** What a name has room for behind `for.<asker>.` and `vote.` (base/names.ts). */
const STEP_CHARACTERS_MAX = 42
const HAND_STEP_CHARACTERS_MAX = 58
const STEP_DIGITS = 8
const ASKED_FOR = /^for\.([0-9a-f]{16})\./

/** The branch on which a node writes what a step of its runs puts out. */
export function branchOf(step: string, node: string): string {
  return `${step}-${node}`
}

/**
 * Under which name a host keeps what it made of `step` for another member: `for.<asker>.<step>`, where the asker is the
 * first 16 hex digits of the SHA-256 of its peer id. A step with more than 42 characters is cut, and told apart by eight
 * digits of its SHA-256. No step of a pipeline is named so, and no round is about one: what others had made here is not
 * this node's word (run.md R13). Pure.
 */
export function stepFor(asker: string, step: string): string {
  const named = `${FOR_MEMBER}${sha256(asker).slice(0, ASKER_DIGITS)}.`
  return named + shortened(step, STEP_CHARACTERS_MAX)
}

/**
 * Under which name a node keeps the ballots that its people put together for rounds of `step`: `vote.<step>`, cut like
 * those above where it has more than 58 characters. It is a word on what others made, and no result (hand-ballots.md H8).
 */
export function handStep(step: string): string {
  return BY_HAND + shortened(step, HAND_STEP_CHARACTERS_MAX)
}

function shortened(step: string, charactersMax: number): string {
  if (step.length <= charactersMax) return step
  const cut = step.slice(0, charactersMax - STEP_DIGITS - 1).replace(/[^a-z0-9]+$/, '')
  return `${cut}-${sha256(step).slice(0, STEP_DIGITS)}`
}

/** Whether no result of a node's own goes by this name: no step of a pipeline is named so, and no round is about one. */
export function isReservedStep(step: string): boolean {
  return step.startsWith(FOR_MEMBER) || step.startsWith(BY_HAND)
}

/** Why there are no rounds on a step of that name; undefined where there are. */
export function whyReserved(step: string): string | undefined {
  if (step.startsWith(FOR_MEMBER))
    return 'is what other members had made at a host, and so no host’s own result'
  return isReservedStep(step)
    ? 'is what people put together for a vote, and so nobody’s own result'
    : undefined
}

/** Whom a branch was made for, as branches name members; undefined for what a node makes of its own. Pure. */
export function askedForBy(branch: string): string | undefined {
  return ASKED_FOR.exec(branch)?.[1]
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}

/**
 * The member that owns a branch `<step>-<node>`, or undefined when nobody does. Members are admitted only under names
 * of which none ends in another one behind a dash, so one fits at most. In a federation that is older than this rule
 * the longest name wins: all branches of `a-b` end in `-b`, and it could write none if they were `b`'s. Pure.
 */
export function ownerOfBranch(branch: string, memberNames: Iterable<string>): string | undefined {
  // A step `ground` of a node `truth` would otherwise hand the agreed state to one member.
  if (branch === TRUTH_BRANCH) return undefined
  let owner: string | undefined
  for (const name of memberNames) {
    const fits = branch.length > name.length + 1 && branch.endsWith(`-${name}`)
    if (fits && name.length > (owner?.length ?? 0)) owner = name
  }
  return owner
}
