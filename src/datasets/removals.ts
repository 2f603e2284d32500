import { isNodeError, NodeError } from '../base/errors.ts'
import { reopen } from '../identity/envelope.ts'
import { decodeRecord } from '../registry/record.ts'
import type { Copies } from './copies.ts'
import type { DatasetView } from './dataset-view.ts'
import type { Followed } from './followed.ts'
import { CERTIFICATES_BRANCH, TRUTH_BRANCH } from './git/git-directory.ts'
import { measureRepository } from './git/repository-size.ts'
import type { Known, KnownDatasets } from './known-datasets.ts'
import type { Policy } from './policies.ts'
import type { ReplicaReports } from './replica-reports.ts'
import type { OnDisk, Shelf } from './shelf.ts'

export interface RemovalsParts {
  /** Name of this node's member. */
  readonly selfName: () => string
  /** Name of a member, by its peer id. */
  readonly nameOf: (peer: string) => string | undefined
  /** What the registry shows of the record of a dataset, sealed; a tombstone included. */
  readonly sealed: (name: string) => Uint8Array | undefined
  readonly known: KnownDatasets
  readonly copies: Copies
  readonly shelf: Shelf
  readonly followed: Followed
  readonly reports: ReplicaReports
  /** As far as its repository has been opened. */
  readonly viewOf: (known: Known) => DatasetView
  /** What is at work with the copy of a dataset between its calls to it, for people; undefined when nothing is. */
  readonly usedBy: (dataset: string) => string | undefined
}

/** A copy on this node's disk. */
export interface LocalCopy {
  readonly name: string
  /** Of the dataset that it is a copy of. */
  readonly id: string
  readonly policy?: Policy
  readonly path: string
  /** On the disk. */
  readonly bytes: number
  /** Its dataset is no more, or another one has its name. */
  readonly former: boolean
  readonly followed: boolean
}

/** Takes datasets away: from the federation, or from this node's disk. */
export class Removals {
  readonly #parts: RemovalsParts

  constructor(parts: RemovalsParts) {
    this.#parts = parts
  }

  /**
   * Ends a dataset for everybody; copies stay where they are (dataset-heads.md H19). An operator may, and its founder.
   *
   * @throws NodeError DATASET_NOT_FOUND, FORBIDDEN.
   */
  async remove(name: string): Promise<void> {
    const { known } = this.#parts
    known.need(name)
    try {
      await known.remove(name)
    } catch (cause) {
      if (!isNodeError(cause, 'CONFLICT') && !isNodeError(cause, 'FORBIDDEN')) throw cause
      const message = `The dataset ${name} was founded by another member; it or an operator may remove it (this node's copy goes with remove-local)`
      throw new NodeError('FORBIDDEN', message, { name }, { cause })
    }
  }

  /**
   * Deletes this node's copy of a dataset, and copies it no more. What was set aside goes only by force, with all else:
   * nobody says of a dataset that is no more that it holds a copy.
   *
   * @throws NodeError NOT_FOUND when there is none, CONFLICT when it is in use, or, unless forced, when neither the owner
   * nor two other members say that they hold all of it.
   */
  async removeLocal(name: string, { force = false }: { readonly force?: boolean } = {}): Promise<void> {
    const { known, shelf, followed, reports } = this.#parts
    const all = (await shelf.list()).filter((place) => nameOf(place) === name)
    if (all.length === 0) {
      throw new NodeError('NOT_FOUND', `This node has no copy of a dataset named ${name}`, { name })
    }
    const now = known.get(name)
    const current = now === undefined ? undefined : this.#parts.copies.placeOf(name)
    const hasCurrent = all.some(({ place }) => place === current)
    const places = force || !hasCurrent ? all : all.filter(({ place }) => place === current)
    const use = this.#parts.usedBy(name)
    if (use !== undefined) {
      throw new NodeError(
        'CONFLICT',
        `The copy of ${name} is in use by ${use}; try again when it has ended`,
        { name },
      )
    }
    if (!force) await this.#checkOthersHold(name, hasCurrent ? now : undefined)
    const before = followed.choiceOf(name)
    try {
      // First what would fetch it again.
      if (now?.policy === 'shared') await followed.choose(name, 'unfollow')
      for (const { place } of places) {
        await shelf.remove(place)
        if (place !== current) await known.forgetCopy(place)
      }
    } catch (error) {
      // What stays is copied as before, unless somebody has said otherwise meanwhile.
      const isStill = followed.choiceOf(name) === 'unfollow' && (await shelf.openIfHere(name)) !== undefined
      if (now?.policy === 'shared' && isStill) await followed.choose(name, before)
      throw error
    }
    await reports.retract(name)
  }

