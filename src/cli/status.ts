import type { Command } from 'commander'
import { type Overview, overviewSchema } from '../api/status-views.ts'
import { delay } from '../base/wait.ts'
import { parseDuration } from './arguments.ts'
import { ownText } from './federation-requests.ts'
import { endedText } from './federation-words.ts'
import { bytesText, countText, type Output, type Pair, shortId, spanText, timeText } from './output.ts'
import type { Act, Session } from './session.ts'

const WATCH_DEFAULT_MS = 2_000
/** Oftener tells nothing new and only keeps the node busy. */
const WATCH_MIN_MS = 500

interface StatusOptions {
  watch?: boolean | number
}

export function statusCommands(program: Command, act: Act): void {
  program
    .command('status')
    .description('show node, federation and work on one screen')
    .option('--watch [time]', 'show it anew every 2s, or as often as is said, until Ctrl-C', parseDuration)
    .action(act(status))
}

async function status(session: Session, { watch }: StatusOptions): Promise<void> {
  const client = await session.connect()
  const look = () => client.get('/status', overviewSchema)
  if (watch === undefined) {
    const overview = await look()
    session.out.result(
      overview,
      () => render(session.out, overview),
      () => briefly(overview),
    )
    return
  }
  const everyMs = Math.max(WATCH_MIN_MS, typeof watch === 'number' ? watch : WATCH_DEFAULT_MS)
  for (;;) {
    const overview = await look()
    session.out.screen(overview, () => render(session.out, overview))
    await delay(everyMs)
  }
}

/** One word for scripts: whether anything wants to be looked at. */
function briefly(overview: Overview): string {
  return worriesOf(overview).length === 0 ? 'well' : 'worries'
}

function render(out: Output, overview: Overview): string {
  const { node, federation, disk, work } = overview
  const worries = worriesOf(overview)
  const pairs: Pair[] = [
    ['node', `${node.name}, version ${node.version}, up ${spanText(node.nowMs - node.startedMs)}`],
    ['reachable', node.reachability.words],
    ['connected', countText(node.connectedPeers, 'peer')],
    ['federation', federation === null ? noneText(overview) : federationText(federation)],
    ...(work === null ? [] : workPairs(out, work, node.nowMs)),
    ['disk', `${bytesText(disk.freeBytes)} of ${bytesText(disk.totalBytes)} free`],
  ]
  const worried = worries.map((worry) => `${out.style('yellow', '!')} ${worry}`)
  return [out.pairs(pairs), ...(worried.length === 0 ? [] : ['', ...worried])].join('\n')
}

function noneText({ request }: Overview): string {
  return request === null ? 'none yet' : `none yet. ${ownText(request)}`
}

function federationText({ name, role, ended, members, online }: NonNullable<Overview['federation']>): string {
  if (ended !== undefined) return `${name}, ${endedText(ended)}`
  const as = role === null ? 'not admitted yet' : role
  return `${name}, ${as}; ${online} of ${countText(members, 'member')} online`
}

type Work = NonNullable<Overview['work']>

function workPairs(out: Output, work: Work, nowMs: number): Pair[] {
  const { registry, datasets, runs, schedules, rounds, notifications, engines } = work
  const others = registry.same + registry.differing + registry.unknown
  const same = others === 0 ? '' : `, same as ${registry.same} of ${countText(others, 'other member')}`
  const next = schedules.next
  const running = runs.running.map(({ id, pipeline, state }) => `${pipeline} ${id} (${state})`)
  const up = engines.filter((engine) => engine.up)
  return [
    ['registry', `${shortId(registry.digest)}, ${countText(registry.records, 'record')}${same}`],
    [
      'datasets',
      `${datasets.count}, ${datasets.agreed} with a ground truth${datasets.behind.length === 0 ? '' : `, behind: ${datasets.behind.join(', ')}`}`,
    ],
    [
      'runs',
      `${runs.running.length === 0 ? 'none running' : `running: ${running.join(', ')}`}, ${runs.queued} queued`,
    ],
    ...runs.failed.slice(0, FAILURES_SHOWN).map(({ id, pipeline, state, endedMs }): Pair => {
      return ['ended', `${pipeline} ${id} ${out.state(state)} ${spanText(Math.max(0, nowMs - endedMs))} ago`]
    }),
    [
      'schedules',
      `${schedules.count}${next === undefined ? '' : `, next: ${next.pipeline} at ${timeText(next.timeMs)}`}${schedules.paused === 0 ? '' : `, ${schedules.paused} paused`}`,
    ],
    ['rounds', rounds.open.length === 0 ? 'none open' : `open: ${rounds.open.join(', ')}`],
    [
      'spikes',
      notifications.spikes.length === 0
        ? 'none'
        : notifications.spikes
            .map(({ tool, member, timeMs }) => `${tool} at ${member} (${timeText(timeMs)})`)
            .join(', '),
    ],
    ['engines', `${up.length} of ${engines.length} up`],
  ]
}

const FAILURES_SHOWN = 3

/** What wants to be looked at, each with where. */
export function worriesOf({ federation, disk, work, request }: Overview): string[] {
  const worries: string[] = []
  if (federation === null && request === null)
    worries.push(
      'This node is in no federation yet: "maoctl federation create", "maoctl federation join" or "maoctl federation request".',
    )
  if (federation?.ended !== undefined)
    worries.push(
      `The membership in ${federation.name} is over: ask an operator anew, or "maoctl federation leave".`,
    )
  if (disk.freeBytes < disk.keptBytes)
    worries.push('The disk is nearly full; nothing large is taken in: "maoctl dataset gc".')
  if (work === null) return worries
  const { registry, datasets, schedules, notifications, engines } = work
  if (registry.differing > 0)
    worries.push(
      `${countText(registry.differing, 'member holds', 'members hold')} another registry: "maoctl peers".`,
    )
  if (datasets.behind.length > 0)
    worries.push(
      `${countText(datasets.behind.length, 'dataset is', 'datasets are')} behind: "maoctl dataset list".`,
    )
  if (schedules.problems > 0)
    worries.push(`${countText(schedules.problems, 'schedule')} missed a slot: "maoctl schedule list".`)
  if (notifications.givenUp > 0)
    worries.push(
      `${countText(notifications.givenUp, 'message was', 'messages were')} given up: "maoctl notification deliveries".`,
    )
  for (const { id, up, problem } of engines) {
    if (!up)
      worries.push(
        `The engine ${id} is not up${problem === undefined ? '' : ` (${problem})`}: "maoctl engine list".`,
      )
  }
  return worries
}
