import { createHash } from 'node:crypto'
import { z } from 'zod'

export const MESSAGE_EVENTS = ['spike', 'run.started', 'run.ended'] as const
export const messageEventSchema = z.enum(MESSAGE_EVENTS)
export type MessageEvent = z.output<typeof messageEventSchema>

/** Something that people outside want to hear of. It holds names, states, digests and commits, and never a secret. */
export interface Message {
  /** The same for the same happening, however often it comes up, so that a receiver can tell. */
  readonly id: string
  readonly event: MessageEvent
  readonly timeMs: number
  /** One line for people. */
  readonly subject: string
  /** The same in some lines. */
  readonly text: string
  /** For programs. */
  readonly data: Readonly<Record<string, unknown>>
}

/** `msg_` and 128 bits of the SHA-256 over what happened. Pure. */
export function messageId(event: MessageEvent, ...of: readonly string[]): string {
  const hash = createHash('sha256').update(JSON.stringify([event, ...of]))
  return `msg_${hash.digest('base64url').slice(0, 22)}`
}

/** A run as it is told of; execution's own records fit. */
export interface ToldRun {
  readonly id: string
  readonly pipeline: string
  readonly state: string
  readonly reason?: string
  readonly slot: number
  readonly createdMs: number
  readonly endedMs?: number
  /** `node`, or the peer id of the member that asked for it. Absent: `node`. */
  readonly owner?: string
  readonly steps: readonly {
    readonly name: string
    readonly tool: string
    readonly state: string
    readonly digest?: string
    readonly outputDataset: string
    readonly outputCommit?: string
  }[]
}

export interface Teller {
  readonly peer: string
  readonly name: string
}

/** What is told when a run begins or has ended. Pure. */
export function runMessage(
  run: ToldRun,
  event: 'run.started' | 'run.ended',
  by: Teller,
  timeMs: number,
): Message {
  const { id, pipeline, state, reason, slot, steps } = run
  const said = event === 'run.started' ? 'has begun' : `has ended: ${state}`
  const subject = `${pipeline}: run ${id} on ${by.name} ${said}`
  const lines = steps.map((step) => `  ${step.name} (${step.tool}): ${step.state}`)
  const why = event === 'run.ended' && reason !== undefined ? [`Reason: ${reason}`] : []
  const told = steps.map(({ name, tool, state: stepState, digest, outputDataset, outputCommit }) => {
    return { name, tool, state: stepState, digest, outputDataset, outputCommit }
  })
  const data = { run: id, pipeline, state, reason, slot, node: by.name, peer: by.peer, steps: told }
  return {
    id: messageId(event, by.peer, id),
    event,
    timeMs,
    subject,
    text: [subject, ...why, ...lines].join('\n'),
    data,
  }
}

/** What is told of a spike. Pure. */
export function spikeMessage(
  spike: {
    tool: string
    run: string
    pipeline: string
    step: string
    dataset: string
    commit: string
    why?: string
    detector?: string
    value?: number
    rollingAverage?: number
  },
  by: Teller,
  timeMs: number,
): Message {
  const { tool, pipeline, step, dataset, commit, why = '' } = spike
  const subject = `${pipeline}: a spike in ${tool} on ${by.name}`
  const text = [subject, why, `Step ${step}, dataset ${dataset}, commit ${commit}`].join('\n')
  const id = messageId('spike', by.peer, dataset, step, commit)
  return { id, event: 'spike', timeMs, subject, text, data: { ...spike, node: by.name, peer: by.peer } }
}
