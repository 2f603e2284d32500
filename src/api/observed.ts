import type { Context } from 'hono'
import type { RoundView } from '../consensus/views.ts'
import { includes, type Scope } from '../identity/scopes.ts'

/** What stands for words that a tool, or what it read, may have chosen. */
const FOR_MEMBERS = 'is told to members: a token of scope member shows it'

/** Fields that tell of contents: what a tool said or measured, what was fetched for it, what it was given. */
const CONTENTS: Readonly<Record<string, unknown>> = {
  reason: FOR_MEMBERS,
  environment: {},
  inputs: undefined,
  report: undefined,
}

/** A view as it is told to who asks: an observer sees how work goes, and nothing of what it works on (scopes.ts). */
export function seenBy<T>(c: Context, view: T): T {
  return seenAs(c.get('principal').scope, view)
}

/** Pure. */
export function seenAs<T>(scope: Scope, view: T): T {
  return includes(scope, 'member') ? view : (withoutContents(view) as T)
}

function withoutContents(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutContents)
  if (typeof value !== 'object' || value === null) return value
  const fields = Object.entries(value).map(([key, field]) => {
    return [key, Object.hasOwn(CONTENTS, key) ? CONTENTS[key] : withoutContents(field)] as const
  })
  return Object.fromEntries(fields.filter(([, field]) => field !== undefined))
}

/** Why a ballot cannot count names files, keys and cells: members are told. Pure. */
export function roundSeenAs<R extends Pick<RoundView, 'ballots'>>(scope: Scope, round: R): R {
  if (includes(scope, 'member')) return round
  const ballots = round.ballots.map((ballot) => {
    return ballot.defect === undefined ? ballot : { ...ballot, defect: 'cannot be counted' }
  })
  return { ...round, ballots }
}
