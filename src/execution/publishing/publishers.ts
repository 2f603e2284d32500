/**
 * Hands the output of a step, once it is committed, to the publishers that the step names, and takes it back when its
 * time is up. What is published is written down before the first byte goes out, so that a crash leaves nothing behind
 * that nobody knows of; and nothing is ever removed but the files that were written down.
 */
import { createReadStream } from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import type { Clock } from '../../base/clock.ts'
import { messageOf, NodeError } from '../../base/errors.ts'
import type { Startable } from '../../base/lifecycle.ts'
import { HOUR_MS, MINUTE_MS, publicationSweepMs, publicationsSweptMax } from '../../base/limits.ts'
import type { Logger } from '../../base/logger.ts'
import { SerialQueue } from '../../base/serial-queue.ts'
import type { PipelineStep } from '../catalogue/pipeline.ts'
import type { Published, Run, StepRun } from '../runs/run.ts'
import { WakeLoop } from '../schedules/wake-loop.ts'
import type { Destination, OutgoingFile } from './destination.ts'
import { digestOfStream, type Manifest, manifestName, manifestOf, manifestText } from './manifest.ts'
import type { Publication, Publications } from './publications.ts'
import { publishedOf } from './published.ts'
import type { PublisherSettings } from './settings.ts'
import { withheldOf } from './withheld.ts'

export interface PublishersParts {
  readonly settings: Readonly<Record<string, PublisherSettings>>
  readonly publications: Publications
  readonly destinationOf: (settings: PublisherSettings) => Destination
  /** Seals a key that a publisher's settings name. */
  readonly sealKey: (variable: string, value: string) => Promise<void>
  /** Whether the data of a dataset stay where they are. */
  readonly isWithheld: (dataset: string) => boolean
  readonly findRun: (id: string) => Run | undefined
  /** Hears of every publication that is gone, those of an earlier life at start. */
  readonly onRemoved: (publication: Publication) => void
  readonly clock: Clock
  readonly log: Logger
}

export interface PublisherView {
  readonly name: string
  readonly kind: PublisherSettings['kind']
  /** Where it leads, without secrets. */
  readonly target: string
  readonly prefix: string
  readonly keepMs?: number
}

export interface PublishRequest {
  readonly run: Run
  readonly step: StepRun
  readonly names: readonly string[]
  /** The step's output as committed. */
  readonly directory: string
  readonly signal: AbortSignal
  readonly say: (line: string) => void
}

const REMOVALS_WAITING_MAX = 1_000

export class Publishers implements Startable {
  readonly #parts: PublishersParts
  readonly #destinations: ReadonlyMap<string, Destination>
  readonly #underWay = new Set<string>()
  readonly #removals = new SerialQueue(REMOVALS_WAITING_MAX)
  #stopping = new AbortController()
  readonly #sweep: WakeLoop
  #started = false

