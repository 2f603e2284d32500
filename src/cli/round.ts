import type { Command } from 'commander'
import { z } from 'zod'
import { type RoundView, roundSchema } from '../api/round-views.ts'
import { clientPollMs } from '../base/limits.ts'
import { delay } from '../base/wait.ts'
import { parseDuration } from './arguments.ts'
import type { ApiClient } from './client.ts'
import { EXIT } from './exit-codes.ts'
import { type Output, type Pair, shortId, timeText } from './output.ts'
import { roundIdOf, roundPath } from './round-names.ts'
import type { Act, Session } from './session.ts'

interface OpenOptions {
  step: string
  window?: number
  wait?: boolean
}

export function roundCommands(program: Command, act: Act): void {
  const round = program.command('round').description('votes on the ground truth of a dataset')

  round
    .command('open <dataset>')
    .description("ask all members for their heads of one step's output, and agree on the result")
    .requiredOption('--step <name>', 'the pipeline step whose branches are compared')
    .option('--window <time>', 'how long ballots are taken, such as 1m', parseDuration)
    .option('--wait', 'until the round has ended; exit code 8 unless it was decided')
    .action(
      act(async (session, dataset: string, { step, window, wait }: OpenOptions) => {
        const client = await session.connect()
        const opened = await client.post('/rounds', roundSchema, { dataset, step, windowMs: window })
        if (wait !== true) {
          session.out.result(opened, () => {
            const byHand =
              opened.trigger === 'hand' ? ` Cast them by hand: maoctl vote cast ${opened.id}` : ''
            return `The round ${opened.id} takes ballots until ${timeText(opened.cutoffMs)}.${byHand}`
          })
          return
        }
        const ended = await untilEnded(session, client, opened)
        session.out.result(ended, () => renderRound(session.out, ended))
        if (ended.state !== 'decided') session.exitCode = EXIT.OUTCOME
      }),
    )

  round
    .command('list')
    .description('list the rounds, newest first')
    .option('--dataset <name>', 'only those of a dataset')
    .action(
      act(async (session, { dataset }: { dataset?: string }) => {
        const client = await session.connect()
        const rounds = await client.get('/rounds', z.array(roundSchema), { dataset })
        session.out.result(rounds, () => {
          const rows = rounds.map(({ id, state, ballots, electorate, cutoffMs, commit, explanation }) => {
            const cast = `${new Set(ballots.map(({ peer }) => peer)).size}/${electorate.length}`
            return [id, state, cast, timeText(cutoffMs), shortId(commit), explanation ?? '']
          })
          return session.out.table(['id', 'state', 'ballots', 'cut-off', 'result', 'why'], rows)
        })
      }),
    )

  round
    .command('show <id>')
    .description('show one round with its ballots and votes')
    .action(
      act(async (session, id: string) => {
        const client = await session.connect()
        const shown = await client.get(roundPath(await roundIdOf(client, id)), roundSchema)
        session.out.result(shown, () => renderRound(session.out, shown))
      }),
    )
}

/** A round ends by its own deadlines, which the members share; whoever waits may stop waiting. */
async function untilEnded(session: Session, client: ApiClient, opened: RoundView): Promise<RoundView> {
  let told = ''
  for (;;) {
    const round = await client.get(roundPath(opened.id), roundSchema)
    const news = `${round.state}: ${round.ballots.length} ballots, ${round.votes.length} votes`
    if (news !== told) session.out.note(news)
    told = news
    if (round.state === 'decided' || round.state === 'undecided') return round
    await delay(clientPollMs)
  }
}

export function renderRound(out: Output, round: RoundView): string {
  const { id, state, explanation, electorate, quorum, cutoffMs, votesUntilMs, commit, openedBy } = round
  const pairs: Pair[] = [
    ['round', id],
    ['state', state],
    ...(explanation === undefined ? [] : [['why', explanation] as Pair]),
    ...(commit === undefined ? [] : [['result', commit] as Pair]),
    ['opened by', openedBy.name],
    ['cut-off', timeText(cutoffMs)],
    ['votes until', timeText(votesUntilMs)],
    ['decided by', `${quorum} of ${electorate.length}`],
  ]
  const rows = electorate.map(({ peer, name }) => {
    const ballot = round.ballots.find((each) => each.peer === peer)
    const vote = round.votes.find((each) => each.peer === peer)
    const counted = ballot === undefined ? '-' : ballot.counted ? 'yes' : (ballot.defect ?? 'no')
    return [
      name,
      shortId(ballot?.commit),
      counted,
      shortId(vote?.commit ?? undefined),
      vote?.late === true ? 'late' : '',
    ]
  })
  return `${out.pairs(pairs)}\n\n${out.table(['member', 'ballot', 'counted', 'vote', ''], rows)}`
}
