import { z } from 'zod'

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
        variables: z.array(z.string()).describe('names of the variables that are filled with secrets'),
        approved: z.boolean(),
      }),
    ),
  })
  .meta({ id: 'Approval', description: 'the steps of a pipeline that ask for secrets' })
