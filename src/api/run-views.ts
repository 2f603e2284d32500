import { z } from 'zod'

/** What the API says of runs. The schema decides what is told: of secrets, their names alone. */
const timeMs = z.int().describe('milliseconds since 1970')

const snapshotSchema = z.object({ file: z.string(), value: z.number() })

export const reportSchema = z
  .object({
    verdict: z.string(),
    detector: z.string().optional().describe('the rule that judged; absent: rolling-average'),
    why: z.string().optional(),
    score: z.number().optional(),
    threshold: z.number().optional(),
    suppressed: z.string().optional().describe('why nobody was told of this spike'),
    snapshots: z.array(snapshotSchema),
    rollingAverage: z.number().optional(),
    value: z.number().optional(),
    difference: z.number().optional(),
    gainPercent: z.number().optional(),
    problems: z.array(z.string()),
  })
  .meta({ id: 'Report', description: 'what the control metric of a tool did' })

export const grantedSchema = z.object({
  environment: z
    .record(z.string(), z.string())
    .describe("variables that this node's settings added or overrode"),
  secrets: z.array(z.string()).describe('names of the variables that were filled with secrets'),
  network: z.string(),
  root: z.string().optional(),
  devices: z.array(z.string()).optional(),
  dockerSocket: z.boolean(),
  user: z.string(),
  memoryBytes: z.int(),
  cpus: z.number(),
  pids: z.int(),
  timeoutMs: z.int(),
  outputBytes: z.int().optional(),
})

const stagedSourceSchema = z.object({
  name: z.string(),
  kind: z.string(),
  source: z.string(),
  resolved: z.string().optional(),
  sha256: z.string().optional(),
  bytes: z.int().optional(),
  commit: z.string().optional(),
})

const publishedSchema = z.object({
  publisher: z.string(),
  kind: z.string(),
  address: z.string(),
  files: z.int(),
  bytes: z.int(),
  manifestSha256: z.string(),
  expiresMs: timeMs.optional(),
  removedMs: timeMs.optional(),
})

const stepRunSchema = z
  .object({
    name: z.string(),
    tool: z.string(),
    state: z.string(),
    image: z.string().optional(),
    digest: z.string().optional(),
    exitCode: z.int().optional(),
    inputDataset: z.string().optional(),
    inputCommit: z.string().optional(),
    inputFrom: z
      .enum(['ground-truth', 'this-run', 'named'])
      .optional()
      .describe(
        'the agreed state, what an earlier step of this very run made, or the commit that the run names',
      ),
    outputDataset: z.string(),
    outputBranch: z.string().optional(),
    outputCommit: z.string().optional(),
    outputChanged: z.boolean().optional(),
    containerId: z.string().optional(),
    engine: z.string().optional().describe("which of the node's engines ran it"),
    retries: z.int().optional().describe('times that it was begun again after the machinery failed'),
    inputs: z.array(stagedSourceSchema).optional(),
    published: z.array(publishedSchema).optional(),
    filter: z
      .object({
        tool: z.string(),
        image: z.string(),
        digest: z.string(),
        exitCode: z.int().optional(),
      })
      .optional(),
    doneBy: z.string().optional().describe('the run that did this step, where this one took it over'),
    granted: grantedSchema.optional(),
    report: reportSchema.optional(),
    startedMs: timeMs.optional(),
    endedMs: timeMs.optional(),
  })
  .meta({ id: 'StepRun' })

export const runSchema = z
  .object({
    id: z.string(),
    pipeline: z.string(),
    trigger: z.object({
      kind: z.string(),
      slot: timeMs.optional(),
      of: z.string().optional(),
      by: z.string().optional(),
      request: z.string().optional(),
      identity: z.string().optional().describe('what a scheduled run stands for, whoever runs it'),
    }),
    state: z.string(),
    reason: z.string().optional(),
    code: z.string().optional(),
    slot: timeMs.describe('the time that the results are for, in milliseconds since 1970'),
    steps: z.array(stepRunSchema),
    transitions: z.array(
      z.object({ state: z.string(), step: z.string().optional(), timeMs, reason: z.string().optional() }),
    ),
    createdMs: timeMs,
    endedMs: timeMs.optional(),
    owner: z.string().optional().describe('node, or the peer id of the member that asked for it'),
    author: z
      .string()
      .optional()
      .describe('peer id of another member that wrote its plan, or the schedule that began it'),
    priority: z.int().optional(),
    notBeforeMs: timeMs.optional(),
    waitUntilMs: timeMs.optional(),
    timeoutMs: z.int().optional(),
    allocation: z
      .object({
        engine: z.string(),
        cpus: z.number(),
        memoryBytes: z.int(),
        diskBytes: z.int(),
        gpus: z.array(z.string()),
      })
      .optional(),
    requestKey: z.string().optional(),
    queue: z
      .object({ position: z.int(), why: z.string() })
      .optional()
      .describe('of a run that waits: where it stands in line, and why it waits'),
  })
  .meta({ id: 'Run' })

export type RunView = z.output<typeof runSchema>