  constructor(parts: PublishersParts) {
    this.#parts = parts
    const made = Object.entries(parts.settings).map(([name, settings]) => {
      return [name, parts.destinationOf(settings)] as const
    })
    this.#destinations = new Map(made)
    this.#sweep = new WakeLoop({
      look: () => this.#look(),
      sleepMaxMs: publicationSweepMs,
      onError: (error) => parts.log.error({ error }, 'publications were not looked at'),
    })
  }

  async start(): Promise<void> {
    if (this.#started) return
    this.#started = true
    this.#stopping = new AbortController()
    const { publications, onRemoved } = this.#parts
    await publications.load()
    for (const each of publications.list()) if (each.state === 'removed') onRemoved(each)
    this.#sweep.start()
  }

  async stop(): Promise<void> {
    this.#started = false
    this.#stopping.abort(new NodeError('CANCELLED', 'The node is stopping'))
    await this.#sweep.stop()
  }

  /** Those that this node has, by name. */
  list(): PublisherView[] {
    return Object.entries(this.#parts.settings).map(([name, { kind, prefix, keepMs }]) => {
      const target = this.#destinations.get(name)?.target ?? ''
      return { name, kind, target, prefix, ...(keepMs === undefined ? {} : { keepMs }) }
    })
  }

  /** Keeps the value of a variable that the settings of a publisher name. @throws NodeError NOT_FOUND, INVALID_INPUT */
  async setKey(variable: string, value: string): Promise<void> {
    const named = Object.values(this.#parts.settings).flatMap(variablesOf)
    if (value === '') throw new NodeError('INVALID_INPUT', 'A key has at least one character')
    if (named.includes(variable)) return this.#parts.sealKey(variable, value)
    const known = named.length === 0 ? 'none is' : `they name ${[...new Set(named)].join(', ')}`
    const message = `No publisher of this node asks for ${variable}; ${known} (setting execution.publishers)`
    throw new NodeError('NOT_FOUND', message, { variable })
  }

  /** Oldest first. */
  publications(): Publication[] {
    return this.#parts.publications.list()
  }

  /**
   * Before the run starts: nobody computes for hours to learn of a slip of the pen.
   *
   * @throws NodeError PUBLISHER_NOT_FOUND; FORBIDDEN for what was made of data that stay here.
   */
  check(names: readonly string[], step?: PipelineStep): void {
    for (const name of names) this.#destination(name)
    const withheld = step === undefined ? [] : withheldOf(step, this.#parts)
    if (step === undefined || withheld.length === 0) return
    const open = names.filter((name) => this.#parts.settings[name]?.withheld !== true)
    if (open.length === 0) return
    const message = `The step ${step.name} works on ${withheld.join(', ')}, whose data stay on this node, and would publish to ${open.join(', ')}; its operator can allow that (execution.publishers, withheld: true)`
    throw new NodeError('FORBIDDEN', message, { withheld, publishers: open })
  }

  /**
   * Publishes to one after another; where one fails, the others get it all the same.
   *
   * @throws NodeError PUBLISHER_NOT_FOUND; PUBLISH_FAILED, also when the signal aborts: `publishedBefore` takes from it
   * what worked.
   */
  async publish(p: PublishRequest): Promise<Published[]> {
    this.check(
      p.names,
      p.run.plan.find(({ name }) => name === p.step.name),
    )
    if (p.names.length === 0) return []
    const manifest = await manifestOf({ ...p, createdMs: this.#parts.clock.now() })
    const published: Published[] = []
    const failed: { publisher: string; problem: string }[] = []
    for (const name of p.names) {
      try {
        published.push(await this.#publishTo(name, manifest, p))
      } catch (cause) {
        if (p.signal.aborted) throw cutShort(cause, published)
        failed.push({ publisher: name, problem: messageOf(cause) })
        p.say(`not published by ${name}: ${messageOf(cause)}`)
        this.#parts.log.warn({ run: p.run.id, publisher: name, error: messageOf(cause) }, 'not published')
      }
    }
    if (failed.length === 0) return published
    const words = failed.map(({ publisher, problem }) => `${publisher} (${problem})`).join(', ')
    const which = failed.length === p.names.length ? '' : ', though by others'
    throw new NodeError('PUBLISH_FAILED', `not published by ${words}${which}`, { failed, published })
  }

  /**
   * Takes a publication back, whatever its time.
   *
   * @throws NodeError NOT_FOUND, CONFLICT while it is being written or where its publisher has changed, and what the
   * publisher throws.
   */
  async remove(id: string): Promise<Publication> {
    const { publications } = this.#parts
    if (publications.get(id).state !== 'removed') await this.#removals.run(() => this.#remove(id))
    return publications.get(id)
  }

  async #publishTo(name: string, manifest: Manifest, p: PublishRequest): Promise<Published> {
    const { publications, clock } = this.#parts
    const { run, step, directory, signal } = p
    const destination = this.#destination(name)
    const outgoing = { name: `${run.id}/${step.name}`, ...(await filesOf(manifest, directory)), signal }
    const place = destination.placeOf(outgoing.name)
    const keepMs = keepOf(run, step, this.#parts.settings[name])
    const id = `${run.id}-${step.name}-${name}`
    let publication: Publication = {
      ...{ id, publisher: name, kind: destination.kind, target: destination.target, state: 'writing' },
      ...{ run: run.id, pipeline: run.pipeline, step: step.name },
      ...(place === undefined ? {} : { place }),
      files: outgoing.files.length,
      bytes: outgoing.files.reduce((sum, { bytes }) => sum + bytes, 0),
      ...{ manifestSha256: outgoing.manifest.sha256, createdMs: manifest.createdMs },
      ...(keepMs === undefined ? {} : { expiresMs: clock.now() + keepMs }),
    }
    this.#underWay.add(id)
    let begun = false
    try {
      // No removal of it is at work from here on.
      await this.#removals.run(() => this.#clearWay(id))
      await publications.begin(publication, manifest)
      begun = true
      const note = async (found: string) => {
        publication = { ...publication, place: found }
        await publications.save(publication)
      }
      const placed = await destination.publish({ ...outgoing, note })
      publication = { ...publication, ...placed, state: 'published' }
      await publications.save(publication)
      return publishedOf(publication)
    } catch (error) {
      // What was sent before the failure goes with the next sweep.
      if (begun) await publications.save({ ...publication, state: 'removing' })
      throw error
    } finally {
      this.#underWay.delete(id)
      this.#sweep.wake()
    }
  }

  /** An earlier try of the same step, which a crash cut from the word that it was done, is taken back first. */
  async #clearWay(id: string): Promise<void> {
    const before = this.#parts.publications.find(id)
    if (before === undefined || before.state === 'removed' || before.kind === 'renku') return
    await this.#undo(before)
  }

  /** @returns how long there is nothing to do, ms. */
  async #look(): Promise<number> {
    const { publications, clock, log } = this.#parts
    const due = publications.list().filter((each) => this.#isDue(each))
    let failures = 0
    for (const { id } of due.slice(0, publicationsSweptMax)) {
      if (this.#stopping.signal.aborted) return publicationSweepMs
      try {
        await this.#removals.run(() => this.#remove(id))
      } catch (error) {
        if (this.#stopping.signal.aborted) return publicationSweepMs
        failures += 1
        log.warn({ publication: id, error: messageOf(error) }, 'a publication was not removed')
      }
    }
    if (due.length > publicationsSweptMax) return MINUTE_MS
    const soonest = publications.list().reduce((at, { state, expiresMs }) => {
      return state === 'published' && expiresMs !== undefined && expiresMs > clock.now()
        ? Math.min(at, expiresMs - clock.now())
        : at
    }, publicationSweepMs)
    return failures > 0 ? Math.min(soonest, HOUR_MS) : soonest
  }

  #isDue({ id, state, expiresMs }: Publication): boolean {
    if (state === 'removed' || this.#underWay.has(id)) return false
    return state !== 'published' || (expiresMs !== undefined && expiresMs <= this.#parts.clock.now())
  }

  async #remove(id: string): Promise<void> {
    const { publications, clock, onRemoved, log } = this.#parts
    const publication = publications.get(id)
    if (publication.state === 'removed') return
    if (this.#underWay.has(id)) {
      throw new NodeError('CONFLICT', `${id} is being published right now; try again when it is done`, { id })
    }
    try {
      await this.#undo(publication)
    } catch (error) {
      // A stop is no problem of it: the next start goes on.
      if (!this.#stopping.signal.aborted) {
        await publications.save({ ...publication, problem: messageOf(error) })
      }
      throw error
    }
    const { problem: _, ...rest } = publication
    const removed: Publication = { ...rest, state: 'removed', removedMs: clock.now() }
    await publications.save(removed)
    onRemoved(removed)
    log.info({ publication: id, publisher: publication.publisher }, 'a publication was removed')
  }

  async #undo({ id, publisher, kind, target, place, isOurs, state }: Publication): Promise<void> {
    const destination = this.#destinations.get(publisher)
    if (destination === undefined || destination.target !== target) {
      const now =
        destination === undefined ? 'is not set on this node any more' : `leads to ${destination.target} now`
      const message = `${id} is at ${target}, and the publisher ${publisher} ${now}; set it as it was (execution.publishers), and remove it again`
      throw new NodeError('CONFLICT', message, { id, target })
    }
    if (place === undefined || isOurs === false) return
    // One that did not come about: a project keeps what it took, and only whole.
    if (kind === 'renku' && state !== 'published') return
    const { publications } = this.#parts
    // The same content may be published more than once, where content names the place.
    const isShared = publications.list().some((other) => {
      return other.id !== id && other.state !== 'removed' && other.target === target && other.place === place
    })
    if (!isShared) await destination.remove(place, await publications.paths(id), this.#stopping.signal)
  }

  #destination(name: string): Destination {
    const destination = this.#destinations.get(name)
    if (destination !== undefined) return destination
    const names = [...this.#destinations.keys()].join(', ')
    const known = names === '' ? 'it has none' : `it has ${names}`
    const message = `This node has no publisher named ${name}; ${known} (setting execution.publishers)`
    throw new NodeError('PUBLISHER_NOT_FOUND', message, { name })
  }
}

/** What is out in the world stays known, whatever ended the run. */
function cutShort(cause: unknown, published: readonly Published[]): NodeError {
  return new NodeError('PUBLISH_FAILED', 'publishing was stopped', { published }, { cause })
}

function variablesOf(settings: PublisherSettings): string[] {
  if (settings.kind === 's3') return [settings.accessKeyVariable, settings.secretKeyVariable]
  return settings.kind === 'ipfs' && settings.tokenVariable !== undefined ? [settings.tokenVariable] : []
}

/** As long as the publisher keeps things, or shorter where the step says so. */
function keepOf(run: Run, step: StepRun, settings: PublisherSettings | undefined): number | undefined {
  // What a project's people have built on is not taken back.
  if (settings?.kind === 'renku') return undefined
  const wanted = run.plan.find(({ name }) => name === step.name)?.keepMs
  if (wanted === undefined || settings?.keepMs === undefined) return wanted ?? settings?.keepMs
  return Math.min(wanted, settings.keepMs)
}

async function filesOf(manifest: Manifest, directory: string) {
  const files = manifest.files.map((file): OutgoingFile => {
    return { ...file, open: () => createReadStream(join(directory, file.path)) }
  })
  const content = Buffer.from(manifestText(manifest))
  const open = () => Readable.from([content])
  const digest = await digestOfStream(open())
  return { files, manifest: { path: manifestName(manifest.files), ...digest, open } }
}
