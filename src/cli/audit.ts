/**
 * Audits (peer validation): `dataset audit` asks and waits, `dataset audits` looks back. The predecessor's `audit` is the
 * former under its old name.
 */
import type { Command } from 'commander'
import { z } from 'zod'
import { type AuditMemberView, type AuditView, auditSchema } from '../api/audit-views.ts'
import { NodeError } from '../base/errors.ts'
import { clientPollMs } from '../base/limits.ts'
import { delay } from '../base/wait.ts'
import { parseDuration } from './arguments.ts'
import type { ApiClient } from './client.ts'
import { EXIT } from './exit-codes.ts'
import { countText, type Output, type Pair, shortId, timeText } from './output.ts'
import type { Act, Session } from './session.ts'

interface OpenOptions {
  step?: string
  window?: number
  wait: boolean
}

/** Paths of one kind that are named before the rest is only counted. */
const PATHS_SHOWN = 5

export function datasetAuditCommands(dataset: Command, act: Act): void {
  auditCommand(dataset.command('audit <name>'), act)

  dataset
    .command('audits <name> [audit]')
    .description(
      'list the audits of a dataset, newest first; or show one, by its id or the time in it, with its report',
    )
    .action(
      act(async (session, name: string, audit?: string) => {
        const client = await session.connect()
        const all = await client.get(pathOf(name), z.array(auditSchema))
        if (audit !== undefined) {
          tell(session, await untilEnded(session, client, named(all, name, audit)))
          return
        }
        session.out.result(all, () => {
          const rows = all.map(({ id, state, openedBy, step, members, untilMs, report }) => {
            const answered = members.filter(({ part }) => part !== 'silent').length
            const winner = report === undefined ? '' : winnerText(report)
            const told = `${answered}/${members.length}`
            return [timeOf(id), state, openedBy.name, step ?? '', told, timeText(untilMs), winner]
          })
          const head = ['audit', 'state', 'opened by', 'step', 'answers', 'until', 'winner']
          return session.out.table(head, rows)
        })
      }),
    )
}

/** The predecessor's `maoctl audit`. */
export function auditHabit(program: Command, act: Act): void {
  auditCommand(program.command('audit <dataset>'), act)
}

function auditCommand(command: Command, act: Act): void {
  command
    .description(
      'ask every member for its newest snapshot, and find the one that differs least from the others; exit code 8 when a person has to decide, or nobody has anything',
    )
    .option('--window <time>', 'how long members may answer, such as 30s (default: 10m)', parseDuration)
    .option('--step <name>', "only results of this step; without it, each member's newest")
    .option('--no-wait', 'only ask; "maoctl dataset audits NAME" shows what has come of it')
    .action(
      act(async (session, name: string, { step, window, wait }: OpenOptions) => {
        const client = await session.connect()
        const asked = { windowMs: window, step }
        const opened = await client.post(pathOf(name), auditSchema, asked)
        if (wait) {
          tell(session, await untilEnded(session, client, opened))
          return
        }
        const text = () =>
          `The audit ${timeOf(opened.id)} of ${name} waits for ${countText(opened.members.length, 'member')} until ${timeText(opened.untilMs)}.`
        session.out.result(opened, text)
      }),
    )
}

/** It ends by itself: when all have answered, or with its window and the time that fetching may take. */
async function untilEnded(session: Session, client: ApiClient, audit: AuditView): Promise<AuditView> {
  const [, opened = '', opener = ''] = audit.id.split('/')
  const path = `/datasets/${encodeURIComponent(audit.dataset)}/audits/${opened}/${encodeURIComponent(opener)}`
  const told = new Set<string>()
  let state = ''
  let looked = 0
  for (;;) {
    const now = await client.get(path, auditSchema)
    for (const member of now.members) {
      if (member.part === 'silent' || told.has(member.peer)) continue
      told.add(member.peer)
      session.out.note(`${told.size}/${now.members.length} ${answerText(member)}`)
    }
    if (now.state !== state) {
      if (now.state === 'open') session.out.note(`answers are awaited until ${timeText(now.untilMs)}`)
      if (now.state === 'comparing') session.out.note('what they hold is fetched and compared')
    }
    if (now.state === 'comparing' && (now.looked ?? 0) > looked) {
      looked = now.looked ?? 0
      const of = now.members.filter(({ part }) => part === 'candidate').length
      session.out.note(`${looked}/${of} candidates were looked into`)
    }
    state = now.state
    if (state === 'ended' || (state === 'closed' && now.note !== undefined)) return now
    await delay(clientPollMs)
  }
}

function tell(session: Session, audit: AuditView): void {
  session.out.result(
    audit,
    () => render(session.out, audit),
    () => audit.report?.winner?.commit ?? '',
  )
  const { outcome = 'nothing' } = audit.report ?? {}
  if (outcome === 'draw' || outcome === 'nothing') session.exitCode = EXIT.OUTCOME
}

