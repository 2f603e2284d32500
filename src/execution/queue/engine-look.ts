import { availableParallelism, totalmem } from 'node:os'
import { messageOf } from '../../base/errors.ts'
import type { EngineState, Engines } from '../engines/engines.ts'
import type { EngineLook } from './engine-watch.ts'

/** Asks every engine whether it answers. */
export function lookAt(engines: Pick<Engines, 'ids' | 'of'>): EngineLook {
  return () => Promise.all(engines.ids.map((id) => stateOf(engines, id)))
}

async function stateOf(engines: Pick<Engines, 'of'>, id: string): Promise<EngineState> {
  const machine = { cpus: availableParallelism(), memoryBytes: totalmem(), diskBytes: 0, gpus: [] }
  try {
    await engines.of(id).ping()
    return { id, up: true, ...machine }
  } catch (error) {
    return { id, up: false, problem: messageOf(error), ...machine }
  }
}
