/** One file of which no version has a majority, merged entry by entry (protocols/methods.md). */
import { createHash } from 'node:crypto'
import { isNodeError } from '../../base/errors.ts'
import { methodNotesMax } from '../../base/limits-consensus.ts'
import { AgreementTally } from '../statistics/agreement.ts'
import { CellJudge } from './cell-judge.ts'
import { type Court, courtOf, departuresByMember, type Voters, votersOf } from './court.ts'
import { DistinctReader } from './distinct-reader.ts'
import type { Frame } from './entry.ts'
import { entryReader } from './entry-files.ts'
import { EntryGroups, type Spoken } from './entry-groups.ts'
import { EntryOutput, NEW } from './entry-output.ts'
import { EntryParts } from './entry-parts.ts'
import type { EntryMethod, FileMerge, FileVersions, MergeSource } from './file-merge.ts'
import { Departures, FirstNames } from './first-names.ts'
import { agreeOnFrame } from './frames.ts'
import { inspectFile } from './inspect-file.ts'
import type { EntryJudge } from './judge.ts'
import { KeyedHash } from './keyed-hash.ts'
import { LabelColumns } from './label-columns.ts'
import { NumberColumns } from './number-columns.ts'
import { RowJudge } from './row-judge.ts'
import { Turns } from './turns.ts'
import { Uncountable } from './uncountable.ts'

const WHOLE = { count: 1, first: ['(columns)'] }

/**
 * @throws NodeError as `source.read` does.
 */
export async function mergeFile(
  method: EntryMethod,
  versions: FileVersions,
  source: MergeSource,
): Promise<FileMerge> {
  const voters = votersOf(versions, method.name === 'weighted' ? versions.weights : undefined)
  const hash = new KeyedHash(hashKey(versions))
  await using parts = new EntryParts(hash, () => source.scratch())
  let truth: string | undefined
  for (const [index, version] of voters.versions.entries()) {
    source.signal?.throwIfAborted()
    const bytes = await readable(source, version.oid)
    if (bytes === undefined) continue
    if (version.isTruth) truth = fingerprint(bytes)
    version.frame = await gather(method, versions.path, index, bytes, parts)
  }
  const frame = agreeOnFrame(voters.versions, voters.total)
  if (frame === undefined) return contestedAsWhole(voters)
  const court = courtOf(voters, frame)
  const judge = judgeOf(method, court)
  const turns = new Turns()
  const each = async (visit: (key: Uint8Array, spoken: readonly Spoken[]) => void) => {
    for (let part = 0; part < parts.count; part += 1) {
      if (parts.isEmpty(part)) continue
      source.signal?.throwIfAborted()
      const groups = new EntryGroups(await parts.read(part), hash)
      for (let group = 0; group < groups.count; group += 1) {
        if (turns.isDue) await turns.pass()
        const spoken = groups.spoken(group).filter(({ version }) => court.versions[version]?.comparable)
        if (spoken.length > 0) visit(groups.key(group), spoken)
      }
    }
  }
  if (judge.study !== undefined) {
    await each((key, spoken) => judge.study?.(key, spoken))
    await judge.studied?.(source.signal)
  }
  const merging = new Merging(court, judge)
  await each((key, spoken) => merging.settle(key, spoken))
  parts.release()
  return lookedInto(merging.result(truth), method, versions, source.signal)
}

function judgeOf(method: EntryMethod, court: Court): EntryJudge {
  switch (method.name) {
    case 'rows':
    case 'weighted':
      return new RowJudge(court)
    case 'numeric':
      return new CellJudge(method, court, new NumberColumns(method, court))
    case 'dawid-skene':
      return new CellJudge(method, court, new LabelColumns(method, court))
  }
}

/** Undefined where it is larger than what entries are looked for in. */
async function readable(source: MergeSource, oid: string): Promise<Uint8Array | undefined> {
  try {
    return await source.read(oid)
  } catch (error) {
    if (isNodeError(error, 'TOO_LARGE')) return undefined
    throw error
  }
}

/**
 * Adds what a version says. @returns what stands around it, undefined where it cannot be counted: a truth from before the
 * method may be anything, and a ballot may have been looked into by another method.
 */
async function gather(
  method: EntryMethod,
  path: string,
  index: number,
  bytes: Uint8Array,
  parts: EntryParts,
): Promise<Frame | undefined> {
  try {
    const turns = new Turns()
    const reader = new DistinctReader(entryReader(method, path, bytes))
    let ordinal = 0
    for (let entry = reader.next(); entry !== undefined; entry = reader.next()) {
      if (parts.add(entry, index, ordinal)) await parts.flush()
      ordinal += 1
      if (turns.isDue) await turns.pass()
    }
    await parts.flush()
    return reader.frame()
  } catch (error) {
    if (error instanceof Uncountable) return undefined
    throw error
  }
}