  /** Every copy on this node's disk, sorted by name; those first that are in use. */
  async list(): Promise<LocalCopy[]> {
    const { known, copies, shelf, followed } = this.#parts
    const found: LocalCopy[] = []
    for (const copy of await shelf.list()) {
      const name = nameOf(copy)
      const now = known.get(name)
      const row = known.copy(copy.place)
      const isCurrent = now !== undefined && !copy.former && copies.placeOf(name) === copy.place
      const id = copy.former ? copy.place.slice(copy.place.indexOf('~') + 1) : (row?.id ?? name)
      const policy = isCurrent ? now.policy : row?.policy
      found.push({
        ...{
          name,
          id,
          path: copy.path,
          bytes: (await measureRepository(copy.path)).bytes,
          former: !isCurrent,
        },
        ...(policy === undefined ? {} : { policy }),
        followed: isCurrent && followed.follows(name),
      })
    }
    return found.sort((a, b) => compareText(a.name, b.name) || Number(a.former) - Number(b.former))
  }

  async #checkOthersHold(name: string, now: Known | undefined): Promise<void> {
    const { shelf, viewOf, selfName, nameOf: nameOfPeer } = this.#parts
    if (now !== undefined) {
      await shelf.openIfHere(name)
      const agreed = [TRUTH_BRANCH, CERTIFICATES_BRANCH]
      const here = [...shelf.branches(name).keys()].filter((branch) => !agreed.includes(branch))
      if (here.length === 0) return
      const [self, owner] = [selfName(), nameOfPeer(now.owner)]
      const { branches, replicas } = viewOf(now)
      // What others hold is what was announced; of another member's branch that one may hold more.
      const loose = branches.find(
        ({ announced, member, held }) => !announced || (member === self && held !== undefined),
      )
      if (loose !== undefined) {
        const { branch } = loose
        const message = `No other member is known to hold ${branch} of ${name} where it is here; it would be lost. Remove the copy with --force if that is meant`
        throw new NodeError('CONFLICT', message, { name, branch })
      }
      const holders = replicas.members.filter(({ member, current }) => member !== self && current)
      // One member's word may be wrong, or a lie; of its own dataset the owner is believed.
      if (holders.length > 1 || holders.some(({ member }) => member === owner)) return
      const [alone] = holders
      if (alone !== undefined) {
        const message = `Only ${alone.member} says that it holds all of ${name}; if that is not so, what is here would be lost. Wait for the owner or a second member to hold it too, or remove it with --force`
        throw new NodeError('CONFLICT', message, { name, holder: alone.member })
      }
    }
    const ended = now === undefined ? this.#endOf(name) : undefined
    if (ended !== undefined) {
      const message = `The dataset ${name} ${ended}, so that nobody tells any more who holds it, and this copy may be the last. "maoctl dataset remove-local ${name} --force" deletes it`
      throw new NodeError('CONFLICT', message, { name })
    }
    const message = `No other member is known to hold all of ${name}; what is only here would be lost. Remove it with --force if that is meant`
    throw new NodeError('CONFLICT', message, { name })
  }

  /** How a dataset came to its end; undefined when nothing is known of an end. */
  #endOf(name: string): string | undefined {
    const { known, sealed, nameOf: nameOfPeer } = this.#parts
    const envelope = sealed(name)
    const { author, value } = envelope === undefined ? {} : decodeRecord(reopen(envelope))
    if (author !== undefined && value === null) return `was removed by ${nameOfPeer(author) ?? author}`
    return [name, `local/${name}`].some((place) => known.copy(place)?.removed) ? 'was removed' : undefined
  }
}

/** Of the dataset that a copy is of; one that was set aside is named `<dataset>~<id>`. */
function nameOf({ place, former }: OnDisk): string {
  const file = place.slice(place.lastIndexOf('/') + 1)
  return former ? file.slice(0, file.indexOf('~')) : file
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
