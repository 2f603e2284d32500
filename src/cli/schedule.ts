import { type Command, InvalidArgumentError, Option } from 'commander'
import { z } from 'zod'
import {
  type ScheduleDetails,
  type ScheduleView,
  scheduleDetailsSchema,
  scheduleViewSchema,
} from '../api/schedule-views.ts'
import { parseDuration } from './arguments.ts'
import { type Output, type Pair, spanText, timeText } from './output.ts'
import type { Act } from './session.ts'

interface ScheduleOptions {
  cron: string
  timezone?: string
  roundWindow?: number
  overlap?: string
  missed?: string
  jitter?: number
  scope?: string | { k: number }
  takeOver?: number
  priority?: number
  paused?: boolean
}

export function scheduleCommands(program: Command, act: Act): void {
  const schedule = program.command('schedule').description('when pipelines run by themselves, and where')

  adds(schedule.command('add <pipeline>'), act)
  lists(schedule.command('list'), act)

  schedule
    .command('show <pipeline>')
    .description('its next times, its last runs, and who runs which slot')
    .action(
      act(async (session, name: string) => {
        const client = await session.connect()
        const shown = await client.get(pathOf(name), scheduleDetailsSchema)
        session.out.result(shown, () => renderSchedule(session.out, shown))
      }),
    )

  schedule
    .command('pause <pipeline>')
    .description('run it no more on any member until it is resumed; slots meanwhile are passed over')
    .action(
      act(async (session, name: string) => {
        const client = await session.connect()
        const paused = await client.post(`${pathOf(name)}/pause`, scheduleViewSchema)
        session.out.result(paused, () => `${name} is paused; "maoctl schedule resume ${name}" goes on.`)
      }),
    )

  schedule
    .command('resume <pipeline>')
    .description('run it again from its next slot on')
    .action(
      act(async (session, name: string) => {
        const client = await session.connect()
        const resumed = await client.post(`${pathOf(name)}/resume`, scheduleViewSchema)
        session.out.result(resumed, () => `${name} runs next at ${timeText(resumed.nextMs)}.`)
      }),
    )

  removes(schedule.command('remove <pipeline>'), act)
}

/** The same under the names that they have had beside the pipelines. */
export function pipelineScheduleCommands(pipeline: Command, act: Act): void {
  adds(pipeline.command('schedule <pipeline>'), act)
  lists(pipeline.command('schedules'), act)
  removes(pipeline.command('unschedule <pipeline>'), act)
}

function adds(command: Command, act: Act): void {
  command
    .description('run a pipeline at the times of a cron rule; replaces its earlier schedule')
    .requiredOption('--cron <rule>', 'such as "0 3 * * *"')
    .option('--timezone <zone>', 'IANA name; default: UTC')
    .option('--scope <who>', 'every-member (default), once, or how many members run a slot', parseScope)
    .addOption(
      new Option('--overlap <what>', 'a slot that comes before the last run has ended').choices([
        'skip',
        'queue',
      ]),
    )
    .addOption(
      new Option('--missed <which>', 'slots that run late after the node was away').choices([
        'all',
        'last',
        'none',
      ]),
    )
    .option('--jitter <time>', 'spread the starts over so long, such as 10m', parseDuration)
    .option('--take-over <time>', 'with once: replace a member that is silent for so long', parseDuration)
    .option('--priority <number>', 'of its runs in the queue, -100 to 100', parsePriority)
    .option('--paused', 'make it, and let it rest until it is resumed')
    .option(
      '--round-window <time>',
      'after each run, vote on its results; ballots are taken for so long',
      parseDuration,
    )
    .action(
      act(async (session, name: string, options: ScheduleOptions) => {
        const client = await session.connect()
        const { cron, timezone, roundWindow, overlap, missed, jitter, scope, takeOver, priority, paused } =
          options
        const round = roundWindow === undefined ? undefined : { windowMs: roundWindow }
        const asked = { pipeline: name, cron, timezone, round, overlap, missed, scope, priority, paused }
        const times = { jitterMs: jitter, takeOverMs: takeOver }
        const made = await client.post('/schedules', scheduleViewSchema, { ...asked, ...times })
        session.out.result(made, () => {
          return made.paused ? `${name} is paused.` : `${name} runs next at ${timeText(made.nextMs)}.`
        })
      }),
    )
}

