import type { Command } from 'commander'
import { z } from 'zod'
import { datasetSchema, localCopySchema } from '../api/dataset-views.ts'
import { NodeError } from '../base/errors.ts'
import type { Act } from './session.ts'

/** `maoctl repo`: bare repositories that never leave this node, under the word that users of MAO know. */
export function repoCommands(program: Command, act: Act): void {
  program
    .command('repo')
    .description('bare git repositories on this node')
    .command('add <name>')
    .description(
      'make a dataset that never leaves this node (local-only), and tell where its repository lies',
    )
    .option('--description <text>', 'what is in it')
    .action(
      act(async (session, name: string, { description }: { description?: string }) => {
        const client = await session.connect()
        const added = await client.post('/datasets', datasetSchema, {
          name,
          description,
          policy: 'local-only',
        })
        const copies = await client.get('/local-datasets', z.array(localCopySchema))
        const path = copies.find((copy) => copy.name === name && !copy.former)?.path
        if (path === undefined)
          throw new NodeError('NOT_FOUND', `The repository of ${name} is not on the disk`, { name })
        session.out.result({ name, path, policy: added.policy }, () => path)
        session.out.note(
          `${name} stays on this node. Write to it through the node: maoctl dataset clone ${name}, maoctl dataset import DIRECTORY --into ${name}.`,
        )
      }),
    )
}
