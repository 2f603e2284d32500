import { z } from 'zod'
import type { ShownRemoteRun } from '../execution/remote/arrival.ts'

const timeMs = z.int().describe('milliseconds since 1970')

const refusalSchema = z.object({
  peer: z.string(),
  name: z.string(),
  code: z.string(),
  reason: z.string(),
})

export const remoteRunSchema = z
  .object({
    id: z.string(),
    pipeline: z.string(),
    state: z
      .string()
      .describe('as of a run here, as the host last told it; requested or placed while nothing is told yet'),
    contact: z.enum(['requested', 'placed', 'following', 'ended']).describe('what this node does about it'),
    createdMs: timeMs,
    asked: z.object({
      where: z.string().optional(),
      on: z.array(z.string()).optional(),
      atData: z.boolean().optional(),
    }),
    host: z.object({ peer: z.string(), name: z.string() }).optional(),
    hostRun: z.string().optional().describe('its id at the host'),
    position: z.int().optional().describe('in the queue of the host'),
    why: z.string().optional().describe('why it waits'),
    lostContact: z
      .object({ sinceMs: timeMs, reason: z.string() })
      .optional()
      .describe('since when the host has not been reached; what it does meanwhile is not known'),
    cancelRequestedMs: timeMs.optional(),
    refusals: z.array(refusalSchema).describe('members that did not take it, and why'),
    tools: z.record(z.string(), z.object({ image: z.string(), digest: z.string().optional() })),
    steps: z.array(
      z.object({
        name: z.string(),
        tool: z.string(),
        state: z.string().optional(),
        digest: z.string().optional(),
        exitCode: z.int().optional(),
        outputDataset: z.string(),
        output: z
          .object({ branch: z.string(), commit: z.string(), tree: z.string(), arrival: z.string() })
          .optional()
          .describe('arrival: here, awaited, not-copied, or mismatch where what the host told is not so'),
      }),
    ),
    transitions: z.array(
      z.object({ state: z.string(), step: z.string().optional(), timeMs, reason: z.string().optional() }),
    ),
    logs: z.boolean().optional().describe('whether the host shows what the tools print'),
    end: z
      .object({
        state: z.string(),
        code: z.string().optional(),
        reason: z.string().optional(),
        endedMs: timeMs,
      })
      .optional(),
  })
  .meta({ id: 'RemoteRun', description: 'a run of this node at another member' })
export type RemoteRunView = z.output<typeof remoteRunSchema>

/** The schema decides what is told. */
export function remoteRunView({ run, outputs }: ShownRemoteRun): RemoteRunView {
  const steps = run.steps.map((step) => {
    const done = run.stepsDone.find(({ name }) => name === step.name)
    const output = outputs.find((one) => one.step === step.name)
    return { ...done, name: step.name, tool: step.tool, outputDataset: step.output_dataset, output }
  })
  const { state: contact, runState, end } = run
  return remoteRunSchema.parse({ ...run, steps, contact, state: end?.state ?? runState ?? contact })
}

export const askedPlacesSchema = z.object({
  answers: z.array(
    z.object({
      peer: z.string(),
      name: z.string(),
      held: z.int().describe("how many of the run's datasets it holds"),
      offered: z.object({
        granted: z.object({
          cpus: z.number(),
          memoryBytes: z.int(),
          diskBytes: z.int(),
          pids: z.int(),
          stepTimeoutMs: z.int(),
          runTimeoutMs: z.int(),
        }),
        free: z.int().describe('how many more runs could begin at once; below 1, so many wait'),
        logs: z.boolean(),
      }),
    }),
  ),
  refusals: z.array(refusalSchema),
})
