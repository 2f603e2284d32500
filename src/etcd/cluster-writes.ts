/**
 * A write of strong mode: the cluster takes it, or this node does not (protocols/strong-mode.md §4). It is refused when
 * another member has written one of its keys since this node last heard of it, so that of two writers of one key the
 * second always knows the first.
 */
import type { ITxnRequest, ITxnResponse } from 'etcd3'
import { isNodeError, NodeError } from '../base/errors.ts'
import { clusterAttemptPauseMs, clusterCallTimeoutMs, clusterWriteTimeoutMs } from '../base/limits.ts'
import { delay } from '../base/wait.ts'
import { placeOf, type SealedRecord } from '../registry/record.ts'
import type { RecordIndex } from '../registry/record-index.ts'
import { type ClusterEndpoint, isPassing } from './cluster-client.ts'
import { type ClusterKeys, chunksOf } from './cluster-keys.ts'
import type { ClusterProgress } from './cluster-progress.ts'

export interface ClusterWritesParts {
  readonly keys: ClusterKeys
  readonly progress: ClusterProgress
  /** What this node's registry holds. */
  readonly index: Pick<RecordIndex, 'get'>
  /** The endpoint for the attempt of that number, the one that is being followed first. */
  readonly endpoint: (attempt: number) => ClusterEndpoint
  readonly stopping: AbortSignal
}

/** A record that the cluster has taken from us, and the revision that it has there. */
interface Written {
  readonly record: SealedRecord
  readonly revision: number
}

export class ClusterWrites {
  readonly #parts: ClusterWritesParts
  /** Writes of our own that the watch has not told yet, by key. */
  readonly #written = new Map<string, Written>()
  /** What has to be applied before a refused write can be judged anew. */
  #awaited = 0
  /** Keys that were refused last, and how often one after another. */
  #refused: ReadonlySet<string> = new Set()
  #refusals = 0
  #life = 0

  constructor(parts: ClusterWritesParts) {
    this.#parts = parts
  }

  /**
   * Writes records of this node's own into the cluster, at most `clusterTxnRecordsMax` at once. Never waits for the
   * registry, so that the registry may wait for it.
   *
   * @throws NodeError REGISTRY_MOVED when another member wrote some of the keys, which `data.keys` names (judge anew
   * after `settled`); nothing is then written, unless there were more records than one Txn takes. REGISTRY_UNREACHABLE when no answer came in time: the write may still come, by the watch, or never.
   */
  async confirm(records: readonly SealedRecord[]): Promise<void> {
    // Of several records for one place, only the last is left in the end.
    const last = new Map(records.map((record) => [placeOf(record), record]))
    for (const chunk of chunksOf([...last.values()], (record) => record)) await this.#write(chunk)
  }