/** What came of it is the next round's truth: where nobody could look into that, the file is contested as a whole. */
async function lookedInto(
  merge: FileMerge,
  method: EntryMethod,
  { path, ballots }: FileVersions,
  signal: AbortSignal | undefined,
): Promise<FileMerge> {
  if (merge.bytes === undefined || !merge.changed) return merge
  const reason = await inspectFile(method, path, merge.bytes, signal)
  if (reason === undefined) return merge
  const whole = `what was merged could not be counted again: ${reason}`
  const none = new Departures().list()
  return {
    bytes: undefined,
    changed: false,
    whole,
    contested: WHOLE,
    members: new Map([...ballots.keys()].map((peer) => [peer, none])),
    agreement: merge.agreement,
    notes: [whole, ...merge.notes].slice(0, methodNotesMax),
  }
}

class Merging {
  readonly #court: Court
  readonly #judge: EntryJudge
  readonly #output = new EntryOutput()
  readonly #contested = new FirstNames()
  #agreed = 0

  constructor(court: Court, judge: EntryJudge) {
    this.#court = court
    this.#judge = judge
  }

  settle(key: Uint8Array, spoken: readonly Spoken[]): void {
    const [first] = spoken
    const truth = first !== undefined && this.#court.versions[first.version]?.isTruth ? first : undefined
    const { verdict, contested, differing } = this.#judge.judge(key, spoken)
    const ordinal = truth?.ordinal ?? NEW
    if (verdict.kind === 'agreed') {
      this.#agreed += 1
      this.#output.put(ordinal, key, verdict.written, verdict.ending)
    } else if (verdict.kind !== 'gone' && truth !== undefined) {
      this.#output.put(ordinal, key, truth.written, truth.ending)
    }
    for (const name of contested) this.#contested.add(name)
    for (const { version, name } of differing) this.#court.versions[version]?.departures.different.add(name)
    if (verdict.kind !== 'contested') this.#depart(key, spoken, verdict.kind === 'agreed')
  }

  result(truth: string | undefined): FileMerge {
    const nothing = this.#agreed === 0 && this.#contested.count > 0 && truth === undefined
    const bytes = nothing ? undefined : this.#output.file(this.#court.frame)
    return {
      bytes,
      changed: bytes !== undefined && fingerprint(bytes) !== truth,
      contested: this.#contested.list(),
      members: departuresByMember(this.#court),
      agreement: this.#judge.agreement.result(),
      notes: [...notesOnVersions(this.#court), ...this.#judge.notes()].slice(0, methodNotesMax),
    }
  }

  /** Who lacks what is there, and who has what is not. */
  #depart(key: Uint8Array, spoken: readonly Spoken[], isThere: boolean): void {
    const { versions } = this.#court
    if (isThere && spoken.length === versions.length) return
    const having = new Set(spoken.map(({ version }) => version))
    for (const [index, { comparable, departures }] of versions.entries()) {
      if (!comparable || isThere === having.has(index)) continue
      if (isThere) departures.missing.add(key)
      else departures.extra.add(key)
    }
  }
}

function notesOnVersions({ peers, versions }: Court): string[] {
  return versions.flatMap(({ comparable, frame, isTruth, ballots }) => {
    if (comparable) return []
    const why = frame === undefined ? 'cannot be counted' : 'has other columns, or is another kind of file'
    const owners = [...(isTruth ? ['the truth'] : []), ...ballots.map((i) => peers[i])]
    return owners.map((owner) => `${owner}: this version ${why}: its entries are not compared`)
  })
}

/** Nobody who casts a ballot knows the others' before, so nobody chooses the key; and it is the same everywhere. */
function hashKey({ path, parent, ballots }: FileVersions): Uint8Array {
  const hash = createHash('sha256').update(JSON.stringify([path, parent ?? null]))
  for (const [peer, oid] of [...ballots].sort(([a], [b]) => (a < b ? -1 : 1))) {
    hash.update(JSON.stringify([peer, oid ?? null]))
  }
  return hash.digest()
}

function contestedAsWhole(court: Voters): FileMerge {
  const agreement = new AgreementTally({ level: 'nominal', raters: court.peers.length })
  const ratings: (string | undefined)[] = new Array(court.peers.length).fill(undefined)
  for (const { frame, ballots } of court.versions) for (const i of ballots) ratings[i] = frame?.shape
  agreement.add(ratings)
  const whole = 'no more than half have the same columns, or the same kind of file'
  return {
    bytes: undefined,
    changed: false,
    whole,
    contested: WHOLE,
    members: departuresByMember(court),
    agreement: agreement.result(),
    notes: [whole],
  }
}

function fingerprint(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}
