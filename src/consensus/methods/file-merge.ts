/**
 * What a method makes of one file of which no version has a majority: the shapes that counting and methods share. A
 * method that looks into files agrees on *entries* (rows of a table, members of a collection) instead of bytes.
 */
import type { Method } from '../../datasets/truth-rule.ts'
import type { Agreement } from '../statistics/agreement.ts'

/** A method that looks into files. */
export type EntryMethod = Exclude<Method, { name: 'identical' | 'strangeness' }>

/** One file as members have it. */
export interface FileVersions {
  readonly path: string
  /** Id of the truth's version; undefined where the truth has none, or none that can be read. */
  readonly parent: string | undefined
  /** Id of each counted ballot's version by peer, sorted by peer; undefined where the ballot has no such file. */
  readonly ballots: ReadonlyMap<string, string | undefined>
  /** What each ballot weighs; all weigh 1 without it. */
  readonly weights?: ReadonlyMap<string, number>
}

/** Where a merge reads from. Every version was inspected before (`inspectFile`); the parent's may not be readable as a table. */
export interface MergeSource {
  /** The whole file. @throws NodeError NOT_FOUND, TOO_LARGE */
  read(oid: string): Promise<Uint8Array>
  /** A new directory for what does not fit into memory; the caller removes it. */
  scratch(): Promise<string>
  readonly signal?: AbortSignal
}

/** Names of entries, the first so many of them, and how many there are. */
export interface EntryList {
  readonly count: number
  readonly first: readonly string[]
}

/** Where one member's version departs from what was agreed; contested entries are nobody's difference. */
export interface EntryDifferences {
  readonly missing: EntryList
  readonly extra: EntryList
  readonly different: EntryList
}

export interface FileMerge {
  /**
   * The file that was agreed on, entry by entry. Undefined when the truth's file stays as it is, or there stays to be
   * none: the file is contested as a whole, or every entry is and the truth has none.
   */
  readonly bytes: Uint8Array | undefined
  /** True when these are other bytes than the truth's. */
  readonly changed: boolean
  /** Why the file is contested as a whole, where it is: then nothing in it was agreed on. */
  readonly whole?: string
  /** Entries without a majority: the truth's entry stands where it has one. */
  readonly contested: EntryList
  readonly members: ReadonlyMap<string, EntryDifferences>
  /** How far the counted versions agree, entry by entry (cell by cell where the method looks at cells). */
  readonly agreement: Agreement
  /** For people: outliers, confusion matrices and the like, as the method names them; bounded. */
  readonly notes: readonly string[]
}
