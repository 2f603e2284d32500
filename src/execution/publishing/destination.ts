/** Where outputs are published: the one interface of folders, S3 buckets, IPFS nodes and Renku projects. */
import type { Readable } from 'node:stream'
import type { ManifestFile } from './manifest.ts'

/** One file on its way out. */
export interface OutgoingFile extends ManifestFile {
  /** Its bytes, from the start, as often as asked. */
  open(): Readable
}

export interface Outgoing {
  /** Unique among all publications of all nodes: `<run>/<step>`. */
  readonly name: string
  readonly files: readonly OutgoingFile[]
  /** Comes last, where there is an order. */
  readonly manifest: OutgoingFile
  readonly signal: AbortSignal
  /** Is told the place before anything that would have to be undone there, by those who know it only then. */
  readonly note: (place: string) => Promise<void>
}

/** What is needed to find a publication again, and to remove it. */
export interface Placed {
  /** In words of the destination: a directory, the beginning of keys, a CID. */
  readonly place: string
  /** For people and programs. */
  readonly address: string
  /** False when it was there before, by somebody else's doing: then it is not ours to remove. */
  readonly isOurs?: boolean
}

export interface Destination {
  readonly kind: 'folder' | 's3' | 'ipfs' | 'renku'
  /** What the settings mean, without secrets; a publication is removed only where this is still the same. */
  readonly target: string
  /** Where a publication of that name will be, before a byte of it is written; undefined where only its content tells. */
  placeOf(name: string): string | undefined
  /** @throws NodeError PUBLISH_FAILED, FORBIDDEN, TOO_LARGE, SOURCE_UNAVAILABLE for what may pass; the signal's reason. */
  publish(outgoing: Outgoing): Promise<Placed>
  /**
   * Removes these files of a publication, and nothing else; those that are gone already are no error.
   *
   * @param paths of the files, the manifest's included.
   */
  remove(place: string, paths: readonly string[], signal: AbortSignal): Promise<void>
}
