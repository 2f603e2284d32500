import { messageOf, NodeError } from '../../base/errors.ts'
import type { Startable } from '../../base/lifecycle.ts'
import { engineLookLifeMs, engineLookTimeoutMs, engineWatchIntervalMs } from '../../base/limits.ts'
import { type Logger, silentLogger } from '../../base/logger.ts'
import { delay, withDeadline } from '../../base/wait.ts'
import type { ContainerEngine } from './engine.ts'
import type { EngineFacts, GuardState } from './engine-facts.ts'
import type { NetworkGuard } from './network-guard.ts'
import { type EngineSettings, LOCAL_ENGINE } from './settings.ts'

export { LOCAL_ENGINE } from './settings.ts'

/** An engine as the queue looks at it: what runs may take of its machine. */
export interface EngineState {
  /** Its name in the settings; `local` for the one of `docker.socketPath`. */
  readonly id: string
  readonly up: boolean
  /** Why it is not up. */
  readonly problem?: string
  readonly cpus: number
  readonly memoryBytes: number
  readonly diskBytes: number
  /** Devices as a step is given them, such as `nvidia:0`. */
  readonly gpus: readonly string[]
  readonly kind?: EngineFacts['kind']
  readonly version?: string
  readonly machines?: number
  readonly note?: string
  readonly network?: GuardState
  /** Whether it sees this node's files, or they are carried. */
  readonly sharesFiles?: boolean
  readonly labels?: Readonly<Record<string, string>>
}

export interface EnginesOptions {
  /** What the operator says of engines, by their names. */
  readonly settings?: ReadonlyMap<string, Pick<EngineSettings, 'capacity' | 'labels'>>
  /** Bytes of the disk through which all outputs pass. */
  readonly diskBytes?: () => Promise<number>
  readonly guards?: readonly Pick<NetworkGuard, 'keep' | 'remove'>[]
  readonly log?: Logger
  /** Milliseconds that only grow. */
  readonly now?: () => number
}

/** The last look at one engine. */
interface Look {
  readonly state: EngineState
  readonly atMs: number
}

/** The container engines of this node. */
export class Engines implements Startable {
  readonly #engines: ReadonlyMap<string, ContainerEngine>
  readonly #options: EnginesOptions
  readonly #looks = new Map<string, Look>()
  /** Looks under way, one per engine at most. */
  readonly #looking = new Map<string, Promise<EngineState>>()
  readonly #onUp = new Set<(id: string) => void>()
  #watching: { stop: AbortController; done: Promise<void> } | undefined

  constructor(engines: ReadonlyMap<string, ContainerEngine>, options: EnginesOptions = {}) {
    this.#engines = engines
    this.#options = options
  }

  get ids(): string[] {
    return [...this.#engines.keys()]
  }

  /** @throws NodeError ENGINE_UNAVAILABLE when the settings name no such engine (any more). */
  of(id: string = LOCAL_ENGINE): ContainerEngine {
    const engine = this.#engines.get(id)
    if (engine !== undefined) return engine
    throw new NodeError('ENGINE_UNAVAILABLE', `This node has no container engine named ${id}`, { engine: id })
  }

  /** Looks at the engines again and again, until it is stopped; works without it too, by looking when it is asked. */
  async start(): Promise<void> {
    if (this.#watching !== undefined) return
    const stop = new AbortController()
    const watch = async () => {
      while (!stop.signal.aborted) {
        await Promise.all([...this.ids.map((id) => this.#look(id)), this.#keepGuards()])
        await delay(engineWatchIntervalMs, stop.signal).catch(() => undefined)
      }
    }
    this.#watching = { stop, done: watch() }
  }

  async stop(): Promise<void> {
    const watching = this.#watching
    this.#watching = undefined
    watching?.stop.abort()
    await watching?.done
    for (const guard of this.#options.guards ?? []) {
      await guard.remove().catch((error: unknown) => {
        // Containers of a run that was cut may be on the network yet: then its rules are better kept.
        this.#log.warn({ error: messageOf(error) }, 'a network of bridged steps stays, with its rules')
      })
    }
  }

  /**
   * All engines as they were a few seconds ago at most. One that was down is not waited for again: it is looked at
   * meanwhile, and told as it was.
   */
  states(): Promise<EngineState[]> {
    return Promise.all(this.ids.map((id) => this.state(id)))
  }

  /** The same, looked at now, which takes as long as the slowest of them. */
  look(): Promise<EngineState[]> {
    return Promise.all(this.ids.map((id) => this.#look(id)))
  }

  /** One of them, looked at now. @throws NodeError ENGINE_UNAVAILABLE when the settings name no such engine. */
  async lookAt(id: string): Promise<EngineState> {
    this.of(id)
    return this.#look(id)
  }

  /** @throws NodeError ENGINE_UNAVAILABLE when the settings name no such engine. */
  async state(id: string): Promise<EngineState> {
    this.of(id)
    const look = this.#looks.get(id)
    if (look !== undefined && this.#now() - look.atMs < engineLookLifeMs) return look.state
    const looking = this.#look(id)
    return look === undefined || look.state.up ? looking : look.state
  }

  /** Hears of engines that answer again. @returns how to stop hearing. */
  onUp(callback: (id: string) => void): () => void {
    this.#onUp.add(callback)
    return () => this.#onUp.delete(callback)
  }

  /** Never rejects: that an engine is down is what there is to say of it. */
  #look(id: string): Promise<EngineState> {
    const under = this.#looking.get(id)
    if (under !== undefined) return under
    const looking = this.#seen(id).then((state) => {
      const before = this.#looks.get(id)?.state
      this.#looks.set(id, { state, atMs: this.#now() })
      this.#looking.delete(id)
      if (before !== undefined && before.up !== state.up) this.#tell(state)
      return state
    })
    this.#looking.set(id, looking)
    return looking
  }

  #tell({ id, up, problem }: EngineState): void {
    if (up) {
      this.#log.info({ engine: id }, 'a container engine answers again')
      for (const callback of this.#onUp) callback(id)
    } else this.#log.warn({ engine: id, problem }, 'a container engine is down')
  }

  async #seen(id: string): Promise<EngineState> {
    const engine = this.of(id)
    const { settings, diskBytes } = this.#options
    const { capacity, labels = {} } = settings?.get(id) ?? {}
    const { cpus = 0, memoryBytes = 0, gpus = [] } = capacity ?? {}
    const shared = { id, gpus, labels, sharesFiles: engine.sharesFiles }
    try {
      const what = `Looking at the container engine ${id}`
      const facts = await withDeadline(engine.facts(), engineLookTimeoutMs, what)
      const { kind, version, machines, network, note } = facts
      return {
        ...shared,
        up: true,
        cpus: cpus || facts.cpus,
        memoryBytes: memoryBytes || facts.memoryBytes,
        diskBytes: capacity?.diskBytes || ((await diskBytes?.()) ?? Number.MAX_SAFE_INTEGER),
        ...{ kind, version, machines, network },
        ...(note === undefined ? {} : { note }),
      }
    } catch (error) {
      const none = { cpus, memoryBytes, diskBytes: capacity?.diskBytes ?? 0 }
      return { ...shared, ...none, up: false, problem: messageOf(error) }
    }
  }

  async #keepGuards(): Promise<void> {
    for (const guard of this.#options.guards ?? []) {
      await guard.keep().catch((error: unknown) => {
        this.#log.error({ error: messageOf(error) }, 'the rules around bridged steps do not stand')
      })
    }
  }

  #now(): number {
    return (this.#options.now ?? (() => performance.now()))()
  }

  get #log(): Logger {
    return this.#options.log ?? silentLogger
  }
}
