import type { Command } from 'commander'
import { z } from 'zod'
import { commitSchema, wroteResetSchema } from '../api/dataset-views.ts'
import { isNodeError, NodeError } from '../base/errors.ts'
import { countText, shortId } from './output.ts'
import type { Act, Session } from './session.ts'

const RESET_COMMITS_LOOKED_AT = 1_000
const COMMIT_ID = /^[0-9a-f]{40}$/i

export function datasetResetCommand(dataset: Command, act: Act): void {
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
  const commits = await client.get(`${path}/log`, z.array(commitSchema), query).catch((error: unknown) => {
    // Of a branch that this node has lost there is no log, and a whole id needs none.
    if (isNodeError(error, 'NOT_FOUND') && COMMIT_ID.test(wanted)) return []
    throw error
  })
  const to = commitMeant(
    wanted,
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
export function commitMeant(typed: string, known: readonly string[], branch: string): string {
  const wanted = typed.toLowerCase()
  if (COMMIT_ID.test(wanted)) return wanted
  if (!/^[0-9a-f]{4,39}$/.test(wanted)) {
    throw new NodeError(
      'INVALID_INPUT',
      `"${typed}" is no id of a commit; those are 40 hexadecimal digits, of which the first 4 may do`,
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
