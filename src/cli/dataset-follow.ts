import type { Command } from 'commander'
import { datasetSchema, type Fetched, fetchedSchema } from '../api/dataset-views.ts'
import { EXIT, EXIT_OF, knownCode } from './exit-codes.ts'
import { FetchProgress } from './fetch-progress.ts'
import { countText, type Output, shortId } from './output.ts'
import type { Act, Session } from './session.ts'

/** What this node copies. */
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
          ? 'refused: it goes back, or leaves its own history, and was not reset'
          : `${reason} (${code})`
      return [branch, member, shortId(commit), why]
    }),
  ]
  return rows.length === 0 ? head : `${head}\n\n${out.table(['branch', 'member', 'commit', 'state'], rows)}`
}
