import { createHash } from 'node:crypto'
import type { Context } from 'hono'

/** Whether an If-None-Match header names what there is: weak comparison, as RFC 9110, 13.1.2 has it. Pure. */
export function noneMatches(header: string | undefined, tag: string): boolean {
  if (header === undefined) return false
  if (header.trim() === '*') return true
  return [...header.matchAll(/(?:W\/)?("[^"]*")/g)].some(([, named]) => named === tag)
}

/** Whether a range may be answered: without If-Range, or with the very tag (RFC 9110, 13.1.5; dates never fit). Pure. */
export function rangeHolds(ifRange: string | undefined, tag: string): boolean {
  return ifRange === undefined || ifRange.trim() === tag
}

/**
 * A weak tag of an answer that follows from commits and from what was asked of them: what stays the same is what it
 * says, and another version of this program may write it otherwise. Pure.
 */
export function weakTagOf(...parts: readonly unknown[]): string {
  const hash = createHash('sha256').update(JSON.stringify(parts)).digest('base64url')
  return `W/"${hash.slice(0, 32)}"`
}

/**
 * The answer to whoever has this one already, before any work is done for it. `*` is not told so: whether there is
 * anything comes out of the work.
 */
export function unchanged(c: Context, headers: { readonly etag: string; readonly 'cache-control': string }) {
  const named = c.req.header('if-none-match')
  if (named?.trim() === '*' || !noneMatches(named, headers.etag.replace(/^W\//, ''))) return undefined
  return c.body(null, 304, headers)
}
