import { type Command, InvalidArgumentError } from 'commander'
import { toolViewSchema } from '../api/views.ts'
import { parseDuration } from './arguments.ts'
import { spanText } from './output.ts'
import type { Act } from './session.ts'

interface WatchChoice {
  detector?: string
  set?: Record<string, number>
  quietFor?: number
}

export function watchCommand(tool: Command, act: Act): void {
  tool
    .command('watch <name>')
    .description('say how the control metric of a tool is judged, for all members')
    .option('--detector <name>', 'rolling-average (the usual one), rolling-z, ewma, mad or seasonal')
    .option(
      '--set <name=number>',
      'window, threshold, lambda, limit, period or cycles; several times',
      gatherNumber,
    )
    .option('--quiet-for <time>', 'how long a spike that lasts is not told again, such as 12h', parseDuration)
    .action(
      act(async (session, name: string, { detector, set = {}, quietFor: quietMs }: WatchChoice) => {
        const client = await session.connect()
        const path = `/tools/${encodeURIComponent(name)}`
        const { value } = await client.get(path, toolViewSchema)
        const { monitoring: before = {}, ...rest } = value
        const monitoring = {
          ...before,
          ...(detector === undefined ? {} : { detector: { detector, ...set } }),
          ...(quietMs === undefined ? {} : { quietMs }),
        }
        const told = await client.post('/tools', toolViewSchema, { ...rest, name, monitoring })
        session.out.result(told, () => {
          const { detector: by = { detector: 'rolling-average' }, quietMs: silentMs } =
            told.value.monitoring ?? {}
          return `The control metric of ${name} is judged by ${ruleText(by)}${silentText(silentMs)}.`
        })
      }),
    )
}

/** Such as `seasonal (period 7, cycles 3)`. */
function ruleText({ detector, ...figures }: Readonly<Record<string, unknown>>): string {
  const set = Object.entries(figures).map(([figure, value]) => `${figure} ${value}`)
  return set.length === 0 ? String(detector) : `${detector} (${set.join(', ')})`
}

function silentText(silentMs: number | undefined): string {
  return silentMs === undefined ? '' : `; a spike that lasts is told again after ${spanText(silentMs)}`
}

function gatherNumber(text: string, before: Record<string, number> = {}): Record<string, number> {
  const [name = '', figure = ''] = text.split('=')
  const number = Number(figure)
  if (name === '' || figure === '' || Number.isNaN(number)) {
    throw new InvalidArgumentError('a figure is set like window=30')
  }
  return { ...before, [name]: number }
}
