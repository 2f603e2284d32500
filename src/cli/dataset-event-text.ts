import type { DatasetEvent } from '../datasets/dataset-events.ts'
import { bytesText, shortId, spanText } from './output.ts'

const REFUSED: Readonly<Record<string, string>> = {
  rollback: 'it goes back',
  divergence: 'it leaves its own history',
  'not-owner': 'the branch belongs to somebody else',
  'other-dataset': 'it is about another dataset of this name',
  replayed: 'it is older than one that was here',
}

/** What happened to a dataset, in one line for people; undefined for what this version does not know. Pure. */
export function datasetEventText(event: DatasetEvent): string | undefined {
  const { dataset } = event
  switch (event.type) {
    case 'head': {
      const branches = Object.entries(event.branches).map(
        ([branch, commit]) => `${branch} at ${shortId(commit)}`,
      )
      return `${dataset}: ${event.member} announces ${branches.join(', ')}`
    }
    case 'replicated':
      return `${dataset}: ${event.branch} of ${event.member} is here, at ${shortId(event.commit)}`
    case 'progress': {
      const objects = event.objectsTotal === undefined ? '' : ` of a pack of ${event.objectsTotal} objects`
      const what = event.phase === 'checking' ? 'checking' : 'receiving'
      return `${dataset}: ${what} ${bytesText(event.bytes)}${objects} from ${event.member}`
    }
    case 'fetch-failed':
      return `${dataset}: what ${event.member} announced could not be fetched: ${event.reason} (${event.code}); tried again in ${spanText(event.nextAttemptMs)}`
    case 'rollback-refused':
      return `${dataset}: a head of ${event.member} is refused: ${REFUSED[event.reason] ?? event.reason}; ${event.branch} stays at ${shortId(event.held)}, not ${shortId(event.announced)}`
    case 'head-ignored':
      return `${dataset}: head ${event.sequence} of ${event.member} is not followed: ${REFUSED[event.reason] ?? event.reason}`
    case 'reset':
      return `${dataset}: ${event.member} has rewritten ${event.branch}, from ${shortId(event.from)} to ${shortId(event.to)}: ${event.reason}`
    case 'equivocation':
      return `${dataset}: ${event.member} contradicts itself: two heads are signed as its number ${event.sequence}; "maoctl dataset show ${dataset}" has both`
    case 'founded':
      return `${dataset}: there is this dataset now (${event.policy})`
    case 'removed':
      return `${dataset}: it was removed; copies stay until "maoctl dataset remove-local"`
    case 'followed':
      return `${dataset}: ${event.followed ? 'copied here from now on' : 'no longer copied here'}: ${event.why}`
    case 'truth':
      return `${dataset}: the ground truth is ${shortId(event.commit)} now`
    case 'garbage-collected':
      return `${dataset}: packed, ${bytesText(event.bytesBefore)} → ${bytesText(event.bytesAfter)} in ${spanText(Math.round(event.durationMs))}`
    case 'quota-exceeded': {
      const whose =
        event.bound === 'quota'
          ? 'one dataset (setting datasets.quotaBytes)'
          : 'all datasets together (datasets.totalBytes)'
      return `${dataset}: nothing more comes in: ${bytesText(event.bytes)} are here, and ${whose} may have ${bytesText(event.bytesMax)}`
    }
    case 'disk-low':
      return `${dataset}: nothing more comes into any dataset: the disk has ${bytesText(event.freeBytes)} left, and ${bytesText(event.freeBytesMin)} stay free (datasets.freeBytesMin)`
    case 'upstream': {
      const what = event.direction === 'pull' ? 'pulled from its upstream' : 'pushed to its upstream'
      if (event.code !== undefined)
        return `${dataset}: could not be ${what}: ${event.reason ?? ''} (${event.code})`
      return `${dataset}: ${what}${event.commit === undefined ? '' : `, at ${shortId(event.commit)}`}`
    }
    default:
      return undefined
  }
}
