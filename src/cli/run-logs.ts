import { type Command, InvalidArgumentError, Option } from 'commander'
import { LOG_COMPLETE_HEADER } from '../api/run-log-headers.ts'
import { clientPollMs } from '../base/limits.ts'
import { delay } from '../base/wait.ts'
import { isRemoteId } from '../execution/remote/remote-run.ts'
import { STAGES } from '../execution/runs/run.ts'
import type { ApiClient } from './client.ts'
import { beforeRemoteLog } from './remote-run.ts'
import type { Act } from './session.ts'

interface LogQuery {
  step?: string
  stage?: string
  from?: number
  follow?: boolean
}

export function runLogCommand(run: Command, act: Act): void {
  run
    .command('logs <id>')
    .description('print what the steps printed')
    .option('-f, --follow', 'go on until the run ends')
    .option('--step <name>', 'only that step')
    .addOption(
      new Option('--stage <stage>', "which log: the tools' (algorithm, filter) or the node's own").choices(
        STAGES,
      ),
    )
    .option(
      '--from <byte>',
      'leave out what comes before that byte, such as to go on where it was cut',
      parseByte,
    )
    .action(
      act(async (session, id: string, query: LogQuery) => {
        if (isRemoteId(id)) await beforeRemoteLog(session, id, query)
        const client = await session.connect()
        const decoder = new TextDecoder()
        const from = query.from ?? 0
        let [text, next] = ['', from]
        const say = (part: string) => {
          if (session.out.json) text += part
          else if (part !== '') session.out.raw(part)
        }
        /** @returns whether nothing more will come. */
        const read = async (follow: boolean): Promise<boolean> => {
          const asking = { query: { ...query, from: next, follow } }
          const { headers, bytes } = await client.open(pathOf(id), asking)
          for await (const chunk of bytes) {
            next += chunk.length
            say(decoder.decode(chunk, { stream: true }))
          }
          return headers.get(LOG_COMPLETE_HEADER) === 'true'
        }
        let complete: boolean
        try {
          complete = await read(query.follow === true)
          // A node that stops ends the stream too, so what was followed is asked for once more.
          while (query.follow === true && !complete) {
            complete = await read(false)
            if (!complete) complete = await delay(clientPollMs).then(() => read(true))
          }
        } catch (error) {
          if (next > from)
            session.out.note(`The log was cut; go on with "maoctl run logs ${id} -f --from ${next}".`)
          throw error
        }
        say(decoder.decode())
        // Whoever asks again from `next` on misses nothing and hears nothing twice.
        if (session.out.json) session.out.result({ id, from, next, complete, log: text }, () => text)
      }),
    )
}

/** What a run prints, as it comes. */
export function runLogText(client: ApiClient, id: string, query: LogQuery): AsyncGenerator<string> {
  return client.stream(pathOf(id), { query: { ...query } })
}

function pathOf(id: string): string {
  return `/${isRemoteId(id) ? 'remote-runs' : 'runs'}/${encodeURIComponent(id)}/logs`
}

/** @throws InvalidArgumentError */
function parseByte(text: string): number {
  const byte = Number(text)
  if (/^\d+$/.test(text) && Number.isSafeInteger(byte)) return byte
  throw new InvalidArgumentError('the number of a byte, counted from 0, is expected')
}
