/**
 * The branch `certificates` of each dataset (protocols/verification.md): where it is here, where members say that theirs
 * is, and how one of these is brought. What stands in it, who writes it knows.
 */
import { endingOf } from '../base/ending.ts'
import { NodeError } from '../base/errors.ts'
import type { Collection } from '../registry/collection.ts'
import type { AdmissionBounds } from './git/admission.ts'
import { CERTIFICATES_BRANCH, TRUTH_BRANCH } from './git/git-directory.ts'
import type { Repository } from './git/repository.ts'
import { type HeadRecord, isOf } from './heads.ts'
import type { KnownDatasets } from './known-datasets.ts'
import type { OwnBranches } from './own-branches.ts'
import type { Replicator } from './replicator.ts'
import type { Shelf } from './shelf.ts'

export interface CertificateBranchesParts {
  readonly self: string
  readonly known: Pick<KnownDatasets, 'get'>
  readonly heads: Pick<Collection<HeadRecord>, 'list' | 'watch'>
  readonly isMember: (peer: string) => boolean
  readonly shelf: Shelf
  readonly own: Pick<OwnBranches, 'announceCertificates'>
  readonly replicator: Pick<Replicator, 'fetch'>
}

/** Where a member says that its branch is. */
export interface AnnouncedCertificates {
  /** Peer id. */
  readonly author: string
  readonly commit: string
}

export interface OpenedBranch {
  readonly repository: Repository
  readonly tip: string | undefined
  readonly truth: string | undefined
}

export interface BoundedFetch {
  readonly bounds: Partial<AdmissionBounds>
  readonly timeoutMs: number
  readonly signal: AbortSignal
}

export class CertificateBranches {
  readonly #parts: CertificateBranchesParts

  constructor(parts: CertificateBranchesParts) {
    this.#parts = parts
  }

  /** The repository of a dataset whose copy is here, and where the branch and the ground truth are in it. */
  async open(dataset: string): Promise<OpenedBranch | undefined> {
    const { shelf } = this.#parts
    const repository = await shelf.openIfHere(dataset)
    if (repository === undefined) return undefined
    const branches = shelf.branches(dataset)
    return { repository, tip: branches.get(CERTIFICATES_BRANCH), truth: branches.get(TRUTH_BRANCH) }
  }

  /** What other members announce, one of each commit. */
  announced(dataset: string): AnnouncedCertificates[] {
    const { known, heads, self, isMember } = this.#parts
    const now = known.get(dataset)
    if (now?.policy !== 'shared') return []
    const byCommit = new Map<string, AnnouncedCertificates>()
    for (const { value, entry } of heads.list(`${dataset}/`)) {
      const { author } = entry
      const { certificates: commit } = value
      if (commit === undefined || author === self || !isMember(author)) continue
      if (isOf(value, dataset, now.record) && !byCommit.has(commit)) byCommit.set(commit, { author, commit })
    }
    return [...byCommit.values()]
  }

  /** Hears of each dataset of which a member has announced something. @returns how to stop hearing. */
  onAnnounced(heard: (dataset: string) => void): () => void {
    return this.#parts.heads.watch((name, item) => {
      if (item?.value.certificates !== undefined) heard(name.slice(0, name.indexOf('/')))
    })
  }

  /** Brings what a member has announced, if it keeps to the bounds. @throws NodeError what fetching throws, TIMED_OUT. */
  async bring(dataset: string, announced: AnnouncedCertificates, fetch: BoundedFetch): Promise<void> {
    const { author, commit } = announced
    const { bounds, timeoutMs, signal } = fetch
    const reason = () => new NodeError('TIMED_OUT', `The certificates of ${author} did not come in time`)
    const ending = endingOf([signal], { ms: timeoutMs, reason })
    try {
      await this.#parts.replicator.fetch(dataset, [commit], {
        author,
        urgent: true,
        bounds,
        signal: ending.signal,
      })
    } finally {
      ending.release()
    }
  }

  /** Puts the branch elsewhere, wherever that is. @throws NodeError CONFLICT, COMMIT_NOT_FOUND. */
  async move(dataset: string, to: string, from: string | undefined): Promise<void> {
    await this.#parts.shelf.move(dataset, CERTIFICATES_BRANCH, to, from)
  }

  /** Says in this node's head where the branch is, if the node has a head and that is news. */
  async announce(dataset: string): Promise<void> {
    await this.#parts.own.announceCertificates(dataset)
  }
}
