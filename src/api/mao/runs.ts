import { createRoute, type OpenAPIHono } from '@hono/zod-openapi'
import { z } from 'zod'
import { NodeError } from '../../base/errors.ts'
import { runAwaitedMs, runOutputBytesMax, runsAwaitedMax } from '../../base/limits.ts'
import { nameSchema } from '../../base/names.ts'
import type { Run } from '../../execution/runs/run.ts'
import type { ApiNode } from '../api-node.ts'
import { demandSay } from '../claim-rights.ts'
import { body } from '../routing.ts'
import { asJson, maoRoutesApart, says, told } from './answers.ts'
import { PIPELINE_NOT_FOUND } from './pipelines.ts'

const run = createRoute({
  method: 'post',
  middleware: asJson,
  path: '/pipeline/run',
  summary: 'Run a pipeline and wait for its end, or schedule it, for clients of the predecessor',
  request: {
    body: body(
      z.object({
        name: nameSchema,
        cron: z.string().nullish().describe('when to run it, again and again; null runs it now'),
      }),
    ),
  },
  responses: says(
    z.object({
      pipeline: z.string(),
      output: z.string().optional().describe('what the tools printed'),
      job_id: z.string().optional().describe('what DELETE /jobs/{id} takes'),
    }),
    'How the run went, or what the schedule is called',
  ),
})

const list = createRoute({
  method: 'get',
  path: '/jobs',
  summary: 'Schedules and when each fires next, for clients of the predecessor',
  responses: says(z.record(z.string(), z.string()), 'Times as Python writes them, in UTC'),
})

const remove = createRoute({
  method: 'delete',
  path: '/jobs/{id}',
  summary: 'Unschedule a pipeline, for clients of the predecessor',
  request: { params: z.object({ id: z.string() }) },
  responses: says(z.string(), 'That it is unscheduled'),
})

/** @param stopping aborts when the server stops. */
export function maoRunRoutes(node: ApiNode, stopping: AbortSignal): OpenAPIHono {
  const routes = maoRoutesApart()
  let awaited = 0

  routes.openapi(run, async (c) => {
    const { name: pipeline, cron } = c.req.valid('json')
    const { execution } = node.federation
    if (execution.pipelines.get(pipeline) === undefined) return told(c, PIPELINE_NOT_FOUND, 404)
    // Its first versions said 'none' where there is no rule.
    if (cron !== null && cron !== undefined && cron !== '' && cron !== 'none') {
      demandSay(c, node, `/schedules/${pipeline}`)
      // [W9] One schedule a pipeline, so that its name is the job's.
      const scheduled = await execution.timetable.add({ pipeline, cron })
      return told(c, { pipeline, job_id: scheduled.pipeline })
    }
    if (awaited >= runsAwaitedMax) {
      const message = `${runsAwaitedMax} requests wait for their runs already; POST /api/v1/runs does not wait`
      throw new NodeError('QUEUE_FULL', message)
    }
    awaited += 1
    try {
      const { id } = await execution.submit(pipeline)
      const ended = await endOf(id, c.req.raw.signal)
      const output = await outputOf(id)
      if (ended.state === 'succeeded') return told(c, { pipeline, output })
      // [W8] The predecessor's server failed with the tool; a run that failed is no success here either.
      return told(c, { detail: endText(ended), pipeline, output }, 500)
    } finally {
      awaited -= 1
    }
  })

  /** @throws NodeError TIMED_OUT, CANCELLED; the run goes on. */
  async function endOf(id: string, gone: AbortSignal): Promise<Run> {
    const late = AbortSignal.timeout(runAwaitedMs)
    try {
      return await node.federation.execution.finished(id, AbortSignal.any([late, gone, stopping]))
    } catch (cause) {
      const goesOn = `run ${id} goes on; "maoctl run show ${id}" tells its end`
      if (late.aborted)
        throw new NodeError('TIMED_OUT', `It has taken too long to wait for: ${goesOn}`, { id }, { cause })
      if (gone.aborted || stopping.aborted)
        throw new NodeError('CANCELLED', `Nobody waits any more: ${goesOn}`, { id }, { cause })
      throw cause
    }
  }

  async function outputOf(id: string): Promise<string> {
    const { reading } = node.federation.execution
    const { bytes } = await reading.state(id)
    let output = ''
    for await (const text of reading.text(id, { from: Math.max(0, bytes - runOutputBytesMax) }))
      output += text
    return output
  }

  routes.openapi(list, (c) => {
    const schedules = node.federation.execution.timetable.list()
    return told(c, Object.fromEntries(schedules.map((each) => [each.pipeline, pythonTime(each.nextMs)])))
  })
  routes.openapi(remove, async (c) => {
    const { id } = c.req.valid('param')
    demandSay(c, node, `/schedules/${id}`)
    await node.federation.execution.timetable.remove(id)
    return told(c, `Unscheduled ${id}`)
  })
  return routes
}

/** [W9] `2026-11-21 03:00:00+00:00`, as Python writes a time of a zone; `None` for no time. */
export function pythonTime(timeMs: number | undefined): string {
  if (timeMs === undefined) return 'None'
  const [date, time = ''] = new Date(timeMs).toISOString().split('T')
  return `${date} ${time.slice(0, 8)}+00:00`
}

function endText({ id, pipeline, state, reason }: Run): string {
  return `Run ${id} of ${pipeline} ended as ${state}${reason === undefined ? '' : `: ${reason}`}`
}