function lists(command: Command, act: Act): void {
  command.description('list what runs by itself').action(
    act(async (session) => {
      const client = await session.connect()
      const schedules = await client.get('/schedules', z.array(scheduleViewSchema))
      session.out.result(schedules, () => {
        const rows = schedules.map((each) => [
          each.pipeline,
          each.cron,
          each.timezone ?? 'UTC',
          each.paused ? 'paused' : timeText(each.nextMs),
          each.round ? 'yes' : 'no',
          scopeText(each.scope),
          each.lastProblem?.kind ?? '-',
        ])
        return session.out.table(['pipeline', 'rule', 'timezone', 'next', 'round', 'scope', 'problem'], rows)
      })
    }),
  )
}

function removes(command: Command, act: Act): void {
  command.description('run a pipeline no longer by itself').action(
    act(async (session, name: string) => {
      const client = await session.connect()
      await client.delete(pathOf(name))
      session.out.result({ unscheduled: name }, () => `${name} does not run by itself any more.`)
    }),
  )
}

function renderSchedule(out: Output, shown: ScheduleDetails): string {
  const { lastProblem: problem, lastSpared: spared, next, runs, slots, nextInLine } = shown
  const claims = slots.flatMap(({ slot, claims: made }) =>
    made.map(({ name, state, end, run = '-', timeMs, counts }) => {
      const how = end === undefined ? state : `${state} (${end})`
      return [timeText(slot), name, how, run, timeText(timeMs), counts ? 'yes' : 'no']
    }),
  )
  const pairs: Pair[] = [
    ['pipeline', shown.pipeline],
    ['rule', `${shown.cron} (${shown.timezone ?? 'UTC'})`],
    ['runs on', scopeText(shown.scope)],
    ['overlapping slots', shown.overlap],
    ['missed slots', shown.missed],
    ...(shown.jitterMs === 0 ? [] : [['jitter', spanText(shown.jitterMs)] as Pair]),
    ...(shown.round === undefined
      ? []
      : [['round', `ballots for ${spanText(shown.round.windowMs)}`] as Pair]),
    ...(shown.priority === undefined ? [] : [['priority', String(shown.priority)] as Pair]),
    ['next', shown.paused ? 'paused' : next.map(timeText).join(', ')],
    ...(nextInLine === undefined ? [] : [['next in line', nextInLine.join(', ')] as Pair]),
    ...(problem === undefined
      ? []
      : [['last problem', `${timeText(problem.slot)}: ${problem.reason}`] as Pair]),
    ...(spared === undefined
      ? []
      : [['last left to others', `${timeText(spared.slot)} (${spared.kind}): ${spared.reason}`] as Pair]),
  ]
  const ran = runs.map(({ id, slot, state, reason = '' }) => [id, timeText(slot), state, reason])
  return [
    out.pairs(pairs),
    ...(ran.length === 0 ? [] : [out.table(['run here', 'slot', 'state', 'reason'], ran)]),
    ...(claims.length === 0
      ? []
      : [out.table(['slot', 'claimed by', 'state', 'run there', 'said at', 'counts'], claims)]),
  ].join('\n\n')
}

function scopeText(scope: ScheduleView['scope']): string {
  if (scope === 'every-member') return 'every member'
  return scope === 'once' ? 'one member' : `${scope.k} members`
}

function parseScope(text: string): 'every-member' | 'once' | { k: number } {
  if (text === 'every-member' || text === 'once') return text
  const k = Number(text)
  if (Number.isSafeInteger(k) && k >= 1) return { k }
  throw new InvalidArgumentError('expected every-member, once, or a number of members')
}

function parsePriority(text: string): number {
  const priority = Number(text)
  if (!Number.isInteger(priority) || Math.abs(priority) > 100) {
    throw new InvalidArgumentError('expected a whole number from -100 to 100')
  }
  return priority
}

function pathOf(name: string): string {
  return `/schedules/${encodeURIComponent(name)}`
}
