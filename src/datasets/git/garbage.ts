/**
 * Keeping a repository in one pack. What branches and kept commits reach goes into a new main pack; what was found
 * unreached goes into a pack that is marked with the time of finding, and is dropped once that is long enough ago. So
 * nothing is dropped that a branch has left only just now, however old the object is. New packs are durable before an
 * old file goes: whenever this ends, every object is in some pack (dataset-upkeep.md Q6, Q7).
 */
import { createHash } from 'node:crypto'
import { readFile, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { exists, replaceFile, syncDirectory } from './git-directory.ts'
import { IdTable } from './id-table.ts'
import type { GarbageOptions, GarbageResult } from './repository.ts'
import type { RepositoryGate } from './repository-gate.ts'
import { type LooseFile, looseFiles, measureRepository, namesIn } from './repository-size.ts'
import { UNREACHED_MARK } from './stored-ids.ts'

/** Holds when the objects were found unreached, in ms since the epoch. git takes no notice of it. */
const MARK = UNREACHED_MARK
/** Beside the main pack: a digest of what it was made from, by which the next collection sees that nothing changed. */
const ROOTS = '.roots'

/** How a backend makes packs; names are those of the files without their extension. */
export interface Packer {
  branches(): Promise<ReadonlyMap<string, string>>
  /** Packs what branches and `keep` reach; `loose` means: of the loose objects alone, the packs being too big. */
  packReached(
    keep: readonly string[],
    signal?: AbortSignal,
  ): Promise<{ readonly pack: string | undefined; readonly of: 'all' | 'loose' }>
  packListed(oids: readonly string[], signal?: AbortSignal): Promise<string | undefined>
  /** Which objects these lead to, as far as no branch and nothing of `keep` does. */
  closure(oids: readonly string[], keep: readonly string[], signal?: AbortSignal): Promise<Iterable<string>>
}

interface StoredPack {
  readonly name: string
  readonly ids: IdTable
  /** For a pack of unreached objects: since when they are known to be. */
  readonly unreachedSinceMs: number | undefined
}

interface Loose extends LooseFile {
  readonly mtimeMs: number
}

/** What is on disk, seen before anything is made of it. */
interface Inventory {
  readonly startMs: number
  readonly cutoffMs: number
  readonly packs: readonly StoredPack[]
  readonly loose: readonly Loose[]
  readonly tips: ReadonlyMap<string, string>
}

/** What the new packs hold. */
interface Joined {
  readonly main: string | undefined
  readonly unreached: string | undefined
  /** Packs whose every object is in `main`, in `unreached`, or may be dropped. */
  readonly old: readonly StoredPack[]
  /** Loose objects that nothing reaches and that may be dropped. */
  readonly settled: ReadonlySet<Loose>
}

export function collectGarbage(
  packer: Packer,
  path: string,
  gate: RepositoryGate,
  options: GarbageOptions,
): Promise<GarbageResult> {
  return gate.upkeep.run(() => collect(packer, path, gate, options))
}

async function collect(
  packer: Packer,
  path: string,
  gate: RepositoryGate,
  options: GarbageOptions,
): Promise<GarbageResult> {
  options.signal?.throwIfAborted()
  const before = await measureRepository(path)
  const inventory = await takeInventory(packer, path, options)
  const roots = rootsOf(inventory.tips, options.keep)
  if (await isTidy(path, inventory, roots)) return { before, after: before }
  const joined = await joinPacks(packer, path, inventory, options)
  await syncDirectory(packDirectory(path))
  await gate.alone(() => sweep(packer, path, gate, inventory, joined))
  if (joined.main !== undefined) await writeFile(packFile(path, joined.main, ROOTS), roots)
  return { before, after: await measureRepository(path) }
}

async function takeInventory(packer: Packer, path: string, options: GarbageOptions): Promise<Inventory> {
  const startMs = Date.now()
  const cutoffMs = startMs - Math.max(0, options.pruneOlderThanMs)
  const packs = await storedPacks(path)
  const loose = await looseObjects(path)
  return { startMs, cutoffMs, packs, loose, tips: await packer.branches() }
}

/** True when the last collection has left all in one pack, and neither branches nor kept commits have changed since. */
async function isTidy(path: string, { packs, loose, cutoffMs }: Inventory, roots: string): Promise<boolean> {
  const ordinary = packs.filter((pack) => pack.unreachedSinceMs === undefined)
  const overdue = packs.some((pack) => (pack.unreachedSinceMs ?? cutoffMs) < cutoffMs)
  const [only, more] = ordinary
  if (loose.length > 0 || overdue || more !== undefined) return false
  if (only === undefined) return true
  return (await textOf(packFile(path, only.name, ROOTS))) === roots
}

async function joinPacks(
  packer: Packer,
  path: string,
  { startMs, cutoffMs, packs, loose }: Inventory,
  { pruneOlderThanMs, keep, signal }: GarbageOptions,
): Promise<Joined> {
  const made = await packer.packReached(keep, signal)
  const { pack: main } = made
  if (made.of === 'loose') return { main, unreached: undefined, old: [], settled: new Set() }
  // What was thought to be unreached may be the very same objects.
  if (main !== undefined) await rm(packFile(path, main, MARK), { force: true })
  const reached = await tables(path, main)
  const old = packs.filter((pack) => pack.name !== main)
  const [ordinary, marked] = divide(old, (pack) => pack.unreachedSinceMs === undefined)
  const [expired, waiting] = divide(marked, (pack) => (pack.unreachedSinceMs as number) < cutoffMs)
  const strayLoose = loose.filter(({ oid }) => !reached.some((table) => table.has(oid)))
  const [settled, young] = divide(strayLoose, ({ mtimeMs }) => mtimeMs < cutoffMs)

  const strays = new Set(settled.map(({ oid }) => oid))
  for (const pack of ordinary) for (const oid of pack.ids.without(...reached)) strays.add(oid)
  // Without an age nothing is owed to what nobody reaches.
  const kept = new Set(pruneOlderThanMs > 0 ? strays : [])
  // What stays must not lose what it leads to: a commit that came a minute ago may have a parent that is long forgotten.
  const stays = [
    ...kept,
    ...young.map(({ oid }) => oid),
    ...waiting.flatMap((pack) => [...pack.ids.without()]),
  ]
  if (stays.length > 0 && (expired.length > 0 || strays.size > kept.size)) {
    const lost = (oid: string) => strays.has(oid) || expired.some((pack) => pack.ids.has(oid))
    for (const oid of await packer.closure(stays, keep, signal)) if (lost(oid)) kept.add(oid)
  }
  signal?.throwIfAborted()
  const unreached = kept.size === 0 ? undefined : await packer.packListed([...kept], signal)
  if (unreached !== undefined && !(await exists(packFile(path, unreached, MARK)))) {
    await replaceFile(packFile(path, unreached, MARK), `${startMs}\n`)
  }
  return { main, unreached, old, settled: new Set(settled) }
}

/** Removes what the new packs hold, and what is due; the latter only if nothing has changed that could need it. */
async function sweep(
  packer: Packer,
  path: string,
  gate: RepositoryGate,
  { cutoffMs, loose, tips }: Inventory,
  { main, unreached, old, settled }: Joined,
): Promise<void> {
  const mayDrop = !gate.lends && sameTips(tips, await packer.branches())
  const made = await tables(path, main, unreached)
  const gone = new Set<StoredPack>()
  for (const pack of old) {
    if (pack.name === unreached) continue
    const copied = pack.ids.without(...made).next().done === true
    const since = pack.unreachedSinceMs
    const due = since === undefined || since < cutoffMs
    if (!copied && !(mayDrop && due && !(await touchedSince(path, pack.name, cutoffMs)))) continue
    gone.add(pack)
    await removePack(path, pack.name)
  }
  const stays = [...made, ...old.filter((pack) => !gone.has(pack)).map((pack) => pack.ids)]
  for (const file of loose) {
    const copied = stays.some((table) => table.has(file.oid))
    if (copied || (mayDrop && settled.has(file))) await rm(file.path, { force: true })
  }
}

function sameTips(before: ReadonlyMap<string, string>, now: ReadonlyMap<string, string>): boolean {
  return before.size === now.size && [...before].every(([branch, oid]) => now.get(branch) === oid)
}

function rootsOf(tips: ReadonlyMap<string, string>, keep: readonly string[]): string {
  const oids = [...new Set([...tips.values(), ...keep])].sort()
  return createHash('sha256').update(oids.join('\n')).digest('hex')
}

async function storedPacks(path: string): Promise<StoredPack[]> {
  const names = new Set(await namesIn(packDirectory(path)))
  const packs: StoredPack[] = []
  for (const file of names) {
    const name = file.slice(0, -'.idx'.length)
    if (!file.endsWith('.idx') || !names.has(`${name}.pack`)) continue
    const mark = Number.parseInt((await textOf(packFile(path, name, MARK))) ?? '', 10)
    packs.push({
      name,
      ids: await IdTable.read(packFile(path, name, '.idx')),
      unreachedSinceMs: Number.isNaN(mark) ? undefined : mark,
    })
  }
  return packs
}

async function looseObjects(path: string): Promise<Loose[]> {
  const found: Loose[] = []
  for (const file of await looseFiles(path)) {
    const stats = await stat(file.path)
    found.push({ ...file, mtimeMs: stats.mtimeMs })
  }
  return found
}

/** git touches a pack when somebody stores again what is in it. */
async function touchedSince(path: string, name: string, sinceMs: number): Promise<boolean> {
  return (await stat(packFile(path, name, '.pack'))).mtimeMs >= sinceMs
}

/** The index goes first: a pack without one is nothing to git. */
async function removePack(path: string, name: string): Promise<void> {
  for (const extension of ['.idx', '.pack', '.rev', '.bitmap', '.keep', MARK, ROOTS]) {
    await rm(packFile(path, name, extension), { force: true })
  }
}

async function tables(path: string, ...names: readonly (string | undefined)[]): Promise<IdTable[]> {
  const found: IdTable[] = []
  for (const name of names) {
    if (name !== undefined) found.push(await IdTable.read(packFile(path, name, '.idx')))
  }
  return found
}

function packDirectory(path: string): string {
  return join(path, 'objects', 'pack')
}

function packFile(path: string, name: string, extension: string): string {
  return join(packDirectory(path), `${name}${extension}`)
}

async function textOf(path: string): Promise<string | undefined> {
  return (await exists(path)) ? readFile(path, 'utf8') : undefined
}

function divide<T>(items: readonly T[], first: (item: T) => boolean): [T[], T[]] {
  return [items.filter(first), items.filter((item) => !first(item))]
}
