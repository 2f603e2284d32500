/**
 * Members that see to one slot as claimed-slots.ts does, on `decide` itself, in a time of its own: gossip with delays,
 * catch-up, cuts between members, crashes that forget everything but the disk, clocks that differ, late joiners.
 */
import { type Claim, isSettled, isVacated, type SlotName } from '../../src/execution/schedules/claim.ts'
import { decide, type HeardClaim, sinceFor } from '../../src/execution/schedules/claims.ts'

export interface MemberPlan {
  readonly peer: string
  /** Its clock minus the true time, ms. */
  readonly skewMs: number
  /** Times at which it is off, true time. */
  readonly off: readonly (readonly [fromMs: number, toMs: number])[]
  /** How long its run takes, ms. */
  readonly runMs: number
  /** Its machinery fails every run. */
  readonly broken: boolean
}

export interface WorldPlan {
  readonly slot: SlotName
  readonly runners: number
  readonly takeOverMs: number
  readonly members: readonly MemberPlan[]
  /** Times at which the members up to `of` hear nothing of those behind it, and the reverse. */
  readonly cuts: readonly (readonly [fromMs: number, toMs: number, of: number])[]
  readonly delayMs: () => number
  readonly untilMs: number
}

interface Said extends Pick<Claim, 'state' | 'end'> {
  readonly version: number
}

interface Member {
  readonly plan: MemberPlan
  readonly index: number
  /** On its disk: every claim that it knows, its own run, whether it follows the slot. */
  readonly claims: Map<string, Said>
  run: { endMs: number; ended?: 'done' | 'failed' } | undefined
  runsBegun: number
  runsDone: number
  /** In its memory alone. */
  heard: Map<string, { version: number; heardMs: number }>
  lookedMs: number | undefined
  saidMs: number
  readonly seen: Map<string, number>
}

const STEP_MS = 500
const CATCH_UP_MS = 5_000
/** A member that was heard of so long ago counts as there still, as presences have it. */
const PRESENT_MS = 20_000

export interface Outcome {
  /** By peer: runs begun, and those that were done. */
  readonly begun: ReadonlyMap<string, number>
  readonly done: ReadonlyMap<string, number>
  /** What each member knows in the end. */
  readonly known: readonly (readonly [peer: string, claims: ReadonlyMap<string, Pick<Claim, 'state'>>])[]
}

export function runWorld(world: WorldPlan): Outcome {
  const { slot, takeOverMs, runners } = world
  const members = world.members.map((plan, index): Member => {
    const memory = { heard: new Map(), lookedMs: undefined, saidMs: 0, seen: new Map<string, number>() }
    return { plan, index, claims: new Map(), run: undefined, runsBegun: 0, runsDone: 0, ...memory }
  })
  const mail: { atMs: number; from: Member; to: Member; claim: Said }[] = []
  const within = (spans: readonly (readonly number[])[], ms: number) =>
    spans.some(([from = 0, to = 0]) => ms >= from && ms < to)
  const isUp = ({ plan }: Member, ms: number) => !within(plan.off, ms)
  const reaches = (a: Member, b: Member, ms: number) => {
    const cut = world.cuts.some(([from, to, of]) => ms >= from && ms < to && a.index < of !== b.index < of)
    return !cut && isUp(a, ms) && isUp(b, ms)
  }
  const take = (to: Member, peer: string, claim: Said) => {
    if ((to.claims.get(peer)?.version ?? 0) < claim.version) to.claims.set(peer, claim)
  }

  const say = (member: Member, ms: number, claim: Pick<Claim, 'state' | 'end'>) => {
    const version = (member.claims.get(member.plan.peer)?.version ?? 0) + 1
    const said = { ...claim, version }
    member.claims.set(member.plan.peer, said)
    member.saidMs = ms
    for (const to of members) {
      if (to !== member && reaches(member, to, ms)) {
        mail.push({ atMs: ms + world.delayMs(), from: member, to, claim: said })
      }
    }
  }

  const work = (member: Member, ms: number) => {
    const { run, plan } = member
    if (run === undefined) return
    if (run.ended === undefined && ms >= run.endMs) {
      run.ended = plan.broken ? 'failed' : 'done'
      if (!plan.broken) member.runsDone += 1
      say(member, ms, plan.broken ? { state: 'failed', end: 'errored' } : { state: 'done' })
    } else if (run.ended === undefined && ms - member.saidMs >= takeOverMs / 3) {
      say(member, ms, { state: 'running' })
    }
  }

  const attend = (member: Member, ms: number) => {
    const { plan, claims, heard, seen } = member
    const nowMs = ms + plan.skewMs
    for (const other of members) if (reaches(member, other, ms)) seen.set(other.plan.peer, ms)
    if (nowMs < slot.slot) return
    member.lookedMs ??= nowMs
    work(member, ms)
    const view = new Map<string, HeardClaim>()
    for (const [peer, { state, end, version }] of claims) {
      if (heard.get(peer)?.version !== version) heard.set(peer, { version, heardMs: nowMs })
      const heardMs = heard.get(peer)?.heardMs ?? nowMs
      view.set(peer, { state, heardMs, ...(end === undefined ? {} : { end }) })
    }
    const own = claims.get(plan.peer)
    if (own !== undefined && (isSettled(own) || isVacated(own))) return
    const live = [plan.peer, ...[...seen].filter(([, at]) => ms - at < PRESENT_MS).map(([peer]) => peer)]
    const sinceMs = sinceFor({ dueMs: slot.slot, lookedMs: member.lookedMs, takeOverMs })
    const begun = member.run !== undefined
    const decision = decide({
      slot,
      runners,
      sinceMs,
      takeOverMs,
      live,
      claims: view,
      self: plan.peer,
      begun,
      nowMs,
    })
    if (decision.act === 'withdraw') say(member, ms, { state: 'failed', end: 'lost' })
    if (decision.act !== 'run') return
    say(member, ms, { state: 'claimed' })
    member.run = { endMs: ms + plan.runMs }
    member.runsBegun += 1
  }

  for (let ms = slot.slot - 30_000; ms <= world.untilMs; ms += STEP_MS) {
    for (const member of members) {
      const { plan } = member
      // It comes back: what was in memory is gone, a run that was cut begins again.
      if (isUp(member, ms) && !isUp(member, ms - STEP_MS)) {
        member.heard.clear()
        member.seen.clear()
        member.lookedMs = undefined
        if (member.run !== undefined && member.run.ended === undefined)
          member.run = { endMs: ms + plan.runMs }
      }
    }
    for (let at = mail.length - 1; at >= 0; at -= 1) {
      const letter = mail[at]
      if (letter === undefined || letter.atMs > ms) continue
      mail.splice(at, 1)
      if (reaches(letter.from, letter.to, ms)) take(letter.to, letter.from.plan.peer, letter.claim)
    }
    if (ms % CATCH_UP_MS === 0) {
      for (const a of members)
        for (const b of members)
          if (a !== b && reaches(a, b, ms)) for (const [peer, claim] of a.claims) take(b, peer, claim)
    }
    for (const member of members) if (isUp(member, ms)) attend(member, ms)
  }
  const by = (count: (member: Member) => number) =>
    new Map(members.map((member) => [member.plan.peer, count(member)]))
  return {
    begun: by(({ runsBegun }) => runsBegun),
    done: by(({ runsDone }) => runsDone),
    known: members.map(({ plan, claims }) => [plan.peer, claims]),
  }
}
