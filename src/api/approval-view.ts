import { z } from 'zod'

export const revokedSchema = z
  .object({
    pipeline: z.string(),
    steps: z.array(z.string()).describe('those that had secrets, or data that stay here, until now'),
  })
  .meta({ id: 'Revoked' })

/** What there is to trust in a pipeline, as `Execution.approve` tells it. */
export const approvalViewSchema = z
  .object({
    pipeline: z.string(),
    fingerprint: z.string().describe('names exactly these steps as they stand'),
    steps: z.array(
      z.object({
        step: z.string(),
        tool: z.string(),
        image: z.string(),
        digest: z.string().describe('the image that the reference means on this node'),
        cmd: z.array(z.string()).nullable(),
        env: z.record(z.string(), z.string()),
        output: z
          .object({
            dataset: z.string(),
            policy: z.enum(['shared', 'local-only', 'compute-only', 'granted']).optional(),
          })
          .describe('where what comes out goes, and who gets it there'),
        rights: z
          .record(z.string(), z.unknown())
          .describe('what else the step asks for, such as a network, inputs, publishers'),
        variables: z.array(z.string()).describe('names of the variables that are filled with secrets'),
        datasets: z
          .array(
            z.object({
              dataset: z.string(),
              id: z.string(),
              policy: z.enum(['local-only', 'compute-only', 'granted']),
              use: z.enum(['reads', 'writes']),
            }),
          )
          .describe(
            'what it works on that not all members may have (granted: those with a grant alone), where another member had a hand in the pipeline',
          ),
        approved: z.boolean(),
      }),
    ),
  })
  .meta({
    id: 'Approval',
    description: 'the steps of a pipeline that ask for secrets, or for data that stay on this node',
  })
