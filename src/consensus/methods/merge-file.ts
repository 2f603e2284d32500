/** One file of which no version has a majority, merged entry by entry (protocols/methods.md). */
import { createHash } from 'node:crypto'
import { setImmediate } from 'node:timers/promises'
import { AgreementTally } from '../statistics/agreement.ts'
import { type Court, courtOf, departuresByMember, type Version } from './court.ts'
import type { Frame } from './entry.ts'
import { entryReader } from './entry-files.ts'
import { EntryGroups, type Spoken } from './entry-groups.ts'
import { EntryOutput, NEW } from './entry-output.ts'
import { EntryParts } from './entry-parts.ts'
import type { EntryMethod, FileMerge, FileVersions, MergeSource } from './file-merge.ts'
import { FirstNames } from './first-names.ts'
import { agreeOnFrame } from './frames.ts'
import { inspectFile } from './inspect-file.ts'
import { KeyedHash } from './keyed-hash.ts'
import { type Judged, judgeRow } from './row-judge.ts'
import { Uncountable } from './uncountable.ts'

/** The node does other things, too: after so many entries they have their turn. */
const TURN_ENTRIES = 20_000

/**
 * @throws NodeError as `source.read` does.
 */
export async function mergeFile(
  method: EntryMethod,
  versions: FileVersions,
  source: MergeSource,
): Promise<FileMerge> {
  const court = courtOf(versions)
  const hash = new KeyedHash(hashKey(versions))
  await using parts = new EntryParts(hash, () => source.scratch())
  let truth: string | undefined
  for (const [index, version] of court.versions.entries()) {
    source.signal?.throwIfAborted()
    const bytes = await source.read(version.oid)
    if (version.isTruth) truth = fingerprint(bytes)
    version.frame = await gather(method, versions.path, version, index, bytes, parts)
  }
  const frame = agreeOnFrame(court.versions, court.total)
  if (frame === undefined) return contestedAsWhole(court)
  for (const version of court.versions) version.comparable = version.frame?.shape === frame.shape
  const merging = new Merging(court)
  for (let part = 0; part < parts.count; part += 1) {
    source.signal?.throwIfAborted()
    const groups = new EntryGroups(await parts.read(part), hash)
    for (let group = 0; group < groups.count; group += 1) {
      if (group % TURN_ENTRIES === TURN_ENTRIES - 1) await setImmediate()
      merging.settle(groups.key(group), groups.spoken(group))
    }
  }
  return merging.result(frame, truth)
}

/** Adds what a version says. @returns what stands around it, undefined where it cannot be read. */
async function gather(
  method: EntryMethod,
  path: string,
  { isTruth }: Version,
  index: number,
  bytes: Uint8Array,
  parts: EntryParts,
): Promise<Frame | undefined> {
  // Ballots were inspected before they were counted. A truth from before the method may be anything.
  if (isTruth && (await inspectFile(method, path, bytes)) !== undefined) return undefined
  try {
    const reader = entryReader(method, path, bytes)
    let ordinal = 0
    for (let entry = reader.next(); entry !== undefined; entry = reader.next()) {
      if (parts.add(entry, index, ordinal)) await parts.flush()
      ordinal += 1
      if (ordinal % TURN_ENTRIES === 0) await setImmediate()
    }
    await parts.flush()
    return reader.frame()
  } catch (error) {
    if (error instanceof Uncountable) return undefined
    throw error
  }
}

class Merging {
  readonly #court: Court
  readonly #agreement: AgreementTally
  readonly #output = new EntryOutput()
  readonly #contested = new FirstNames()
  #agreed = 0

  constructor(court: Court) {
    this.#court = court
    this.#agreement = new AgreementTally({ level: 'nominal', raters: court.peers.length })
  }

  settle(key: Uint8Array, all: readonly Spoken[]): void {
    const { versions } = this.#court
    const spoken = all.filter(({ version }) => versions[version]?.comparable)
    if (spoken.length === 0) return
    const truth = spoken.find(({ version }) => versions[version]?.isTruth)
    const { verdict, agreeing } = judgeRow(spoken, this.#court, this.#agreement)
    const ordinal = truth?.ordinal ?? NEW
    if (verdict.kind === 'agreed') {
      this.#agreed += 1
      this.#output.put(ordinal, key, verdict.written, verdict.ending)
    } else if (verdict.kind !== 'gone' && truth !== undefined) {
      this.#output.put(ordinal, key, truth.written, truth.ending)
    }
    if (verdict.kind === 'contested') this.#contested.add(key)
    else this.#depart(key, spoken, { verdict, agreeing })
  }

  result(frame: Frame, truth: string | undefined): FileMerge {
    const nothing = this.#agreed === 0 && this.#contested.count > 0 && truth === undefined
    const bytes = nothing ? undefined : this.#output.file(frame)
    return {
      bytes,
      changed: bytes !== undefined && fingerprint(bytes) !== truth,
      contested: this.#contested.list(),
      members: departuresByMember(this.#court),
      agreement: this.#agreement.result(),
      notes: [],
    }
  }

  #depart(key: Uint8Array, spoken: readonly Spoken[], { verdict, agreeing }: Judged): void {
    const { versions } = this.#court
    const there = new Set(spoken.map(({ version }) => version))
    const right = new Set(agreeing.map(({ version }) => version))
    for (const [index, { comparable, ballots, departures }] of versions.entries()) {
      if (!comparable || ballots.length === 0) continue
      if (verdict.kind !== 'agreed') {
        if (there.has(index)) departures.extra.add(key)
      } else if (!there.has(index)) departures.missing.add(key)
      else if (!right.has(index)) departures.different.add(key)
    }
  }
}

/** Nobody who casts a ballot knows the others' before, so nobody chooses the key; and it is the same everywhere. */
function hashKey({ path, parent, ballots }: FileVersions): Uint8Array {
  const hash = createHash('sha256').update(JSON.stringify([path, parent ?? null]))
  for (const [peer, oid] of [...ballots].sort(([a], [b]) => (a < b ? -1 : 1))) {
    hash.update(JSON.stringify([peer, oid ?? null]))
  }
  return hash.digest()
}

function contestedAsWhole(court: Court): FileMerge {
  const agreement = new AgreementTally({ level: 'nominal', raters: court.peers.length })
  const ratings: (string | undefined)[] = new Array(court.peers.length).fill(undefined)
  for (const { frame, ballots } of court.versions) for (const i of ballots) ratings[i] = frame?.shape
  agreement.add(ratings)
  const whole = 'no more than half have the same columns, or the same kind of file'
  return {
    bytes: undefined,
    changed: false,
    whole,
    contested: { count: 1, first: ['(columns)'] },
    members: departuresByMember(court),
    agreement: agreement.result(),
    notes: [whole],
  }
}

function fingerprint(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}
