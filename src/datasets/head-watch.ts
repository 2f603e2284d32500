import { followedHeadsMax } from '../base/limits.ts'
import type { Members } from '../federation/members.ts'
import type { Item } from '../registry/collection.ts'
import type { SealedRecord } from '../registry/record.ts'
import type { Registry } from '../registry/registry.ts'
import type { DatasetEvent } from './dataset-events.ts'
import type { EquivocationView, IgnoredHeadView } from './dataset-view.ts'
import { contradiction, type Equivocation, type Equivocations, sealedHead } from './equivocations.ts'
import type { PackRepository } from './git/repository.ts'
import { type HeadMark, type HeadMarks, type HeadVerdict, judgeHead } from './head-marks.ts'
import { type Excuse, type HeadRecord, headHash, isOf } from './heads.ts'
import type { Known, KnownDatasets } from './known-datasets.ts'

export interface HeadWatchParts {
  readonly registry: Pick<Registry, 'envelope'>
  readonly members: Pick<Members, 'get'>
  readonly known: KnownDatasets
  readonly marks: HeadMarks
  readonly equivocations: Equivocations
  readonly emit: (event: DatasetEvent) => void
}

/** Where heads are below the registry's keys. */
export const HEADS_PREFIX = '/heads/'

/** Decides which heads are followed, and keeps what proves that a member has contradicted itself. */
export class HeadWatch {
  readonly #parts: HeadWatchParts
  /** The value of each head that was ignored, so that it is told once. */
  readonly #told = new Map<string, string>()

  constructor(parts: HeadWatchParts) {
    this.#parts = parts
  }

  /** Whether a head is to be followed; remembers it, and tells what is wrong with it. */
  async judge(known: Known, item: Item<HeadRecord>): Promise<boolean> {
    const { marks, registry } = this.#parts
    const { author } = item.entry
    const hash = headHash(item.entry.value)
    const mark = marks.get(known.id, author)
    const verdict = judgeHead(item.value, hash, isOf(item.value, known.name, known.record), mark)
    if (verdict === 'other-dataset' || verdict === 'replayed')
      return this.#ignored(known, item, hash, verdict)
    const envelope = registry.envelope(item.entry.key, author)
    // It has changed since: the next look is at what it is now.
    if (envelope === undefined || sealedHead(envelope)?.hash !== hash) return false
    const kept = verdict === 'equivocal' ? await marks.envelope(item.name) : undefined
    if (mark !== undefined && kept !== undefined) {
      const proof = contradiction(known.id, author, envelope, kept)
      if (proof !== undefined) await this.#proven(known.name, proof)
      // [MUST] Of two heads in one place all nodes follow the same, whichever came first (H5).
      if (proof?.heads[0].hash === mark.hash) return false
    }
    if (mark?.hash === hash) return true
    const { sequence = 0 } = item.value
    await marks.putEnvelope(item.name, envelope)
    await marks.put(known.id, author, { sequence, hash, resets: mark?.resets ?? {} })
    const now = registry.envelope(item.entry.key, author)
    // It was taken back meanwhile.
    if (now === undefined || sealedHead(now) === undefined) await marks.dropEnvelope(item.name)
    return true
  }

  /** A member has taken a head back: with it goes what a proof would need of it. */
  async gone(name: string): Promise<void> {
    await this.#parts.marks.dropEnvelope(name)
  }

  /** The registry was given a second head with the version of the first; it shows one, and this is the other. */
  async contradicted({ key, author, envelope }: SealedRecord): Promise<void> {
    const [, , name = ''] = key.split('/')
    const known = this.#parts.known.get(name)
    const shown = this.#parts.registry.envelope(key, author)
    if (known === undefined || shown === undefined || !key.startsWith(HEADS_PREFIX)) return
    const proof = contradiction(known.id, author, shown, envelope)
    if (proof !== undefined) await this.#proven(name, proof)
  }

