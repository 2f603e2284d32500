/** What a person chooses in a round whose ballots are cast by hand (protocols/hand-ballots.md). */
import { z } from 'zod'
import { handChoicesMax } from '../../base/limits-consensus.ts'

const path = z.string().min(1).max(4_096)
/** A member's name or peer id. */
const member = z.string().min(1).max(100)

export const choicesSchema = z.strictObject({
  /** Whose result is the ballot, but for what is chosen otherwise below; this node's own without a word. */
  candidate: member.optional(),
  /** Files of another candidate. */
  files: z.array(z.strictObject({ path, member })).max(handChoicesMax).default([]),
  /** Entries of files, named as the round's method names them. */
  entries: z
    .array(z.strictObject({ path, key: z.string().min(1).max(4_096), member }))
    .max(handChoicesMax)
    .default([]),
  /** Files that are left out. */
  absent: z.array(path).max(handChoicesMax).default([]),
})
export type Choices = z.output<typeof choicesSchema>

/** One choice and what it changes of the ballot. */
export interface Chosen {
  /** Empty for the whole ballot. */
  readonly path: string
  readonly entry?: string
  /** Name of the member; undefined where a file is left out. */
  readonly member?: string
  readonly change: 'base' | 'added' | 'replaced' | 'removed' | 'same'
}

/** Of nothing but one member's whole result: that member's commit is the ballot, and nothing is to be put together. */
export function isWhole({ files, entries, absent }: Choices): boolean {
  return files.length + entries.length + absent.length === 0
}
