/** Puts one file together entry by entry, as a person chose (protocols/hand-ballots.md H6). Without I/O. */
import { setImmediate } from 'node:timers/promises'
import { NodeError } from '../../base/errors.ts'
import type { Ending } from '../methods/entry.ts'
import { entryReader } from '../methods/entry-files.ts'
import { EntryOutput, NEW } from '../methods/entry-output.ts'
import type { EntryMethod } from '../methods/file-merge.ts'
import { shown } from '../methods/first-names.ts'
import { inspectFile } from '../methods/inspect-file.ts'
import type { Chosen } from './choices.ts'

/** One member's version of the file. */
export interface Version {
  /** Name of the member. */
  readonly member: string
  readonly bytes: Uint8Array
}

export interface EntryComposition {
  readonly path: string
  readonly base: Version
  /** Each with the names of the entries that are to be as they are there, or not to be where they are not. */
  readonly from: readonly (Version & { readonly keys: readonly string[] })[]
}

export interface ComposedFile {
  readonly bytes: Uint8Array
  readonly chosen: readonly Chosen[]
}

interface Entry {
  readonly written: Uint8Array
  readonly ending: Ending
  readonly key: Uint8Array
}

/** The node does other things, too: after so many entries they have their turn. */
const TURN_ENTRIES = 20_000
const text = new TextDecoder('utf-8', { ignoreBOM: true })

/**
 * Entries stand in the order of the base, new ones behind them; what stands around them is the base's.
 *
 * @throws NodeError INVALID_INPUT where a version cannot be read as the method reads it, an entry is nowhere, or the
 * columns are others.
 */
export async function composeEntries(
  method: EntryMethod,
  { path, base, from }: EntryComposition,
): Promise<ComposedFile> {
  const wanted = new Map<string, { readonly member: string; readonly found: Entry | undefined }>()
  const names = new Map<string, string>()
  const shape = (await read(method, path, base, undefined)).shape
  for (const version of from) {
    const there = await read(method, path, version, new Set(version.keys))
    if (there.shape !== shape) {
      throw wrong(
        `${path} of ${version.member} has other columns, or is another kind of file, than that of ${base.member}; choose it as a whole: --file ${path}=${version.member}`,
      )
    }
    const here = await read(method, path, base, new Set(version.keys))
    for (const key of version.keys) {
      const name = there.nameOf(key) ?? here.nameOf(key)
      if (name === undefined) {
        const members = version.member === base.member ? base.member : `${base.member} nor ${version.member}`
        throw wrong(
          `Neither ${members} has an entry "${key}" in ${path}; "maoctl vote show" names the entries that differ`,
        )
      }
      const before = wanted.get(name)
      if (before !== undefined) {
        throw wrong(
          `${path}:${key} was chosen twice, from ${before.member} and from ${version.member}; choose once`,
        )
      }
      wanted.set(name, { member: version.member, found: there.entries.get(name) })
      names.set(name, key)
    }
  }
  return compose(method, path, base, wanted, names)
}

async function compose(
  method: EntryMethod,
  path: string,
  base: Version,
  wanted: ReadonlyMap<string, { readonly member: string; readonly found: Entry | undefined }>,
  names: ReadonlyMap<string, string>,
): Promise<ComposedFile> {
  const output = new EntryOutput()
  const left = new Map(wanted)
  const chosen: Chosen[] = []
  const tell = (name: string, member: string, change: Chosen['change']) =>
    chosen.push({ path, entry: names.get(name) ?? name, member, change })
  const reader = entryReader(method, path, base.bytes)
  let ordinal = 0
  for (let entry = reader.next(); entry !== undefined; entry = reader.next(), ordinal += 1) {
    const key = entry.key.subarray(entry.keyStart, entry.keyEnd)
    const written = entry.bytes.subarray(entry.start, entry.end)
    const name = text.decode(key)
    const choice = left.get(name)
    if (choice === undefined) output.put(ordinal, key, written, entry.ending)
    else {
      left.delete(name)
      const { found, member } = choice
      if (found !== undefined) output.put(ordinal, key, found.written, found.ending)
      const same = found !== undefined && Buffer.compare(found.written, written) === 0
      tell(name, member, found === undefined ? 'removed' : same ? 'same' : 'replaced')
    }
    if (ordinal % TURN_ENTRIES === TURN_ENTRIES - 1) await setImmediate()
  }
  for (const [name, { found, member }] of left) {
    // A name that neither has was refused above.
    if (found === undefined) continue
    output.put(NEW, found.key, found.written, found.ending)
    tell(name, member, 'added')
  }
  return { bytes: output.file(reader.frame()), chosen }
}

interface Found {
  readonly shape: string
  readonly entries: ReadonlyMap<string, Entry>
  /** The whole name of an entry that is called so, which may be the short one of a report; undefined where there is none. */
  nameOf(called: string): string | undefined
}

/** Reads a version to its end and keeps the entries that are called by one of these names. */
async function read(
  method: EntryMethod,
  path: string,
  { member, bytes }: Version,
  called: ReadonlySet<string> | undefined,
): Promise<Found> {
  const fault = await inspectFile(method, path, bytes)
  if (fault !== undefined) throw wrong(`${path} of ${member} cannot be read entry by entry: ${fault}`)
  const reader = entryReader(method, path, bytes)
  const entries = new Map<string, Entry>()
  const short = new Map<string, string[]>()
  let count = 0
  for (let entry = reader.next(); entry !== undefined; entry = reader.next()) {
    count += 1
    if (count % TURN_ENTRIES === 0) await setImmediate()
    if (called === undefined) continue
    const key = entry.key.subarray(entry.keyStart, entry.keyEnd)
    const name = text.decode(key)
    const shorter = called.has(name) ? undefined : shown(key)
    if (shorter !== undefined && (shorter === name || !called.has(shorter))) continue
    if (shorter !== undefined) short.set(shorter, [...(short.get(shorter) ?? []), name])
    const written = Uint8Array.from(entry.bytes.subarray(entry.start, entry.end))
    entries.set(name, { written, ending: entry.ending, key: Uint8Array.from(key) })
  }
  const nameOf = (name: string) => {
    if (entries.has(name)) return name
    const [one, other] = short.get(name) ?? []
    if (other !== undefined)
      throw wrong(`"${name}" could be several entries of ${path}; write the whole name`)
    return one
  }
  return { shape: reader.frame().shape, entries, nameOf }
}

function wrong(message: string): NodeError {
  return new NodeError('INVALID_INPUT', message)
}
