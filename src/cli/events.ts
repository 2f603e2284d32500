import type { Command } from 'commander'
import { createParser, type EventSourceMessage } from 'eventsource-parser'
import { isNodeError } from '../base/errors.ts'
import { clientPollMs, clientReturnMs } from '../base/limits.ts'
import { delay } from '../base/wait.ts'
import { parseCount } from './arguments.ts'
import type { ApiClient } from './client.ts'
import { printable, timeText } from './output.ts'
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
  for await (const { event = '', data } of messages(session, client, types)) {
    if (event === 'open') {
      session.out.note('Following what happens on the node; Ctrl-C ends it.')
      continue
    }
    const happening: unknown = JSON.parse(data)
    session.out.item(
      happening,
      () => `${timeText(Date.now())} ${session.out.style('bold', event)} ${printable(data)}`,
    )
    left -= 1
    if (left === 0) return
  }
}

/** The events in order, also over a cut: the node tells again what was missed, or that something is missing. */
async function* messages(session: Session, client: ApiClient, types: string | undefined) {
  let lastId: string | undefined
  let lostMs: number | undefined
  for (;;) {
    const heard: EventSourceMessage[] = []
    const parser = createParser({ onEvent: (message) => heard.push(message) })
    const headers = lastId === undefined ? {} : { 'last-event-id': lastId }
    try {
      for await (const text of client.stream('/events', { query: { types }, headers })) {
        lostMs = undefined
        parser.feed(text)
        for (const message of heard.splice(0)) {
          lastId = message.id ?? lastId
          if (message.event === 'open' && message.data.includes('true'))
            session.out.note('Some events were missed.')
          yield message
        }
      }
    } catch (error) {
      // Before the first event there is nothing to come back to.
      const passing = isNodeError(error, 'NODE_UNREACHABLE') || isNodeError(error, 'STREAM_CLOSED')
      if (lastId === undefined || !passing) throw error
      lostMs ??= Date.now()
      if (Date.now() - lostMs > clientReturnMs) throw error
    }
    await delay(clientPollMs)
  }
}
