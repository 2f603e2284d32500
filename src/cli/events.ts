import type { Command } from 'commander'
import { printable } from '../base/strangers-words.ts'
import type { DatasetEvent } from '../datasets/dataset-events.ts'
import { parseCount } from './arguments.ts'
import { datasetEventText } from './dataset-event-text.ts'
import { followStream } from './event-stream.ts'
import { timeText } from './output.ts'
import type { Act, Session } from './session.ts'

interface EventOptions {
  types?: string
  count?: number
}

export function eventCommands(program: Command, act: Act): void {
  program
    .command('events')
    .description('follow what happens on the node')
    .option('--types <list>', 'only these, separated by commas, such as run,dataset')
    .option('--count <number>', 'end after so many', parseCount)
    .action(act(follow))
}

async function follow(
  session: Session,
  { types, count = Number.POSITIVE_INFINITY }: EventOptions,
): Promise<void> {
  const client = await session.connect()
  let left = count
  for await (const { event = '', data } of followStream(client, '/events', { types })) {
    if (event === 'open') {
      if (data.includes('true')) session.out.note('Some events were missed.')
      session.out.note('Following what happens on the node; Ctrl-C ends it.')
      continue
    }
    const happening: unknown = JSON.parse(data)
    session.out.item(
      happening,
      () =>
        `${timeText(Date.now())} ${session.out.style('bold', event)} ${printable(textOf(happening) ?? data)}`,
    )
    left -= 1
    if (left === 0) return
  }
}

/** In words where there are any for it; all else is told as it comes. */
function textOf(happening: unknown): string | undefined {
  const told = happening as { type?: unknown; event?: DatasetEvent }
  if (told.type !== 'dataset' || told.event === undefined) return undefined
  return datasetEventText(told.event)
}
