import { createHash } from 'node:crypto'
import type { PipelineStep } from '../catalogue/pipeline.ts'
import type { Scope } from './schedule.ts'

/**
 * What a scheduled run stands for, whoever does it: two runs of one identity did the same work for the same slot, so
 * that a doubled one can be told and counts once (claims.ts). SHA-256 in hex over the JSON array of pipeline, plan, slot
 * and scope, the members of every object in the order of their names (protocols/schedules.md §5). Pure.
 */
export function runIdentity(p: {
  pipeline: string
  plan: readonly PipelineStep[]
  slot: number
  scope: Scope
}): string {
  const text = JSON.stringify([p.pipeline, p.plan, p.slot, p.scope], sortedMembers)
  return createHash('sha256').update(text).digest('hex')
}

/** The order of members is no part of what an object says (RFC 8785 §3.2.3). */
function sortedMembers(_key: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value
  const members = Object.entries(value)
  return Object.fromEntries(members.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)))
}
