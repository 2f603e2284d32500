import type { ErrorCode } from '../base/errors.ts'

/** What a person types next after an error whose own words, which programs read too, speak of no command. */
const WAYS_OUT: Readonly<Partial<Record<ErrorCode, string>>> = {
  TOOL_NOT_FOUND: '"maoctl tool list" lists them',
  DATASET_NOT_FOUND: '"maoctl dataset list" lists them',
  PIPELINE_NOT_FOUND: '"maoctl pipeline list" lists them',
  SCHEDULE_NOT_FOUND: '"maoctl schedule list" lists those that are',
  RUN_NOT_FOUND: '"maoctl run list" lists them',
  ROUND_NOT_FOUND: '"maoctl round list" lists them',
  LISTING_NOT_FOUND: '"maoctl market list" lists what is known here',
  ALREADY_EXISTS: 'choose another name',
  UNAUTHORIZED:
    'the right one stands in api-token of its data directory: name that with --data, or set MAO_TOKEN',
  REVISION_COMPACTED:
    '"maoctl registry list" shows what is there now, "maoctl registry watch" what changes from now on',
  REVISION_FUTURE: 'each node counts its own revisions; "maoctl registry digest" tells how far this one is',
  STREAM_CLOSED: 'try again; the log of the node says why',
}

/** The sentence with the way out that it lacks. */
export function withWayOut(code: ErrorCode, message: string): string {
  const way = WAYS_OUT[code]
  return way === undefined || /maoctl|MAO_TOKEN/.test(message) ? message : `${message}; ${way}`
}
