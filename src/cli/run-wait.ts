import { type RunView, runSchema } from '../api/run-views.ts'
import { clientPollMs } from '../base/limits.ts'
import { delay } from '../base/wait.ts'
import type { ApiClient } from './client.ts'
import type { Session } from './session.ts'

/** Has no deadline of its own: a run ends by its steps' time-outs, and whoever waits may stop waiting. */
export async function untilEnded(session: Session, client: ApiClient, id: string): Promise<RunView> {
  let told = 0
  let why: string | undefined
  for (;;) {
    const run = await client.get(`/runs/${encodeURIComponent(id)}`, runSchema)
    for (const { state, step, reason } of run.transitions.slice(told)) {
      session.out.note([state, step, reason].filter((part) => part !== undefined).join(' '))
    }
    told = run.transitions.length
    if (run.queue !== undefined && run.queue.why !== why) session.out.note(`waits: ${run.queue.why}`)
    why = run.queue?.why
    if (run.endedMs !== undefined) return run
    await delay(clientPollMs)
  }
}
