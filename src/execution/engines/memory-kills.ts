import { text } from 'node:stream/consumers'
import { engineCallTimeoutMs, memoryKillSettleMaxMs, memoryKillSettleMs } from '../../base/limits.ts'
import { delay } from '../../base/wait.ts'
import type { DockerConnection } from './docker-connection.ts'

/** Exit code of what SIGKILL ended, by the memory limit or by somebody. */
export const KILLED = 137
/** Seconds since 1970. Without a beginning, no past events are told; a container's own are few. */
const EVER = '1'

/** How Docker tells of a container that has ended; times of the engine's own clock. */
export interface EndedState {
  readonly ExitCode: number
  readonly OOMKilled: boolean
  readonly FinishedAt: string
}

/**
 * Whether the memory limit killed a process of a container. Docker notes it in the state only where it hears of the kill
 * before the end; where it hears later, its events tell. Of a tool that ends within milliseconds of the kill of one of
 * its children it may never hear (Docker 20.10 on a busy machine, some of a hundred): nobody can tell then.
 *
 * @param heardMs when the end was heard of, by `performance.now()`: events are asked for until as long after the end,
 * by the engine's clock, since those of the future would be waited for.
 */
export async function wasKilledByMemory(
  connection: DockerConnection,
  container: string,
  state: EndedState,
  heardMs: number,
): Promise<boolean> {
  if (state.OOMKilled) return true
  for (;;) {
    if (state.ExitCode === KILLED) await delay(memoryKillSettleMs)
    if (await tellsOfMemory(connection, container, state, heardMs)) return true
    if (state.ExitCode !== KILLED || performance.now() - heardMs > memoryKillSettleMaxMs) return false
  }
}

async function tellsOfMemory(
  connection: DockerConnection,
  container: string,
  state: EndedState,
  heardMs: number,
): Promise<boolean> {
  const sinceEndMs = performance.now() - heardMs
  const until = ((Date.parse(state.FinishedAt) + sinceEndMs) / 1_000).toFixed(3)
  const filters = { type: ['container'], container: [container], event: ['oom'] }
  const asked = { since: EVER, until, filters }
  const events = await connection.call(
    'asking what befell a container',
    engineCallTimeoutMs,
    async (docker) => text(await docker.getEvents(asked as object)),
  )
  return events.trim() !== ''
}
