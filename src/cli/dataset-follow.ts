import type { Command } from 'commander'
import { z } from 'zod'
import {
  commitSchema,
  datasetSchema,
  type Fetched,
  fetchedSchema,
  wroteResetSchema,
} from '../api/dataset-views.ts'
import { NodeError } from '../base/errors.ts'
import { EXIT, EXIT_OF, knownCode } from './exit-codes.ts'
import { FetchProgress } from './fetch-progress.ts'
import { countText, type Output, shortId } from './output.ts'
import type { Act, Session } from './session.ts'

const RESET_COMMITS_LOOKED_AT = 1_000

/** What this node copies, and what it tells the others to go back to. */
export function datasetFollowCommands(dataset: Command, act: Act): void {
  dataset
    .command('follow <name>')
    .description('copy a dataset to this node from now on, whatever the setting datasets.follow says')
    .action(
      act(async (session, name: string) => {
        const client = await session.connect()
        const followed = await client.post(`/datasets/${encodeURIComponent(name)}/follow`, datasetSchema)
        session.out.result(followed, () => {
          const state = followed.replicated
            ? 'all of it is here already'
            : `"maoctl dataset fetch ${name}" waits for it`
          return `${name} is copied here from now on; ${state}.`
        })
      }),
    )

  dataset
    .command('unfollow <name>')
    .description('copy a dataset no more; what is here stays until "dataset remove-local"')
    .action(
      act(async (session, name: string) => {
        const client = await session.connect()
        const left = await client.post(`/datasets/${encodeURIComponent(name)}/unfollow`, datasetSchema)
        session.out.result(
          left,
          () => `${name} is no longer copied here. "maoctl dataset remove-local ${name}" frees its space.`,
        )
      }),
    )

  dataset
    .command('fetch <name>')
    .description(
      'bring everything that members have announced here, now, whether or not the dataset is followed',
    )
    .action(act(fetchNow))

  dataset
    .command('reset <name>')
    .description('rewrite one of your own branches; every member is told, with the reason, and follows')
    .requiredOption('--step <step>', 'the branch is <step>-<node>')
    .requiredOption(
      '--to <commit>',
      'its id, or the beginning of the id of one of the last commits of the branch',
    )
    .requiredOption('--reason <text>', 'why; it is shown to all members')
    .action(act(reset))
}

async function fetchNow(session: Session, name: string): Promise<void> {
  const client = await session.connect()
  const progress = new FetchProgress(session, client, name)
  let fetched: Fetched
  try {
    fetched = await client.work(`/datasets/${encodeURIComponent(name)}/fetch`, fetchedSchema)
  } finally {
    await progress.end()
  }
  session.out.result(fetched, () => fetchedText(session.out, name, fetched))
  if (fetched.missing.length === 0) return
  const code = fetched.missing.map((each) => knownCode(each.code ?? '')).find((known) => known !== undefined)
  session.exitCode = code === undefined ? EXIT.UNAVAILABLE : EXIT_OF[code]
}

function fetchedText(out: Output, name: string, { dataset, came, missing }: Fetched): string {
  if (dataset.branches.length === 0) return `No member has announced anything of ${name} yet.`
  const head =
    missing.length > 0
      ? `${countText(came.length, 'branch', 'branches')} of ${name} came, ${missing.length} did not:`
      : came.length === 0
        ? `Nothing was missing: all that was announced of ${name} is here.`
        : `All that was announced of ${name} is here now:`
  const rows = [
    ...came.map(({ branch, member, commit }) => [branch, member, shortId(commit), 'here now']),
    ...missing.map(({ branch, member, commit, code, reason }) => {
      const why =
        reason === undefined
          ? 'its member is not to be followed there; "maoctl dataset show" tells more'
          : `${reason} (${code})`
      return [branch, member, shortId(commit), why]
    }),
  ]
  return rows.length === 0 ? head : `${head}\n\n${out.table(['branch', 'member', 'commit', 'state'], rows)}`
}

interface ResetOptions {
  step: string
  to: string
  reason: string
}

async function reset(
  session: Session,
  name: string,
  { step, to: wanted, reason }: ResetOptions,
): Promise<void> {
  const client = await session.connect()
  const path = `/datasets/${encodeURIComponent(name)}`
  const { node } = await client.get('/federation', z.object({ node: z.object({ name: z.string() }) }))
  const branch = `${step}-${node.name}`
  const query = { branch, limit: RESET_COMMITS_LOOKED_AT }
  const commits = await client.get(`${path}/log`, z.array(commitSchema), query)
  const to = commitMeant(
    wanted.toLowerCase(),
    commits.map(({ oid }) => oid),
    branch,
  )
  const lost = commits.findIndex(({ oid }) => oid === to)
  const what =
    lost < 0
      ? `moves ${branch} of ${name} to ${shortId(to)}`
      : `takes the last ${countText(lost, 'commit')} off ${branch} of ${name}`
  await session.confirm(`This ${what}, for all members. Go on?`)
  const done = await client.post(`${path}/reset`, wroteResetSchema, { step, to, reason })
  session.out.result(done, () => {
    if (done.from === done.to) return `${branch} is at ${shortId(to)} already.`
    return `${branch} was at ${shortId(done.from)} and is at ${shortId(done.to)} now; the members are told: ${done.reason}`
  })
}

/** A commit by its id, or by how its id begins. Pure. @throws NodeError INVALID_INPUT, COMMIT_NOT_FOUND. */
export function commitMeant(wanted: string, known: readonly string[], branch: string): string {
  if (/^[0-9a-f]{40}$/.test(wanted)) return wanted
  if (!/^[0-9a-f]{4,39}$/.test(wanted)) {
    throw new NodeError(
      'INVALID_INPUT',
      `"${wanted}" is no id of a commit; those are 40 hexadecimal digits, of which the first 4 may do`,
    )
  }
  const meant = [...new Set(known.filter((oid) => oid.startsWith(wanted)))]
  if (meant.length === 1) return meant[0] as string
  const message =
    meant.length === 0
      ? `None of the last commits of ${branch} begins with ${wanted}; "maoctl dataset log NAME --branch ${branch}" lists them`
      : `${countText(meant.length, 'commit')} of ${branch} begin with ${wanted}; give more digits`
  throw new NodeError('COMMIT_NOT_FOUND', message, { wanted, branch })
}
