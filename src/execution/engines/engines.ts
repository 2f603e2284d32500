import { NodeError } from '../../base/errors.ts'
import type { ContainerEngine } from './engine.ts'

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
  /** Devices as the machine names them, such as `/dev/nvidia0`. */
  readonly gpus: readonly string[]
}

export const LOCAL_ENGINE = 'local'

/** The container engines of this node. */
export class Engines {
  readonly #engines: ReadonlyMap<string, ContainerEngine>

  constructor(engines: ReadonlyMap<string, ContainerEngine>) {
    this.#engines = engines
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
}
