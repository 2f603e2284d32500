import type { Command } from 'commander'
import { z } from 'zod'
import { datasetSchema, localCopySchema } from '../api/dataset-views.ts'
import { isNodeError, NodeError } from '../base/errors.ts'
import type { ApiClient } from './client.ts'
import { bytesText, shortId, timeText } from './output.ts'
import type { Act, Session } from './session.ts'

/** What lies on this node's disk. */
export function datasetLocalCommands(dataset: Command, act: Act): void {
  dataset
    .command('list-local')
    .description("list the copies on this node's disk, and why they are there")
    .option('--files', 'also count the files of each, which takes a while for large ones')
    .action(act(list))

  dataset
    .command('remove-local <name>')
    .description("delete this node's copy of a dataset, and copy it no more; the dataset itself stays")
    .option(
      '--force',
      'also when neither its owner nor two other members are known to hold all of it, and with what was set aside of earlier datasets of this name',
    )
    .action(act(remove))
}

async function list(session: Session, { files }: { files?: boolean }): Promise<void> {
  const client = await session.connect()
  const copies = await client.get('/local-datasets', z.array(localCopySchema), { files })
  session.out.result(copies, () => {
    if (copies.length === 0) return 'There is no copy of a dataset on this disk.'
    const rows = copies.map((copy) => [
      copy.former ? `${copy.name} (${shortId(copy.id)})` : copy.name,
      copy.policy ?? '-',
      bytesText(copy.bytes),
      ...(files === true ? [copy.files === undefined ? '-' : String(copy.files)] : []),
      timeText(copy.sinceMs),
      copy.why,
      copy.path,
    ])
    const head = ['name', 'policy', 'size', ...(files === true ? ['files'] : []), 'since', 'why', 'path']
    return session.out.table(head, rows)
  })
}

async function remove(session: Session, name: string, { force }: { force?: boolean }): Promise<void> {
  const client = await session.connect()
  const copies = await client.get('/local-datasets', z.array(localCopySchema))
  const all = copies.filter((copy) => copy.name === name)
  const current = all.filter(({ former }) => !former)
  const own = force === true || current.length === 0 ? all : current
  if (own.length === 0) throw new NodeError('NOT_FOUND', `There is no copy of ${name} on this disk`, { name })
  const bytes = own.reduce((sum, copy) => sum + copy.bytes, 0)
  const { current: others, late } = await othersThatHold(client, name)
  const where =
    others.length === 0 ? 'No other member is known to hold all of it.' : `${namesText(others)} all of it.`
  // Of what is left over of a dataset that was removed, the node tells by whom.
  if (others.length === 0 && force !== true && current.length > 0) {
    const soon =
      late.length === 0
        ? ''
        : ` ${namesText(late)} all that there was a while ago; members tell at most once a minute, so try again soon.`
    const message = `${where}${soon} What is only here would be lost; --force removes this copy of ${name} all the same`
    throw new NodeError('CONFLICT', message, { name })
  }
  await session.confirm(`Delete this node's copy of ${name} (${bytesText(bytes)})? ${where}`)
  await client.delete(`/local-datasets/${encodeURIComponent(name)}${force === true ? '?force=true' : ''}`)
  session.out.result({ name, bytes, others }, () => {
    const way = others.length === 0 ? '' : ` "maoctl dataset follow ${name}" copies it again.`
    return `The copy of ${name} is gone, and ${bytesText(bytes)} are free.${way}`
  })
}

interface Holders {
  readonly current: readonly string[]
  /** They held all that there was when they last said so. */
  readonly late: readonly string[]
}

/** Names of the other members that say that they hold all of a dataset. */
async function othersThatHold(client: ApiClient, name: string): Promise<Holders> {
  const { node } = await client.get('/federation', z.object({ node: z.object({ name: z.string() }) }))
  try {
    const { replicas } = await client.get(`/datasets/${encodeURIComponent(name)}`, datasetSchema)
    const others = replicas.members.filter(({ member, complete }) => complete && member !== node.name)
    const named = (isCurrent: boolean) =>
      others.filter(({ current }) => current === isCurrent).map(({ member }) => member)
    return { current: named(true), late: named(false) }
  } catch (error) {
    // A copy may outlive its dataset.
    if (isNodeError(error, 'DATASET_NOT_FOUND')) return { current: [], late: [] }
    throw error
  }
}

function namesText(members: readonly string[]): string {
  return `${members.join(', ')} ${members.length === 1 ? 'holds' : 'hold'}`
}
