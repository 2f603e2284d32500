import { resolve } from 'node:path'
import type { Command } from 'commander'
import { datasetSchema } from '../api/dataset-views.ts'
import { archiveOf } from './archive.ts'
import { shortId } from './output.ts'
import type { Act, Session } from './session.ts'

interface NewOptions {
  name: string
  description?: string
}

export function datasetImportCommand(dataset: Command, act: Act): void {
  dataset
    .command('import <directory>')
    .description('make a dataset of the files in a directory')
    .requiredOption('--name <name>', 'name of the dataset')
    .option('--description <text>', 'what is in it')
    .action(act(importDirectory))
}

async function importDirectory(session: Session, directory: string, { name, description }: NewOptions) {
  const client = await session.connect()
  const { bytes, told } = await archiveOf(resolve(directory))
  const query = { name, description }
  const imported = await client.send('/datasets/import', datasetSchema, {
    body: bytes,
    type: 'application/x-tar',
    query,
  })
  if (told.leftOut.length > 0) session.out.note(`Left out: ${told.leftOut.join(', ')}`)
  session.out.result(imported, () => {
    return `The dataset ${imported.name} holds ${told.files} ${told.files === 1 ? 'file' : 'files'}, at commit ${shortId(imported.truth)}.`
  })
}
