import type { Command } from 'commander'
import { z } from 'zod'
import { type DatasetView, datasetSchema } from '../api/dataset-views.ts'
import { type Output, type Pair, shortId } from './output.ts'
import type { Act } from './session.ts'

interface NewOptions {
  name: string
  description?: string
}

/** Which datasets there are: `add`, `list`, `show`. */
export function datasetShelfCommands(dataset: Command, act: Act): void {
  dataset
    .command('add')
    .description('make a new, empty dataset that the federation shares')
    .requiredOption('--name <name>', 'name of the dataset')
    .option('--description <text>', 'what is in it')
    .action(
      act(async (session, { name, description }: NewOptions) => {
        const client = await session.connect()
        const added = await client.post('/datasets', datasetSchema, { name, description })
        session.out.result(added, () => `The dataset ${added.name} exists and is empty.`)
      }),
    )

  dataset
    .command('list')
    .description('list the datasets of the federation')
    .action(
      act(async (session) => {
        const client = await session.connect()
        const datasets = await client.get('/datasets', z.array(datasetSchema))
        session.out.result(datasets, () => {
          const rows = datasets.map(({ name, truth, branches, replicated, description }) => {
            return [
              name,
              shortId(truth),
              String(branches.length),
              replicated ? 'yes' : 'not yet',
              description,
            ]
          })
          return session.out.table(['name', 'truth', 'branches', 'replicated', 'description'], rows)
        })
      }),
    )

  dataset
    .command('show <name>')
    .description("show one dataset with its members' branches")
    .action(
      act(async (session, name: string) => {
        const client = await session.connect()
        const shown = await client.get(`/datasets/${encodeURIComponent(name)}`, datasetSchema)
        session.out.result(shown, () => render(session.out, shown))
      }),
    )
}

function render(out: Output, dataset: DatasetView): string {
  const { name, description, policy, createdBy, truth, replicated, branches } = dataset
  const pairs: Pair[] = [
    ['name', name],
    ...(description === '' ? [] : [['about', description] as Pair]),
    ['policy', policy],
    ['created by', createdBy],
    ['truth', truth ?? 'none yet'],
    ['replicated', replicated ? 'all announced heads are here' : 'not all announced heads are here yet'],
  ]
  if (branches.length === 0) return out.pairs(pairs)
  const rows = branches.map(({ branch, commit, member, present }) => {
    return [branch, shortId(commit), member, present ? 'yes' : 'not yet']
  })
  return `${out.pairs(pairs)}\n\n${out.table(['branch', 'commit', 'member', 'here'], rows)}`
}
