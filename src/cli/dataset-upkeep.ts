import type { Command } from 'commander'
import { z } from 'zod'
import {
  collectedSchema,
  type DatasetVerification,
  localCopySchema,
  verificationSchema,
} from '../api/dataset-views.ts'
import { messageOf, NodeError } from '../base/errors.ts'
import type { ApiClient } from './client.ts'
import { EXIT, EXIT_OF } from './exit-codes.ts'
import { bytesText, countText, type Output, shortId, spanText } from './output.ts'
import type { Act, Session } from './session.ts'

/** Whether this node's copies are whole, and how much room they take. */
export function datasetUpkeepCommands(dataset: Command, act: Act): void {
  dataset
    .command('verify <name>')
    .description("read every object of this node's copy, and compare it with what was announced and agreed")
    .addHelpText(
      'after',
      '\nEnds with 9 when something is damaged. What is merely not here yet is told, and is no damage.',
    )
    .action(act(verify))

  dataset
    .command('gc [name]')
    .description("pack this node's copy of a dataset, or of all, and drop what nothing has led to for long")
    .action(act(collect))
}

async function verify(session: Session, name: string): Promise<void> {
  const client = await session.connect()
  const path = `/datasets/${encodeURIComponent(name)}/verify`
  const found = await client.work(path, verificationSchema)
  session.out.result(found, () => verificationText(session.out, found))
  if (!found.sound) session.exitCode = EXIT.UNTRUSTED
}

function verificationText(out: Output, { dataset, objects, sound, problems }: DatasetVerification): string {
  const read = `${countText(objects, 'object')} read`
  const behind = problems.filter(({ code }) => code === 'BEHIND')
  const damages = problems.filter(({ code }) => code !== 'BEHIND')
  const verdict = sound
    ? `${dataset} is sound (${read})${behind.length === 0 ? ', and all that was announced is here' : ''}.`
    : `${dataset} is damaged: ${countText(damages.length, 'problem')} (${read}). "maoctl dataset remove-local ${dataset}", then "maoctl dataset follow ${dataset}" and "maoctl dataset fetch ${dataset}" bring a whole copy, as long as a member has one.`
  const rows = problems.map(({ code, oid, message }) => [code, shortId(oid), message])
  return rows.length === 0 ? verdict : `${verdict}\n\n${out.table(['problem', 'object', 'what it is'], rows)}`
}

async function collect(session: Session, name: string | undefined): Promise<void> {
  const client = await session.connect()
  const names = name === undefined ? await namesHere(client) : [name]
  const results: Record<string, unknown>[] = []
  for (const dataset of names) {
    try {
      const collected = await client.work(`/datasets/${encodeURIComponent(dataset)}/gc`, collectedSchema)
      results.push({ dataset, ...collected })
      const { bytesBefore, bytesAfter, durationMs } = collected
      const spent = durationMs === undefined ? '' : ` in ${spanText(Math.round(durationMs))}`
      const sizes =
        bytesBefore === undefined || bytesAfter === undefined
          ? 'packed'
          : `${bytesText(bytesBefore)} → ${bytesText(bytesAfter)}`
      if (!session.out.json) session.out.item({}, () => `${dataset}: ${sizes}${spent}`)
    } catch (error) {
      // Of many, one that cannot must not keep the others from it.
      if (name !== undefined || !(error instanceof NodeError)) throw error
      results.push({ dataset, code: error.code, reason: messageOf(error) })
      session.out.note(`${dataset}: ${messageOf(error)} (${error.code})`)
      session.exitCode = EXIT_OF[error.code]
    }
  }
  session.out.result(name === undefined ? results : results[0], () =>
    names.length === 0 ? 'There is no copy of a dataset on this disk.' : '',
  )
}

/** The datasets that this node has a copy of. */
async function namesHere(client: ApiClient): Promise<string[]> {
  const copies = await client.get('/local-datasets', z.array(localCopySchema))
  return copies.filter(({ former }) => !former).map(({ name }) => name)
}