  /**
   * Why a branch of `author` may leave `held`, if there is a reason: the author has signed a reset that was not followed
   * yet, or `held` is from one of two heads that contradict each other.
   */
  async excuse(
    { id }: Known,
    { value, entry }: Item<HeadRecord>,
    branch: string,
    held: string,
    repository: Pick<PackRepository, 'isAncestor'>,
  ): Promise<Excuse | undefined> {
    const { marks, equivocations } = this.#parts
    const reset = value.resets?.[branch]
    const announced = value.branches[branch]
    const followed = marks.get(id, entry.author)?.resets[branch] ?? 0
    if (reset !== undefined && announced !== undefined && reset.count > followed) {
      // What the branch went on to must follow from what it was reset to; else the reset says nothing about it.
      if (reset.to === announced || (await repository.isAncestor(reset.to, announced))) return 'reset'
    }
    const torn = equivocations
      .list(id)
      .some(
        ({ author, sequence, heads }) =>
          author === entry.author &&
          sequence <= (value.sequence ?? 0) &&
          heads.some(({ head }) => head.branches[branch] === held),
      )
    return torn ? 'equivocation' : undefined
  }

  /** Notes which resets were followed, once the branches have moved: the same ones are no excuse again. */
  async moved({ id }: Known, { value, entry }: Item<HeadRecord>, branch: string): Promise<void> {
    const { marks } = this.#parts
    const mark = marks.get(id, entry.author)
    const count = value.resets?.[branch]?.count
    if (mark === undefined || count === undefined || count <= (mark.resets[branch] ?? 0)) return
    const { [branch]: _, ...others } = mark.resets
    await marks.put(id, entry.author, { ...mark, resets: { ...others, [branch]: count } })
  }

  /** Heads of a dataset that are followed, of those that stand in the registry. */
  followable(known: Known, heads: readonly Item<HeadRecord>[]): Item<HeadRecord>[] {
    const ignored = ['other-dataset', 'replayed']
    return heads.filter((head) => !ignored.includes(this.#verdict(known, head)))
  }

  /** Heads of a dataset that are not followed, as they stand in the registry. */
  ignored(known: Known, heads: readonly Item<HeadRecord>[]): IgnoredHeadView[] {
    return heads.flatMap((head) => {
      const { value, entry } = head
      const reason = this.#verdict(known, head)
      if (reason !== 'other-dataset' && reason !== 'replayed') return []
      const { dataset = known.name, sequence = 0 } = value
      return [{ member: this.#nameOf(entry.author), reason, dataset, sequence }]
    })
  }

  equivocations(id: string): EquivocationView[] {
    return this.#parts.equivocations.list(id).map(({ author, sequence, heads }) => {
      const shown = heads.map(({ hash, head }) => ({ hash, branches: head.branches }))
      return { member: this.#nameOf(author), sequence, heads: shown }
    })
  }

  /** The latest place in the sequence of an author's heads that is known. */
  sequenceOf(id: string, author: string): number {
    return this.#parts.marks.get(id, author)?.sequence ?? 0
  }

  markOf(id: string, author: string): HeadMark | undefined {
    return this.#parts.marks.get(id, author)
  }

  #verdict(known: Known, { value, entry }: Item<HeadRecord>): HeadVerdict {
    const mark = this.#parts.marks.get(known.id, entry.author)
    return judgeHead(value, headHash(entry.value), isOf(value, known.name, known.record), mark)
  }

  #ignored(
    { name }: Known,
    { value, entry }: Item<HeadRecord>,
    hash: string,
    reason: Extract<HeadVerdict, 'other-dataset' | 'replayed'>,
  ): false {
    const { sequence = 0 } = value
    if (this.#told.get(entry.key) !== `${hash} ${reason}`) {
      if (this.#told.size >= followedHeadsMax) this.#told.clear()
      this.#told.set(entry.key, `${hash} ${reason}`)
      const member = this.#nameOf(entry.author)
      this.#parts.emit({ type: 'head-ignored', dataset: name, member, reason, sequence })
    }
    return false
  }

  async #proven(dataset: string, proof: Equivocation): Promise<void> {
    const { equivocations, emit } = this.#parts
    if (!(await equivocations.add(proof))) return
    const { author, sequence, heads } = proof
    const hashes = [heads[0].hash, heads[1].hash] as const
    emit({ type: 'equivocation', dataset, member: this.#nameOf(author), sequence, hashes })
  }

  #nameOf(peer: string): string {
    return this.#parts.members.get(peer)?.name ?? peer
  }
}
