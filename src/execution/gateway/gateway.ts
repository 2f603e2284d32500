/**
 * The predecessor's gateway: tools that run anywhere say something to the federation, and ask it something, with a key
 * and a value (protocols/gateway.md).
 */
import type { Clock } from '../../base/clock.ts'
import { NodeError } from '../../base/errors.ts'
import type { Startable } from '../../base/lifecycle.ts'
import { inspectedBytesMax, inspectedMax, rawLifeMs, rawValueBytesMax } from '../../base/limits.ts'
import type { Datasets } from '../../datasets/datasets.ts'
import { withheldAs, withheldText } from '../../datasets/policies.ts'
import type { Insights } from '../../monitoring/insights.ts'
import { isKey } from '../../registry/record.ts'
import type { Registry } from '../../registry/registry.ts'
import type { Entry } from '../../registry/watchers.ts'
import { RAW_PREFIX } from './raw-entry.ts'
import { RawListener, type RawListenerParts } from './raw-listener.ts'

export interface GatewayParts extends Omit<RawListenerParts, 'registry' | 'datasets'> {
  readonly registry: Pick<Registry, 'get' | 'list' | 'claims' | 'put' | 'watch'>
  readonly datasets: RawListenerParts['datasets'] & Pick<Datasets, 'find'>
  readonly insights: Pick<Insights, 'at'>
  readonly clock: Clock
}

export class Gateway implements Startable {
  readonly #parts: GatewayParts
  readonly #listener: RawListener

  constructor(parts: GatewayParts) {
    this.#parts = parts
    this.#listener = new RawListener(parts)
  }

  start(): Promise<void> {
    return this.#listener.start()
  }

  stop(): Promise<void> {
    return this.#listener.stop()
  }

  /**
   * [G1] Writes `/raw/<key>` for a minute. Where the key names a file of a dataset, the entry is on the disk when this
   * resolves, and becomes that file.
   *
   * @param value text; JSON where it is to be read as more than text.
   * @throws NodeError INVALID_INPUT, TOO_LARGE, QUEUE_FULL, and DATASET_WITHHELD for a dataset that not all may know of.
   */
  async write(key: string, value: string): Promise<void> {
    const { registry, clock } = this.#parts
    const place = `${RAW_PREFIX}${key.replace(/^\/+/, '')}`
    this.#checkTold(place)
    const bytes = new TextEncoder().encode(value)
    if (bytes.length > rawValueBytesMax) {
      const message = `A raw entry has ${rawValueBytesMax} bytes at most, and this one ${bytes.length}; put larger things into a dataset`
      throw new NodeError('TOO_LARGE', message, { key: place })
    }
    this.#listener.checkRoom()
    await registry.put(place, bytes, { expiresMs: clock.now() + rawLifeMs })
    await this.#listener.note(place)
  }

  /** [G7] The text at a key; undefined when there is none. */
  read(key: string): string | undefined {
    const { registry, insights } = this.#parts
    for (const candidate of candidatesFor(key)) {
      const entry = isKey(candidate) ? registry.get(candidate) : undefined
      if (entry !== undefined) return textOf(entry)
    }
    return insights.at(key)
  }

  /**
   * [G8] Full keys and texts of all that is below a key; undefined when there is nothing.
   *
   * @throws NodeError TOO_LARGE when that is more than one answer holds.
   */
  inspect(key: string): Map<string, string> | undefined {
    for (const candidate of candidatesFor(key)) {
      if (!isKey(candidate)) continue
      const entries = this.#parts.registry.list(`${candidate}/`)
      if (entries.length === 0) continue
      const bytes = entries.reduce((sum, { value }) => sum + value.length, 0)
      if (entries.length > inspectedMax || bytes > inspectedBytesMax) {
        const message = `${entries.length} entries of ${bytes} bytes are below ${candidate}; ask for a part of them`
        throw new NodeError('TOO_LARGE', message, { key: candidate, entries: entries.length, bytes })
      }
      return new Map(entries.map((entry) => [entry.key, textOf(entry)]))
    }
    return undefined
  }

  /** Saves at once what waits. */
  save(): Promise<void> {
    return this.#listener.save()
  }

  /** [G3] [MUST] All members read a raw entry, so none is written about data that they are not to know of. */
  #checkTold(place: string): void {
    const [dataset = ''] = place.slice(RAW_PREFIX.length).split('/')
    const known = this.#parts.datasets.find(dataset)
    const policy = known && withheldAs(known)
    if (policy === undefined) return
    const message = `${place} would tell all members of ${dataset}, which is ${withheldText(policy)}; write under the name of a dataset that all may have`
    throw new NodeError('DATASET_WITHHELD', message, { dataset, policy })
  }
}

/** [G6] Keys are the registry's, with or without the first slash; what is not there is looked for below `/raw/`. */
function candidatesFor(key: string): string[] {
  const bare = key.replace(/^\/+|\/+$/g, '')
  return [`/${bare}`, `${RAW_PREFIX}${bare}`]
}

function textOf({ value }: Entry): string {
  return new TextDecoder().decode(value)
}
