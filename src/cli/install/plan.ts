/** Which files an installation comes to, and how they differ from what is there. Pure but for `writeFiles`. */
import { mkdir, open, readFile, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { createTwoFilesPatch } from 'diff'
import { messageOf, NodeError } from '../../base/errors.ts'
import { type Answers, settingsOf } from './answers.ts'
import { composeText } from './compose-text.ts'
import { configText } from './config-text.ts'
import { giveTo, type Owner } from './owner.ts'
import { unitNameOf, unitText } from './unit-text.ts'

/** Where things are on this machine, and who installs. */
export interface Place {
  readonly usualData: string
  /** Whose the data directory is to be, where that is not who writes it. */
  readonly owner?: Owner | undefined
  /** Directory of systemd units: the user's, or the machine's. */
  readonly unitDirectory: string
  readonly program: readonly string[]
  /** Who the system service runs as, where one is wanted. */
  readonly service: { readonly user: string; readonly isRoot: boolean; readonly groups: readonly string[] }
  readonly ids: { readonly user: number; readonly group: number; readonly docker: number } | undefined
  readonly socketPath: string
  readonly source: string | undefined
}

export interface PlannedFile {
  readonly what: 'settings' | 'systemd unit' | 'compose file'
  readonly path: string
  readonly mode: number
  readonly text: string
  /** What it holds now, where it is there. */
  readonly before?: string
}

export const COMPOSE_FILE = 'compose.yaml'

/** Where the three files are. */
export function pathsOf({ data, runner }: Pick<Answers, 'data' | 'runner'>, place: Place) {
  const unit = unitNameOf(data, place.usualData)
  const isSystem = runner === 'system-service'
  return {
    config: join(data, 'config.yaml'),
    unit: join(isSystem ? '/etc/systemd/system' : place.unitDirectory, unit),
    unitName: unit,
    compose: join(data, COMPOSE_FILE),
  }
}

/** @throws NodeError INVALID_CONFIG when existing settings cannot be read; FORBIDDEN. */
export async function planFiles(answers: Answers, place: Place): Promise<PlannedFile[]> {
  const paths = pathsOf(answers, place)
  const settings = settingsOf(answers)
  const { name, data, apiPort, runner } = answers
  const { program, service, ids, socketPath, source } = place
  const [config, unit, compose] = await Promise.all(
    [paths.config, paths.unit, paths.compose].map((path) => contentOf(path)),
  )
  const system = runner === 'system-service' ? service : undefined
  const listen = settings.listen ?? []
  return [
    file('settings', paths.config, 0o600, configText(settings, config), config),
    file('systemd unit', paths.unit, 0o644, unitText({ name, data, program, system }), unit),
    file(
      'compose file',
      paths.compose,
      0o644,
      composeText({ name, data, listen, apiPort, socketPath, ids, source }),
      compose,
    ),
  ]
}

function file(
  what: PlannedFile['what'],
  path: string,
  mode: number,
  text: string,
  before: string | undefined,
): PlannedFile {
  return { what, path, mode, text, ...(before === undefined ? {} : { before }) }
}

export async function contentOf(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && ['ENOENT', 'ENOTDIR'].includes(String(cause.code)))
      return undefined
    throw new NodeError('FORBIDDEN', `${path} cannot be read: ${messageOf(cause)}`, { path }, { cause })
  }
}

/** Those that are not yet as they are to be. */
export function changedFiles(files: readonly PlannedFile[]): PlannedFile[] {
  return files.filter(({ text, before }) => text !== before)
}

/** What would be replaced, as a unified diff; empty when nothing is. */
export function differences(files: readonly PlannedFile[]): string {
  return changedFiles(files)
    .flatMap(({ path, text, before }) =>
      before === undefined
        ? []
        : [createTwoFilesPatch(path, path, before, text, 'as it is', 'as it would be')],
    )
    .join('\n')
}

/**
 * Writes files one by one, each whole or not at all.
 *
 * @param wrote hears of each path once it is written.
 * @param owner whose all but the unit is then.
 * @throws NodeError CHECK_FAILED naming what was written before it failed.
 */
export async function writeFiles(
  files: readonly PlannedFile[],
  wrote: (file: PlannedFile) => void,
  owner?: Owner,
): Promise<void> {
  const done: string[] = []
  for (const each of files) {
    try {
      await writeWhole(each, owner)
    } catch (cause) {
      const before = done.length === 0 ? 'nothing was written before' : `written before: ${done.join(', ')}`
      const message = `${each.path} cannot be written: ${messageOf(cause)}; ${before}. Mend that and run the same command again`
      throw new NodeError('CHECK_FAILED', message, { path: each.path, written: done }, { cause })
    }
    done.push(each.path)
    wrote(each)
  }
}

async function writeWhole({ path, mode, text, what }: PlannedFile, owner?: Owner): Promise<void> {
  // The data directory is nobody else's; that of units is as the system made it.
  const isUnit = what === 'systemd unit'
  const made = await mkdir(dirname(path), { recursive: true, mode: isUnit ? 0o755 : 0o700 })
  if (made !== undefined && owner !== undefined && !isUnit) await giveTo(owner, made)
  const draft = `${path}.new`
  try {
    const handle = await open(draft, 'w', mode)
    try {
      await handle.chmod(mode)
      if (owner !== undefined && !isUnit) await handle.chown(owner.uid, owner.gid)
      await handle.writeFile(text)
      await handle.sync()
    } finally {
      await handle.close()
    }
    await rename(draft, path)
  } catch (error) {
    await rm(draft, { force: true })
    throw error
  }
}
