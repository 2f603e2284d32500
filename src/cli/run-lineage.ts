import { mkdir, stat, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { type Command, Option } from 'commander'
import { type ComparisonView, comparisonSchema, crateSchema, provSchema } from '../api/lineage-views.ts'
import { runSchema } from '../api/run-views.ts'
import { NodeError } from '../base/errors.ts'
import { RUN_CRATE_FILE } from '../provenance/run-crate.ts'
import { WORKFLOW_FILE } from '../provenance/workflow-crate.ts'
import type { ApiClient } from './client.ts'
import { EXIT } from './exit-codes.ts'
import { reasonOf } from './files.ts'
import { jsonText, type Output, shortId } from './output.ts'
import { demandOwn } from './remote-run.ts'
import { untilEnded } from './run-wait.ts'
import type { Act, Session } from './session.ts'

const PROV_FILE = 'prov.json'

interface ExportChoice {
  format: 'process' | 'workflow' | 'prov'
  output?: string
  license?: string
}

/** What a run was made of, and whether it can be made again. */
export function runLineageCommands(run: Command, act: Act): void {
  run
    .command('export <id>')
    .description('tell a run as a research object: RO-Crate (JSON-LD) or PROV-JSON')
    .addOption(
      new Option(
        '--format <format>',
        'process: Process Run Crate; workflow: Workflow Run Crate; prov: PROV-JSON',
      )
        .choices(['process', 'workflow', 'prov'])
        .default('process'),
    )
    .option('--license <url>', 'the licence of the crate, such as https://spdx.org/licenses/CC-BY-4.0')
    .option('-o, --output <path>', `a file or a directory; a workflow's crate is a directory`)
    .action(
      act(async (session, id: string, choice: ExportChoice) => {
        demandOwn(id)
        const client = await session.connect()
        const { document, file, beside } = await exported(client, id, choice)
        const text = jsonText(document, 2)
        if (choice.output === undefined) return session.out.result(document, () => text)
        const written = await save(session, choice.output, { file, text: `${text}\n`, beside })
        session.out.result({ id, file: written }, () => `The run ${id} is described in ${written}.`)
      }),
    )

  run
    .command('rerun <id>')
    .description('do a run again with the same images, inputs and parameters, and compare what comes out')
    .option('--no-wait', 'only queue it; "maoctl run compare" compares later')
    .action(
      act(async (session, id: string, { wait }: { wait: boolean }) => {
        demandOwn(id)
        const client = await session.connect()
        const path = `/runs/${encodeURIComponent(id)}/rerun`
        const rerun = await client.post(path, runSchema)
        if (!wait) {
          session.out.result(
            rerun,
            () => `The run ${rerun.id} does ${id} again; "maoctl run compare ${rerun.id}"`,
          )
          return
        }
        session.out.note(`The run ${rerun.id} does ${id} again, beside all branches.`)
        await untilEnded(session, client, rerun.id)
        await tellComparison(session, client, rerun.id)
      }),
    )

  run
    .command('compare <id>')
    .description('whether a rerun came out as the run that it did again; exit code 8 if not')
    .action(act(async (session, id: string) => tellComparison(session, await session.connect(), id)))
}

async function tellComparison(session: Session, client: ApiClient, id: string): Promise<void> {
  demandOwn(id)
  const compared = await client.get(`/runs/${encodeURIComponent(id)}/comparison`, comparisonSchema)
  session.out.result(compared, () => comparisonText(session.out, compared))
  if (!compared.same) session.exitCode = EXIT.OUTCOME
}

function comparisonText(out: Output, { run, of, state, reason, same, steps }: ComparisonView): string {
  const rows = steps.map(({ step, dataset, before, after, same: alike, changesTotal }) => {
    const verdict = after === undefined ? 'not made' : alike ? 'the same' : `${changesTotal} differ`
    return [step, dataset, shortId(before.tree), shortId(after?.tree), verdict]
  })
  const changes = steps.flatMap(({ step, changes: files, changesTotal }) => {
    const more = changesTotal > files.length ? [`  and ${changesTotal - files.length} more`] : []
    return [...files.map(({ path, change }) => `  ${step}: ${change} ${path}`), ...more]
  })
  const ended = state === 'succeeded' ? '' : ` It is ${state}: ${reason ?? 'no reason is known'}.`
  const verdict = same
    ? `Run ${run} came out as ${of} did, byte for byte.`
    : `Run ${run} did not come out as ${of} did.${ended}`
  const table = out.table(['step', 'dataset', 'tree before', 'tree now', 'files'], rows)
  return [table, ...changes, verdict].join('\n')
}

interface Exported {
  readonly document: unknown
  /** Its name in a directory. */
  readonly file: string
  /** Files that belong to it, name to text. */
  readonly beside: Readonly<Record<string, string>>
}

async function exported(client: ApiClient, id: string, { format, license }: ExportChoice): Promise<Exported> {
  const path = `/runs/${encodeURIComponent(id)}`
  if (format === 'prov') {
    return { document: await client.get(`${path}/prov`, provSchema), file: PROV_FILE, beside: {} }
  }
  const document = await client.get(`${path}/crate`, crateSchema, { profile: format, license })
  if (format === 'process') return { document, file: RUN_CRATE_FILE, beside: {} }
  let pipeline = ''
  for await (const part of client.stream(`${path}/pipeline`)) pipeline += part
  return { document, file: RUN_CRATE_FILE, beside: { [WORKFLOW_FILE]: pipeline } }
}

/** Writes it, replacing nothing without asking. @returns where the document stands. */
async function save(
  session: Session,
  output: string,
  { file, text, beside }: { file: string; text: string } & Pick<Exported, 'beside'>,
): Promise<string> {
  const named = resolve(output)
  const others = Object.entries(beside)
  const kind = await kindOf(named)
  const inDirectory = kind === 'directory' || (kind === undefined && others.length > 0)
  if (others.length > 0 && !inDirectory) {
    throw new NodeError('INVALID_INPUT', `${named} is a file, and this crate needs a directory`, { output })
  }
  const target = inDirectory ? join(named, file) : named
  const files: [string, string][] = [
    [target, text],
    ...others.map(([name, content]): [string, string] => [join(named, name), content]),
  ]
  for (const [path] of files) {
    if ((await kindOf(path)) !== undefined) await session.confirm(`Replace ${path}?`)
  }
  try {
    if (inDirectory) await mkdir(named, { recursive: true })
    for (const [path, content] of files) await writeFile(path, content)
  } catch (cause) {
    throw new NodeError(
      'INVALID_INPUT',
      `${named} cannot be written: ${reasonOf(cause)}`,
      { output },
      { cause },
    )
  }
  return target
}

async function kindOf(path: string): Promise<'directory' | 'file' | undefined> {
  try {
    return (await stat(path)).isDirectory() ? 'directory' : 'file'
  } catch {
    // What cannot be looked at is told by the writing.
    return undefined
  }
}
