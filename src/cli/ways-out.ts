import type { ErrorCode } from '../base/errors.ts'

const HELP = '"maoctl help COMMAND" tells how each part is written'
const LOG = 'the log of the node tells more'
const ROOM = '"maoctl status" shows the disk; "maoctl dataset gc" and "dataset remove-local" free some'

/**
 * What a person does next after an error whose own words, which programs read too, speak of no way out. A code without a
 * line here does not compile.
 */
export const WAYS_OUT: Readonly<Record<ErrorCode, string>> = {
  INVALID_INPUT: HELP,
  INVALID_NAME: 'names are lower-case letters, digits, dots, dashes and underscores, 63 at most',
  INVALID_CONFIG: '"maoctl instance settings" lists every setting with its variable and default',
  INVALID_CRON: 'a rule looks like "30 2 * * *": minute, hour, day, month, day of the week',
  NOT_FOUND: '"maoctl help" lists the nouns, and the verb "list" of each shows what is there',
  TOOL_NOT_FOUND: '"maoctl tool list" lists them',
  DATASET_NOT_FOUND: '"maoctl dataset list" lists them',
  PIPELINE_NOT_FOUND: '"maoctl pipeline list" lists them',
  SCHEDULE_NOT_FOUND: '"maoctl schedule list" lists those that are',
  RUN_NOT_FOUND: '"maoctl run list" lists them',
  PUBLISHER_NOT_FOUND: '"maoctl publisher list" lists those of the settings',
  NO_PLACE: '"maoctl offer list" shows what members offer',
  ROUND_NOT_FOUND: '"maoctl round list" lists them',
  LISTING_NOT_FOUND: '"maoctl market list" lists what is known here',
  COMMIT_NOT_FOUND:
    '"maoctl dataset fetch NAME" brings what members have announced, "dataset log NAME" lists',
  ALREADY_EXISTS: 'choose another name',
  CONFLICT: 'look at what is there now, and try again',
  REGISTRY_MOVED: 'read it again, and try again',
  NOT_FAST_FORWARD: '"maoctl dataset pull" takes up what came in between; then push again',
  UNAUTHORIZED:
    'the right one stands in api-token of its data directory: name that with --data, or set MAO_TOKEN',
  TOKEN_EXPIRED: 'ask the operator of the node for a new one',
  FORBIDDEN:
    'it takes a token with a wider scope, or a higher role in the federation ("maoctl federation members")',
  HOST_FORBIDDEN: 'use an address that the node knows itself by, or add it to its setting api.allowedHosts',
  ORIGIN_FORBIDDEN: "use the node's own page, not that of another site",
  NOT_OPERATOR: '"maoctl federation members" shows who is operator, and can do it',
  NOT_A_MEMBER: '"maoctl federation members" lists them; ask an operator for an invitation',
  DATASET_WITHHELD: '"maoctl dataset show NAME" shows its policy and whose it is',
  REVISION_COMPACTED:
    '"maoctl registry list" shows what is there now, "maoctl registry watch" what changes from now on',
  REVISION_FUTURE: 'each node counts its own revisions; "maoctl registry digest" tells how far this one is',
  LEASE_NOT_FOUND: 'it has ended; grant a new one',
  LEASE_EXISTS: 'grant it under another number, or without one',
  NO_FEDERATION: '"maoctl federation create --name NAME" founds one, "maoctl federation join -" joins one',
  ALREADY_FEDERATED: 'a node is in one federation; start another node, with --data of its own, for another',
  INVITATION_INVALID: 'copy the whole token, from mao1- to its end; or ask an operator for a new invitation',
  INVITATION_EXPIRED: 'ask an operator for a new invitation ("maoctl federation invite")',
  INVITATION_USED: 'each is good once; ask an operator for a new one ("maoctl federation invite")',
  MEMBER_NOT_FOUND: '"maoctl federation members" lists them',
  REQUEST_NOT_FOUND: '"maoctl federation requests" lists those that wait',
  REQUEST_PENDING: 'an operator of that federation has to decide; the node asks again by itself',
  REQUEST_DENIED: 'write to the contacts of that federation; "maoctl market list" shows them',
  MEMBERSHIP_ENDED: 'ask an operator of that federation to admit this node anew',
  TOO_LARGE: 'make it smaller, or in parts',
  QUOTA_EXCEEDED:
    'the settings datasets.quotaBytes and datasets.totalBytes bound it; "maoctl dataset gc" frees some',
  QUEUE_FULL: 'try again later; "maoctl run queue" shows what waits',
  RATE_LIMITED: 'wait a little, and ask less often',
  TIMED_OUT: 'try again; "maoctl doctor" looks at what may be slow',
  CANCELLED: 'type it again where that was not meant',
  DATA_IN_USE: 'stop the node that has it, or give another directory with --data',
  STORE_INCOMPATIBLE:
    'use the version of the node that wrote it, or start anew in another directory with --data',
  STORE_FAILED: `look at the disk and the rights on the data directory; ${LOG}`,
  PORT_IN_USE: 'give another port with --port or --listen, or end what has it',
  PEER_UNREACHABLE: 'look whether it runs and whether "maoctl doctor" finds a way to it, and try again',
  CHECK_FAILED: '"maoctl doctor" looks at the whole node',
  STREAM_CLOSED: 'try again; the log of the node says why',
  NODE_UNREACHABLE: '"maoctl doctor" looks for the reason',
  REGISTRY_UNREACHABLE:
    'nothing shared can be written until the etcd cluster answers; "maoctl peers" shows since when',
  ENGINE_UNAVAILABLE: '"maoctl engine list" says which engine does not answer, and why',
  IMAGE_NOT_FOUND:
    'build or pull it on the machine of the engine, or give its registry\'s password with "maoctl image login"',
  IMAGE_MOVED: '"maoctl tool accept NAME" takes the new one, where that is meant',
  IMAGE_FORBIDDEN: 'the setting execution.images.allow lists what the node may run',
  BUILD_FAILED: '"maoctl image build list" lists builds, "maoctl image build show ID" tells the log',
  SOURCE_UNAVAILABLE: 'look whether the address is right and answers, and try again',
  CHECKSUM_MISMATCH:
    'what came is not what was named: ask whoever gave the checksum, and use neither until then',
  PUBLISH_FAILED:
    '"maoctl publisher list" shows where to; the commit stands, and is published by a repetition of the run',
  POLICY_UNAVAILABLE: 'the program or address of execution.remote.hook has to answer',
  DISK_FULL: ROOM,
  GIT_FAILED: `"maoctl dataset verify NAME" reads every object; ${LOG}`,
  UPSTREAM_FAILED: '"maoctl dataset upstream show NAME" shows where it is and what was last said',
  UNSUPPORTED: 'use the same version of maoctl and the node; "maoctl doctor" compares them',
  SIGNATURE_INVALID: 'do not use it; ask whoever gave it to you',
  PACK_REJECTED: 'nothing of it was kept; "maoctl dataset show NAME" names the member that sent it',
  PATH_UNSAFE: "rename the file; paths stay inside, and are no part of git's own",
  CERTIFICATE_INVALID: 'do not rely on it; "maoctl dataset truth NAME --verify" shows what holds',
  INTERNAL: `report it, with what was typed; ${LOG}`,
}

/** Where a semicolon is no way out yet, since it joins what happened. */
const TELLS_MORE: ReadonlySet<ErrorCode> = new Set([
  'TOOL_NOT_FOUND',
  'DATASET_NOT_FOUND',
  'PIPELINE_NOT_FOUND',
  'SCHEDULE_NOT_FOUND',
  'RUN_NOT_FOUND',
  'ROUND_NOT_FOUND',
  'LISTING_NOT_FOUND',
  'REVISION_COMPACTED',
  'REVISION_FUTURE',
  'UNAUTHORIZED',
])

/** The sentence with the way out that it lacks: one of ours that has one names a command, or says it after a semicolon. */
export function withWayOut(code: ErrorCode, message: string): string {
  if (/maoctl|MAO_TOKEN/.test(message)) return message
  return message.includes('; ') && !TELLS_MORE.has(code) ? message : `${message}; ${WAYS_OUT[code]}`
}