  /**
   * Resolves when all that made `confirm` refuse is in the registry, and a moment later when it was refused several
   * times: members that want one key would else refuse each other in step.
   *
   * @throws NodeError REGISTRY_UNREACHABLE
   */
  async settled(): Promise<void> {
    const { progress, stopping } = this.#parts
    await progress.settle(this.#awaited)
    const longestMs = Math.min(2 ** this.#refusals, clusterAttemptPauseMs)
    if (this.#refusals > 1) await delay(longestMs * Math.random(), stopping)
  }

  async #write(records: readonly SealedRecord[]): Promise<void> {
    const { keys, progress } = this.#parts
    const { applied } = progress
    this.#catchUpWith(applied)
    if (applied === undefined || !progress.connected)
      throw moved(records, 'this node is not up to date with it')
    const response = await this.#send(keys.claim(records, (key) => this.#seen(key, applied)))
    const revision = response.succeeded ? Number(response.header.revision) : alreadyThere(records, response)
    if (revision === undefined) {
      const newer = records.filter(({ key }, index) => latestOf(response, index) > this.#seen(key, applied))
      this.#awaited = Math.max(this.#awaited, ...records.map((_, index) => latestOf(response, index)))
      const refused = newer.length === 0 ? records : newer
      this.#count(refused)
      throw moved(refused, 'another member wrote it')
    }
    if (records.some(({ key }) => this.#refused.has(key))) this.#count([])
    for (const record of records) this.#written.set(record.key, { record, revision })
  }

  /**
   * [W2] The revision up to which all claims to a key are known here. A write of our own is no news, once it is stored
   * here too: before (the disk refused it, or a later part of the same write was refused) a new one would be sealed
   * in ignorance of it, with the same version.
   */
  #seen(key: string, applied: number): number {
    const written = this.#written.get(key)
    if (written === undefined) return applied
    const { record, revision } = written
    const isStored = this.#parts.index.get(placeOf(record))?.hash === record.hash
    return isStored ? Math.max(applied, revision) : applied
  }

  #count(refused: readonly SealedRecord[]): void {
    const again = refused.some(({ key }) => this.#refused.has(key))
    this.#refusals = again ? this.#refusals + 1 : Math.min(refused.length, 1)
    this.#refused = new Set(refused.map(({ key }) => key))
  }

  #catchUpWith(applied: number | undefined): void {
    const { life } = this.#parts.progress
    if (life !== this.#life) {
      // Revisions of a cluster that was read anew are not those of before.
      this.#life = life
      this.#awaited = 0
      this.#count([])
      this.#written.clear()
    }
    if (applied === undefined) return
    for (const [key, { revision }] of this.#written) if (revision <= applied) this.#written.delete(key)
  }

  /** [W3] The same transaction may be sent again: what is already there is found by its envelope. */
  async #send(request: ITxnRequest): Promise<ITxnResponse> {
    const { keys, progress, endpoint, stopping } = this.#parts
    const end = performance.now() + clusterWriteTimeoutMs
    let failure: unknown
    for (let attempt = 0; ; attempt += 1) {
      const leftMs = end - performance.now()
      if (leftMs <= 0 || stopping.aborted) throw progress.unreachable(failure)
      const door = endpoint(attempt)
      try {
        // [F5] What a node of the federation took in place of a cluster would be lost.
        if (!door.isKnown) await door.ask(keys, Math.min(leftMs, clusterCallTimeoutMs))
        return await door.txn(request, Math.min(leftMs, clusterCallTimeoutMs))
      } catch (error) {
        failure = error
        if (!isPassing(error) && !isNodeError(error, 'INVALID_CONFIG')) {
          // A token may have become void in a way that the client does not know of.
          door.close()
          throw progress.unreachable(error)
        }
      }
      await delay(clusterAttemptPauseMs, stopping).catch(() => undefined)
    }
  }
}

/** The revision at which an earlier attempt, whose answer was lost, has written all of `records`. */
function alreadyThere(records: readonly SealedRecord[], { responses }: ITxnResponse): number | undefined {
  let revision: number | undefined
  for (const [index, { envelope }] of records.entries()) {
    const kv = responses[2 * index]?.response_range.kvs[0]
    if (kv === undefined || Buffer.compare(kv.value, envelope) !== 0) return undefined
    revision = Math.max(revision ?? 0, Number(kv.mod_revision))
  }
  return revision
}

/** The revision of the latest claim to the key of the record of that number, as a refused Txn tells it. */
function latestOf({ responses }: ITxnResponse, index: number): number {
  const claims = responses[2 * index + 1]?.response_range.kvs ?? []
  return claims.reduce((latest, kv) => Math.max(latest, Number(kv.mod_revision)), 0)
}

function moved(records: readonly SealedRecord[], why: string): NodeError {
  const keys = records.map(({ key }) => key)
  const named = keys.length === 1 ? keys[0] : `${keys[0]} and ${keys.length - 1} more`
  const message = `${named} was not written: the registry in the etcd cluster has moved on (${why}); try again`
  return new NodeError('REGISTRY_MOVED', message, { keys })
}
