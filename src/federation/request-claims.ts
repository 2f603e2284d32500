/**
 * What several members say about one who asks to be admitted (protocols/join.md [J6] [J7]). Any member may write below
 * `/requests/`, so what counts of it is chosen here. Pure.
 */
import { z } from 'zod'
import { contactLengthMax, reasonLengthMax, requestMessageLengthMax } from '../base/limits.ts'
import { nameSchema } from '../base/names.ts'

/** `/requests/<peer>`: what a peer asks for, and the operator's no where there is one. */
export const requestSchema = z.object({
  name: nameSchema,
  message: z.string().max(requestMessageLengthMax),
  contact: z.string().max(contactLengthMax),
  askedMs: z.int().nonnegative(),
  denied: z.object({ reason: z.string().max(reasonLengthMax), atMs: z.int() }).optional(),
})
export type RequestRecord = z.infer<typeof requestSchema>

export interface RequestClaim {
  /** Peer id of the member that wrote it. */
  readonly author: string
  readonly value: RequestRecord
}

export interface ReadRequest extends RequestRecord {
  /** Peer id of the member that was asked, or of the operator who denied it. */
  readonly by: string
  /** Members that keep other words of the same peer: one of them tells an untruth, or was told one. */
  readonly disputedBy: readonly string[]
}

export interface Readers {
  readonly self: string
  isOperator(peer: string): boolean
}

/**
 * The words are those that this node was told itself, or else an operator's, or else the claim's that is shown; only an
 * operator's no is one, and of several the last.
 *
 * @param claims the living ones, the shown one first. @returns undefined when there is none.
 */
export function readRequest(
  claims: readonly RequestClaim[],
  { self, isOperator }: Readers,
): ReadRequest | undefined {
  const told = claims.find(({ author }) => author === self) ?? claims.find(({ author }) => isOperator(author))
  const words = told ?? claims[0]
  if (words === undefined) return undefined
  const [denial] = claims
    .filter(({ author, value }) => value.denied !== undefined && isOperator(author))
    .sort((a, b) => (b.value.denied?.atMs ?? 0) - (a.value.denied?.atMs ?? 0))
  const { denied: _, ...said } = words.value
  const others = claims.filter(({ value }) => !isSame(value, words.value)).map(({ author }) => author)
  return {
    ...said,
    by: denial?.author ?? words.author,
    ...(denial?.value.denied === undefined ? {} : { denied: denial.value.denied }),
    disputedBy: others,
  }
}

function isSame(a: RequestRecord, b: RequestRecord): boolean {
  return a.name === b.name && a.message === b.message && a.contact === b.contact
}
