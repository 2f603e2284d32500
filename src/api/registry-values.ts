import type { z } from 'zod'
import { NodeError } from '../base/errors.ts'
import { problemsToldMax } from '../base/limits.ts'
import { isName, parseName } from '../base/names.ts'
import {
  ballotSchema,
  certificateSchema,
  closingSchema,
  confirmationSchema,
  openingSchema,
  preparedSchema,
  voteSchema,
} from '../consensus/records.ts'
import {
  ballotsPrefix,
  confirmationsPrefix,
  preparedPrefix,
  roundsPrefix,
  truthPrefix,
  votesPrefix,
} from '../consensus/round-id.ts'
import { datasetSchema } from '../datasets/dataset-record.ts'
import { headSchema } from '../datasets/heads.ts'
import { replicaSchema } from '../datasets/replicas.ts'
import { pipelineSchema } from '../execution/catalogue/pipeline.ts'
import { toolSchema } from '../execution/catalogue/tool.ts'
import { claimSchema, claimsPrefix } from '../execution/schedules/claim.ts'
import { scheduleSchema } from '../execution/schedules/schedule.ts'
import { presenceSchema } from '../federation/presence.ts'
import { memberSchema } from '../federation/standing.ts'
import { notificationSchema } from '../monitoring/monitor.ts'
import { decodeJson } from '../registry/collection.ts'

interface Form {
  readonly keys: RegExp
  readonly schema: z.ZodType
  /** What the last segment names, where it is a name that people choose. */
  readonly names?: string
}

/** What members read from shared keys: a value that does not fit is left out by all of them. */
const FORMS: readonly Form[] = [
  { keys: /^\/tools\//, schema: toolSchema, names: 'tool' },
  { keys: /^\/pipelines\//, schema: pipelineSchema, names: 'pipeline' },
  { keys: /^\/schedules\//, schema: scheduleSchema, names: 'pipeline' },
  { keys: new RegExp(`^${claimsPrefix}`), schema: claimSchema },
  { keys: /^\/dataset\//, schema: datasetSchema, names: 'dataset' },
  { keys: /^\/members\//, schema: memberSchema },
  { keys: /^\/presence\//, schema: presenceSchema },
  { keys: /^\/heads\//, schema: headSchema },
  { keys: /^\/replicas\//, schema: replicaSchema },
  { keys: /^\/notifications\//, schema: notificationSchema },
  { keys: new RegExp(`^${roundsPrefix}.*/opening$`), schema: openingSchema },
  { keys: new RegExp(`^${roundsPrefix}.*/closing$`), schema: closingSchema },
  { keys: new RegExp(`^${ballotsPrefix}`), schema: ballotSchema },
  { keys: new RegExp(`^${votesPrefix}`), schema: voteSchema },
  { keys: new RegExp(`^${confirmationsPrefix}`), schema: confirmationSchema },
  { keys: new RegExp(`^${preparedPrefix}`), schema: preparedSchema },
  { keys: new RegExp(`^${truthPrefix}`), schema: certificateSchema },
]

/**
 * Refuses a value that no member could read, before it is signed and sent to all of them. Keys without a form, such as
 * those below `/shared/` and `/local/`, hold any bytes.
 *
 * @throws NodeError INVALID_INPUT whose `data.problems` lists everything that is wrong, INVALID_NAME
 */
export function checkValue(key: string, bytes: Uint8Array): void {
  const form = FORMS.find(({ keys }) => keys.test(key))
  if (form === undefined) return
  const name = key.slice(key.lastIndexOf('/') + 1)
  if (form.names !== undefined && !isName(name)) parseName(form.names, name)
  const value = decodeJson(bytes)
  if (value === undefined) {
    const message = `${key} was not written: its value is no JSON, and members read it as JSON`
    throw new NodeError('INVALID_INPUT', message, { key })
  }
  const parsed = form.schema.safeParse(value)
  if (parsed.success) return
  const problems = parsed.error.issues
    .slice(0, problemsToldMax)
    .map(({ path, message }) => (path.length === 0 ? message : `${path.join('.')}: ${message}`))
  const message = `${key} was not written, since members could not read it: ${problems.join('; ')}`
  throw new NodeError('INVALID_INPUT', message, { key, problems })
}