function render(out: Output, audit: AuditView): string {
  const { id, dataset, step, openedBy, openedMs, untilMs, state, members, notAsked, note, report, next } =
    audit
  const agreement = report?.agreement
  const pairs: Pair[] = [
    ['audit', timeOf(id)],
    ['dataset', step === undefined ? dataset : `${dataset}, step ${step}`],
    ['opened', `by ${openedBy.name}, ${timeText(openedMs)}`],
    ['answers until', timeText(untilMs)],
    ['state', state],
    ...(note === undefined ? [] : [['why', note] as Pair]),
    ...(report === undefined ? [] : [['winner', winnerText(report)] as Pair]),
    ...(agreement === undefined ? [] : [['agreement', agreementText(agreement)] as Pair]),
    ...(notAsked.length === 0 ? [] : [['not asked', notAsked.map(({ name }) => name).join(', ')] as Pair]),
    ...(next === undefined ? [] : [['next', next] as Pair]),
  ]
  const rows = members.map((member) => [
    member.name,
    member.head?.branch ?? '-',
    shortId(member.head?.commit),
    member.strangeness === undefined ? '-' : String(member.strangeness),
    verdictText(member, report),
  ])
  return `${out.pairs(pairs)}\n\n${out.table(['member', 'branch', 'commit', 'strangeness', ''], rows)}`
}

type Report = NonNullable<AuditView['report']>

function winnerText({ outcome, winner, groups }: Report): string {
  if (outcome === 'nothing') return 'none: nobody had anything to compare'
  if (outcome === 'draw') return 'none: a draw'
  const names = groups.filter(({ wins }) => wins).flatMap(({ peers }) => peers.map(({ name }) => name))
  const alone = outcome === 'alone' ? ', the only candidate' : ''
  return `${shortId(winner?.commit)} of ${names.join(', ')}${alone}`
}

function agreementText({ percent, krippendorffAlpha }: NonNullable<Report['agreement']>): string {
  const share = percent === undefined ? '-' : `${(percent * 100).toFixed(1)} % of all pairs are equal`
  return krippendorffAlpha === undefined ? share : `${share}; alpha ${krippendorffAlpha.toFixed(3)}`
}

function verdictText(member: AuditMemberView, report: Report | undefined): string {
  const { part, reason, wins, peer } = member
  if (part !== 'candidate') return answerOf(member) + (reason === undefined ? '' : `: ${reason}`)
  if (report === undefined) return reason === undefined ? 'has answered' : `waits: ${reason}`
  if (wins === true) return report.outcome === 'draw' ? 'as good as others' : 'wins'
  const group = report.groups.find(({ peers }) => peers.some((each) => each.peer === peer))
  const kinds = [
    ['lacks', group?.differences?.missing],
    ['has besides', group?.differences?.extra],
    ['differs in', group?.differences?.different],
  ] as const
  return kinds.flatMap(([word, paths]) => (paths?.count ? `${word} ${listed(paths)}` : [])).join('; ')
}

function listed({ count, first }: { readonly count: number; readonly first: readonly string[] }): string {
  const shown = first.slice(0, PATHS_SHOWN)
  return shown.join(', ') + (count > shown.length ? ` and ${count - shown.length} more` : '')
}

const PARTS: Readonly<Record<AuditMemberView['part'], string>> = {
  candidate: 'has answered',
  'left-out': 'is left out',
  unavailable: 'could not be had',
  late: 'answered too late',
  nothing: 'has nothing to compare',
  silent: 'did not answer',
}

function answerOf({ part }: AuditMemberView): string {
  return PARTS[part]
}

function answerText(member: AuditMemberView): string {
  const { name, head } = member
  const held = head === undefined ? '' : `: ${head.branch} at ${shortId(head.commit)}`
  return `${name} ${answerOf(member)}${held}`
}

function pathOf(dataset: string): string {
  return `/datasets/${encodeURIComponent(dataset)}/audits`
}

/** What tells the audits of a dataset apart for people; two of one millisecond are told apart by the whole id. */
function timeOf(id: string): string {
  return id.split('/')[1] ?? id
}

/** @throws NodeError NOT_FOUND, INVALID_INPUT */
function named(all: readonly AuditView[], dataset: string, audit: string): AuditView {
  const found = all.filter(({ id }) => id === audit || timeOf(id) === audit)
  const [first] = found
  if (first === undefined) {
    const message = `No audit of ${dataset} is named ${audit}; "maoctl dataset audits ${dataset}" lists them`
    throw new NodeError('NOT_FOUND', message, { audit })
  }
  if (found.length > 1) {
    const message = `Several audits were opened at ${audit}; name one by its whole id: ${found.map(({ id }) => id).join(', ')}`
    throw new NodeError('INVALID_INPUT', message, { audit })
  }
  return first
}
