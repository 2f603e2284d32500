import { type Command, InvalidArgumentError } from 'commander'
import { toolViewSchema } from '../api/views.ts'
import { parseDuration } from './arguments.ts'
import type { Act } from './session.ts'

interface WatchChoice {
  detector?: string
  set?: Record<string, number>
  quiet?: number
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
    .option('--quiet <time>', 'how long a spike that lasts is not told again, such as 12h', parseDuration)
    .action(
      act(async (session, name: string, { detector, set = {}, quiet: quietMs }: WatchChoice) => {
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
          const by = JSON.stringify(told.value.monitoring?.detector ?? { detector: 'rolling-average' })
          return `The control metric of ${name} is judged by ${by}.`
        })
      }),
    )
}

function gatherNumber(text: string, before: Record<string, number> = {}): Record<string, number> {
  const [name = '', figure = ''] = text.split('=')
  const number = Number(figure)
  if (name === '' || figure === '' || Number.isNaN(number)) {
    throw new InvalidArgumentError('a figure is set like window=30')
  }
  return { ...before, [name]: number }
}
