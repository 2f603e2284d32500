import { readdir } from 'node:fs/promises'
import { join, relative, sep } from 'node:path'
import type { Command } from 'commander'
import { committedSchema } from '../api/dataset-views.ts'
import { reportSchema } from '../api/report-views.ts'
import { type RoundHere, roundHereSchema } from '../api/round-views.ts'
import { castSchema } from '../api/vote-routes.ts'
import { NodeError } from '../base/errors.ts'
import { handStep } from '../datasets/branches.ts'
import { archiveOf } from './archive.ts'
import { gather } from './arguments.ts'
import type { ApiClient } from './client.ts'
import { reasonOf } from './files.ts'
import { roundIdOf, roundPath, roundsOf } from './round-names.ts'
import type { Act, Session } from './session.ts'
import { MEDIA_TYPE } from './source-kind.ts'
import { type EntryChoice, entryChoice, type FileChoice, fileChoice } from './vote-choices.ts'
import { castBallotText, reportText, votesText } from './vote-text.ts'
import { watchRound } from './vote-watch.ts'

interface CastOptions {
  candidate?: string
  file?: FileChoice[]
  entry?: EntryChoice[]
  absent?: string[]
  from?: string
  dryRun?: true
}

const ROUND_HELP = `
ROUND is the id of a round, DATASET/STEP for its newest one, or DATASET where all its rounds are of one step.`

const CAST_HELP = `${ROUND_HELP}
A ballot is a member's result, whole or but for what is chosen otherwise; it is cast once, and stays.

  maoctl vote cast packages/collect --candidate bob                                   as bob has it
  maoctl vote cast packages/collect --file readme.md=carol --entry 'table.csv:42=carol'   as this node has it, but for these
  maoctl vote cast packages/collect --from ./mended                                   your own files`

/** `maoctl vote …`: what people do with votes. */
export function voteCommands(program: Command, act: Act): void {
  const vote = program
    .command('vote')
    .description('rounds in which this node votes, and ballots that people cast')

  vote
    .command('list')
    .description('list the rounds in which this node may vote: how far each is, and what it waits for')
    .option('--dataset <name>', 'only those of a dataset')
    .option('--open', 'only those that are under way')
    .action(
      act(async (session, { dataset, open }: { dataset?: string; open?: true }) => {
        const client = await session.connect()
        const rounds = (await roundsOf(client, dataset)).filter(({ mine, state }) => {
          return mine.votes && (open !== true || state === 'open' || state === 'closed')
        })
        session.out.result(rounds, () => votesText(session.out, rounds, Date.now()))
      }),
    )

  vote
    .command('show <round>')
    .description('show which ballots are alike, how far they agree, and where they differ')
    .addHelpText('after', ROUND_HELP)
    .action(
      act(async (session, named: string) => {
        const client = await session.connect()
        const report = await client.get(`${roundPath(await roundIdOf(client, named))}/report`, reportSchema)
        session.out.result(
          report,
          () => reportText(session.out, report, Date.now()),
          () => report.round.id,
        )
      }),
    )

  vote
    .command('cast <round>')
    .description("cast this node's ballot where the dataset's rule lets people choose; once in a round")
    .option('--candidate <member>', "whose result it is; this node's own by default")
    .option('--file <path=member>', 'a file as another member has it; may be repeated', fileChoice)
    .option(
      '--entry <path:key=member>',
      'an entry of a CSV or JSON file likewise; may be repeated',
      entryChoice,
    )
    .option('--absent <path>', 'a file that is left out; may be repeated', gather)
    .option('--from <directory>', 'your own files instead')
    .option('--dry-run', 'show what would be cast, and cast nothing')
    .addHelpText('after', CAST_HELP)
    .action(act(cast))

  vote
    .command('watch [round]')
    .description(
      'follow a round until it has ended; exit code 8 unless it was decided. Without a name: the one under way, or the next',
    )
    .addHelpText('after', ROUND_HELP)
    .action(act((session, named: string | undefined) => watchRound(session, named)))
}

async function cast(session: Session, named: string, options: CastOptions): Promise<void> {
  const { candidate, file = [], entry = [], absent = [], from, dryRun = false } = options
  const client = await session.connect()
  const id = await roundIdOf(client, named)
  const path = `${roundPath(id)}/ballot`
  const choices = { candidate, files: file, entries: entry, absent, dryRun }
  if (from === undefined) {
    const ballot = await client.post(path, castSchema, choices)
    session.out.result(
      ballot,
      () => castBallotText(session.out, ballot),
      () => ballot.ballot?.commit,
    )
    return
  }
  if (candidate !== undefined || file.length + entry.length + absent.length > 0) {
    const message =
      '--from is the whole ballot; leave out --candidate, --file, --entry and --absent, or --from'
    throw new NodeError('INVALID_INPUT', message)
  }
  const round = await client.get(roundPath(id), roundHereSchema)
  // Where nothing can be cast the node says why, before any file is sent.
  if (!takesBallot(round)) await client.post(path, castSchema, { ...choices, dryRun: true })
  if (dryRun) return tellFiles(session, id, from)
  const commit = await sendFiles(client, round, from)
  const ballot = await client.post(path, castSchema, { commit })
  session.out.result(
    ballot,
    () => castBallotText(session.out, ballot),
    () => ballot.ballot?.commit,
  )
}

function takesBallot({ trigger, state, mine, cutoffMs }: RoundHere): boolean {
  return trigger === 'hand' && state === 'open' && mine.votes && !mine.cast && Date.now() < cutoffMs
}

/** Puts a person's own files on this node's branch of ballots by hand. @returns the commit. */
async function sendFiles(
  client: ApiClient,
  { id, dataset, step }: RoundHere,
  directory: string,
): Promise<string> {
  await filesIn(directory)
  const message = `Ballot by hand, step ${step}\n\nVote-Round: ${id}\nChoice: . own files\n`
  const { bytes } = await archiveOf(directory)
  const { commit } = await client.send(`/datasets/${encodeURIComponent(dataset)}/commits`, committedSchema, {
    ...{ body: bytes, type: MEDIA_TYPE.tar },
    query: { step: handStep(step), message },
  })
  return commit
}

async function tellFiles(session: Session, round: string, directory: string): Promise<void> {
  const files = await filesIn(directory)
  session.out.result({ round, dryRun: true, files: files.length, paths: files }, () => {
    return `This would be the ballot in ${round}; nothing was cast.\n${files.join('\n')}`
  })
}

/** @throws NodeError INVALID_INPUT unless there are files in it. */
async function filesIn(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true }).catch(
    (cause: unknown) => {
      throw new NodeError(
        'INVALID_INPUT',
        `${directory} cannot be read: ${reasonOf(cause)}; name a directory`,
        {},
        { cause },
      )
    },
  )
  const files = entries
    .filter((entry) => !entry.isDirectory())
    .map((entry) => relative(directory, join(entry.parentPath, entry.name)))
    .filter((path) => !path.split(sep).includes('.git'))
  if (files.length === 0) throw new NodeError('INVALID_INPUT', `There is no file in ${directory} to cast`)
  return files.sort()
}
