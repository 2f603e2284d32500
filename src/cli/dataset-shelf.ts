import type { Command } from 'commander'
import { z } from 'zod'
import { datasetDetailSchema, datasetSchema } from '../api/dataset-views.ts'
import { parseCount } from './arguments.ts'
import { policyOption } from './dataset-import.ts'
import { datasetText, sizeText } from './dataset-text.ts'
import { shortId } from './output.ts'
import type { Act } from './session.ts'

interface NewOptions {
  name?: string
  description?: string
  policy?: string
  replicas?: number
}

/** Which datasets there are: `add`, `list`, `show`. */
export function datasetShelfCommands(dataset: Command, act: Act): void {
  dataset
    .command('add')
    .description('make a new, empty dataset')
    .requiredOption('--name <name>', 'name of the dataset')
    .option('--description <text>', 'what is in it')
    .addOption(policyOption())
    .option(
      '--replicas <count>',
      'how many members beside this one are to keep a copy; all by default',
      parseCount,
    )
    .action(
      act(async (session, options: NewOptions) => {
        const client = await session.connect()
        const added = await client.post('/datasets', datasetSchema, options)
        session.out.result(added, () => {
          const fill = `"maoctl dataset import DIRECTORY --into ${added.name}" puts something into it`
          return `The dataset ${added.name} exists and is empty (${added.policy}); ${fill}.`
        })
      }),
    )

  dataset
    .command('list')
    .description('list the datasets of the federation, and those that are only here')
    .action(
      act(async (session) => {
        const client = await session.connect()
        const datasets = await client.get('/datasets', z.array(datasetSchema))
        session.out.result(datasets, () => {
          if (datasets.length === 0) {
            return 'There is no dataset yet; "maoctl dataset import DIRECTORY --name NAME" makes one.'
          }
          const rows = datasets.map((each) => [
            each.name,
            each.policy,
            shortId(each.truth),
            String(each.branches.length),
            sizeText(each.size),
            replicasText(each.replicas),
            hereText(each),
            each.description,
          ])
          const head = ['name', 'policy', 'truth', 'branches', 'size', 'copies', 'here', 'description']
          return session.out.table(head, rows)
        })
      }),
    )

  dataset
    .command('show <name>')
    .description(
      'show one dataset: policy, copies, members and their branches, what it takes here, what is odd',
    )
    .action(
      act(async (session, name: string) => {
        const client = await session.connect()
        const shown = await client.get(`/datasets/${encodeURIComponent(name)}`, datasetDetailSchema)
        session.out.result(shown, () => datasetText(session.out, shown))
      }),
    )
}

/** How many hold it beside its owner, of how many are wanted. */
function replicasText({ wanted, actual }: { wanted?: number | undefined; actual: number }): string {
  return wanted === undefined ? String(actual) : `${actual}/${wanted}`
}

function hereText({
  followed,
  replicated,
  why,
}: {
  followed: boolean
  replicated: boolean
  why: string
}): string {
  if (!followed) return `no: ${why}`
  return replicated ? `yes: ${why}` : `not yet: ${why}`
}
