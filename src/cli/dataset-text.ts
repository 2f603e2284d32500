import type { DatasetDetail } from '../api/dataset-views.ts'
import type { UpstreamView } from '../api/upstream-views.ts'
import { printable } from '../base/strangers-words.ts'
import { upstreamFacts } from './dataset-upstream.ts'
import { bytesText, countText, type Output, type Pair, shortId, timeText } from './output.ts'

const POLICIES: Readonly<Record<DatasetDetail['policy'], string>> = {
  shared: 'shared: members may copy it',
  'local-only': 'local-only: it never leaves this node',
  'compute-only': 'compute-only: others know of it, and its objects stay where they are',
}

/** Everything that is known of one dataset, for people. */
export function datasetText(out: Output, dataset: DatasetDetail, upstream?: UpstreamView): string {
  const parts = [
    out.pairs([...facts(dataset), ...(upstream === undefined ? [] : upstreamFacts(upstream))]),
    branchTable(out, dataset),
    replicaTable(out, dataset),
    oddities(out, dataset),
  ]
  return parts.filter((part) => part !== '').join('\n\n')
}

function facts(dataset: DatasetDetail): Pair[] {
  const { name, description, policy, createdBy, livesAt, truth, followed, why, size, usage } = dataset
  return [
    ['name', name],
    ...optional('about', description),
    ['policy', POLICIES[policy]],
    ...optional('lives at', livesAt),
    ['created by', createdBy],
    ['truth', truth ?? 'none yet'],
    ...(policy === 'local-only' ? [] : [['copied here', `${followed ? 'yes' : 'no'}: ${why}`] as Pair]),
    ...(policy === 'shared' && followed ? [['replicated', replicatedText(dataset)] as Pair] : []),
    // What nobody else may have has no copies to count.
    ...(policy === 'shared' ? [['copies', copiesText(dataset)] as Pair] : []),
    ...optional('size', size === undefined ? '' : sizeText(size)),
    ...optional('on this disk', usageText(usage)),
    ...optional('packed', packedText(usage)),
  ]
}

function optional(name: string, value: string | undefined): Pair[] {
  return value === undefined || value === '' ? [] : [[name, value]]
}

function copiesText({ replicas: { wanted, actual, current } }: DatasetDetail): string {
  const asked = wanted === undefined ? '' : ` of ${wanted} wanted`
  return `${actual}${asked} beside its owner, ${current} of them up to date`
}

function replicatedText({ replicated, failures, refusals }: DatasetDetail): string {
  if (replicated) return 'all that was announced is here'
  const codes = [...new Set(failures.map(({ code }) => code))].join(', ')
  if (codes !== '') return `not all that was announced is here: ${codes}, see below`
  if (refusals.length > 0) return 'what was announced is refused, see below'
  return 'not all that was announced is here yet'
}

const REFUSALS: Readonly<Record<DatasetDetail['refusals'][number]['reason'], string>> = {
  rollback: 'goes back behind what is here',
  divergence: 'leaves its own history',
  'not-owner': "is not that member's to move",
}

/** What keeps announced branches from being here, a line each. */
function holdUps(out: Output, { failures, refusals }: DatasetDetail): string[] {
  return [
    ...failures.map(({ member, code, reason, attempts, nextAttemptMs }) => {
      const often = attempts > 1 ? `, failed ${attempts} times` : ''
      const then = `next attempt ${timeText(nextAttemptMs)}`
      return `${out.style('red', 'held up')}: the branches of ${member}: ${printable(reason, '')} (${code}${often}; ${then})`
    }),
    ...refusals.map(({ member, branch, announced, reason }) => {
      const way =
        reason === 'not-owner' ? '' : `; only ${member} can have it followed, with "maoctl dataset reset"`
      return `${out.style('red', 'refused')}: ${branch} at ${shortId(announced)}, announced by ${member}, ${REFUSALS[reason]}${way}`
    }),
  ]
}

export function sizeText(size: DatasetDetail['size']): string {
  if (size === undefined) return '-'
  return size.files === undefined
    ? bytesText(size.bytes)
    : `${bytesText(size.bytes)}, ${countText(size.files, 'file')}`
}

function usageText(usage: DatasetDetail['usage']): string {
  if (usage === undefined) return ''
  const bound = usage.quotaBytes === undefined ? '' : ` of ${bytesText(usage.quotaBytes)} allowed`
  const full = usage.full === undefined ? '' : '; it is full, and nothing more comes in'
  return `${bytesText(usage.bytes)}${bound} in ${countText(usage.objects, 'object')}${full}`
}

function packedText(usage: DatasetDetail['usage']): string {
  return usage?.collected === undefined
    ? ''
    : `${timeText(usage.collected.lastMs)}, into ${countText(usage.collected.packs, 'pack')}`
}

function branchTable(out: Output, { branches, policy }: DatasetDetail): string {
  if (branches.length === 0) return ''
  const rows = branches.map(({ branch, commit, member, announced, present, held }) => {
    const missing =
      policy === 'compute-only'
        ? 'stays there'
        : held === undefined
          ? 'not yet'
          : `not yet; at ${shortId(held)}`
    return [branch, shortId(commit), member, present ? (announced ? 'yes' : 'only here') : missing]
  })
  return out.table(['branch', 'commit', 'member', 'here'], rows)
}

function replicaTable(out: Output, { replicas }: DatasetDetail): string {
  if (replicas.members.length === 0) return ''
  const rows = replicas.members.map(({ member, complete, current, bytes }) => {
    return [member, complete ? 'all' : 'part', current ? 'yes' : 'behind', bytesText(bytes)]
  })
  return out.table(['copy at', 'holds', 'up to date', 'size'], rows)
}

const CLAIMS = {
  another: 'founded another dataset of this name',
  'not-theirs': 'claims the dataset in the name of who founded it',
  'not-proven': 'claims the name without a proof',
}

/**
 * What somebody should look at: rewritten branches, members that contradict themselves, heads that are not followed,
 * claims to the name.
 */
function oddities(out: Output, dataset: DatasetDetail): string {
  const { name, resets, equivocations, ignored, contested } = dataset
  const lines = [
    ...holdUps(out, dataset),
    ...resets.map(({ member, branch, from, to, count, reason }) => {
      const often = count > 1 ? `, ${count} times so far` : ''
      return `${out.style('yellow', 'rewritten')}: ${member} moved ${branch} from ${shortId(from)} to ${shortId(to)}${often}: ${printable(reason, '')}`
    }),
    ...equivocations.map(({ member, sequence, heads }) => {
      const told = heads.map(({ branches }) => commitsText(branches)).join(' and ')
      return `${out.style('red', 'contradiction')}: ${member} signed two heads as its number ${sequence}: ${told}`
    }),
    ...ignored.map(({ member, reason, sequence }) => {
      const why =
        reason === 'replayed'
          ? 'it is older than one that was here'
          : 'it is about another dataset of this name'
      return `${out.style('yellow', 'not followed')}: head ${sequence} of ${member}: ${why}`
    }),
    ...contested.map(({ member, id, reason }) => {
      return `${out.style('yellow', 'contested')}: ${member} ${CLAIMS[reason]} (${shortId(id)}); "maoctl dataset edit ${name}" by an operator settles for all members what is shown here`
    }),
  ]
  return lines.join('\n')
}

function commitsText(branches: Readonly<Record<string, string>>): string {
  return Object.entries(branches)
    .map(([branch, commit]) => `${branch} at ${shortId(commit)}`)
    .join(', ')
}
