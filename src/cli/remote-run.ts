/** Runs at other members, as `maoctl run …` shows and moves them: their ids begin with `r-`. */
import { type Command, InvalidArgumentError } from 'commander'
import { z } from 'zod'
import { askedPlacesSchema, type RemoteRunView, remoteRunSchema } from '../api/remote-run-views.ts'
import { NodeError } from '../base/errors.ts'
import { clientPollMs } from '../base/limits.ts'
import { delay } from '../base/wait.ts'
import { isRemoteId } from '../execution/remote/remote-run.ts'
import type { ApiClient } from './client.ts'
import { EXIT } from './exit-codes.ts'
import { type Output, type Pair, shortId, spanText, timeText } from './output.ts'
import type { Session } from './session.ts'

export interface PlacementFlags {
  where?: string
  on?: string[]
  atData?: boolean
  digest?: Record<string, string>
}

export function placementOptions(command: Command): Command {
  return command
    .option('--where <predicate>', "at another member that satisfies it, such as 'memory>=8 && dataset=x'")
    .option('--on <members>', 'at one of these members, by name, separated by commas', (text) =>
      text.split(','),
    )
    .option('--at-data', 'at a member that holds the data that the run reads')
    .option('--digest <tool=digest>', 'the image that is meant, where this node cannot know it', gatherDigest)
}

export function isPlaced({ where, on, atData }: PlacementFlags): boolean {
  return where !== undefined || on !== undefined || atData === true
}

/** Flags that are about a run of this node alone. */
const LOCAL_FLAGS = {
  slot: '--slot',
  priority: '--priority',
  maxWait: '--max-wait',
  timeout: '--timeout',
}

export async function submitRemote(
  session: Session,
  pipeline: string,
  flags: PlacementFlags & { key?: string; dryRun?: boolean; wait?: boolean; follow?: boolean },
): Promise<void> {
  const local = Object.entries(LOCAL_FLAGS).find(
    ([name]) => (flags as Record<string, unknown>)[name] !== undefined,
  )
  if (local !== undefined) {
    throw new NodeError(
      'INVALID_INPUT',
      `${local[1]} is for runs on this node: leave it out, or leave out --where, --on and --at-data. The limits of a run at another member are its host's`,
    )
  }
  const { where, on, atData, digest: digests } = flags
  const asked = { pipeline, where, on, atData, digests }
  const client = await session.connect()
  if (flags.dryRun === true) return tellPlaces(session, client, asked)
  const headers = flags.key === undefined ? {} : { 'idempotency-key': `"${flags.key}"` }
  const run = await client.work('/remote-runs', remoteRunSchema, asked, { headers })
  if (flags.follow !== true && flags.wait !== true) {
    session.out.result(
      run,
      () =>
        `${run.host?.name ?? 'A member'} has the run ${run.id}; "maoctl run logs -f ${run.id}" follows it.`,
    )
    return
  }
  session.out.note(`${run.host?.name ?? 'A member'} has the run ${run.id}.`)
  if (flags.follow === true) {
    const stream = client.stream(`${pathOf(run.id)}/logs`, { query: { follow: true } })
    for await (const part of stream) session.out.raw(part)
  }
  const ended = await untilEnded(session, client, run.id)
  session.out.result(ended, () => renderRemote(session.out, ended))
  if (ended.end?.state !== 'succeeded') session.exitCode = EXIT.OUTCOME
}

async function tellPlaces(session: Session, client: ApiClient, asked: object): Promise<void> {
  const places = await client.work('/remote-runs/ask', askedPlacesSchema, asked)
  session.out.result(places, () => {
    const rows = [
      ...places.answers.map(({ name, offered: { granted, free, logs } }) => {
        const box = `${granted.cpus} cpus, ${Math.round(granted.memoryBytes / 1024 ** 2)} MiB, ${spanText(granted.stepTimeoutMs)} a step`
        const when = free > 0 ? 'at once' : `after ${1 - free} others`
        return [name, 'takes it', `${when}; ${box}; logs ${logs ? 'shown' : 'withheld'}`]
      }),
      ...places.refusals.map(({ name, reason }) => [name, 'no', reason]),
    ]
    return rows.length === 0
      ? 'There is no other member to ask; a run on this node needs none of --where, --on and --at-data.'
      : session.out.table(['member', 'answer', 'why'], rows)
  })
  if (places.answers.length === 0) session.exitCode = EXIT.OUTCOME
}

/** Those that fit the filters of `run list`; none where a filter is about this node's own. */
export async function remoteRunsOf(
  client: ApiClient,
  { pipeline, state, owner, limit }: { pipeline?: string; state?: string; owner?: string; limit?: number },
): Promise<RemoteRunView[]> {
  if (owner !== undefined && owner !== 'node') return []
  const runs = await client.get('/remote-runs', z.array(remoteRunSchema), { limit })
  return runs.filter((run) => {
    return (
      (pipeline === undefined || run.pipeline === pipeline) && (state === undefined || stateOf(run) === state)
    )
  })
}

export function remoteRow(run: RemoteRunView): string[] {
  const { id, pipeline, createdMs, end, lostContact, why } = run
  const took = end === undefined ? '-' : spanText(Math.max(0, end.endedMs - createdMs))
  const reason = end?.reason ?? lostContact?.reason ?? why ?? ''
  return [id, pipeline, placeOf(run), stateOf(run), timeText(createdMs), took, reason]
}

function placeOf({ host, end }: RemoteRunView): string {
  if (host !== undefined) return `at ${host.name}`
  return end === undefined ? 'nobody yet' : 'nobody'
}

/** @throws NodeError INVALID_INPUT for a run at another member, of which only its host can do what is asked. */
export function demandOwn(id: string): void {
  if (!isRemoteId(id)) return
  const message = `The run ${id} is at another member: "maoctl run show ${id}" says at which and under which id, and this is done at that node. What it made is here with "maoctl run files ${id}" and "maoctl run get ${id} PATH"`
  throw new NodeError('INVALID_INPUT', message, { id })
}

export async function showRemote(session: Session, id: string): Promise<void> {
  const client = await session.connect()
  const run = await client.get(pathOf(id), remoteRunSchema)
  session.out.result(run, () => renderRemote(session.out, run))
}

export async function cancelRemote(session: Session, id: string): Promise<void> {
  const client = await session.connect()
  const run = await client.post(`${pathOf(id)}/cancel`, remoteRunSchema)
  session.out.result(run, () => {
    if (run.end !== undefined) return `The run ${id} is ${run.end.state}.`
    return run.lostContact === undefined
      ? `${run.host?.name} has been told to end the run ${id}.`
      : `${run.host?.name} cannot be reached; it is told to end the run ${id} as soon as it is there.`
  })
}

/** Whether the log of a run at another member can be had so, and what is to be known of it. @throws NodeError INVALID_INPUT */
export async function beforeRemoteLog(
  session: Session,
  id: string,
  query: { step?: string; stage?: string },
): Promise<void> {
  if (query.step !== undefined || query.stage !== undefined) {
    throw new NodeError(
      'INVALID_INPUT',
      'Of a run at another member there is one log; leave out --step and --stage',
    )
  }
  const client = await session.connect()
  const { logs } = await client.get(pathOf(id), remoteRunSchema)
  if (logs === false)
    session.out.note('The host keeps back what the tools print: they read data that do not leave it.')
}

function renderRemote(out: Output, run: RemoteRunView): string {
  const { id, pipeline, host, hostRun, end, createdMs, lostContact, position, why, refusals, logs } = run
  const pairs: Pair[] = [
    ['run', id],
    ['pipeline', pipeline],
    ['at', host === undefined ? placeOf(run) : `${host.name} (${host.peer})`],
    ...(hostRun === undefined ? [] : [['there', hostRun] as Pair]),
    ['state', stateOf(run)],
    ...(position === undefined ? [] : [['position', `${position}: ${why ?? ''}`] as Pair]),
    ...(lostContact === undefined
      ? []
      : [['contact', `lost since ${timeText(lostContact.sinceMs)}: ${lostContact.reason}`] as Pair]),
    ...(run.cancelRequestedMs === undefined
      ? []
      : [['cancel', `wished for ${timeText(run.cancelRequestedMs)}`] as Pair]),
    ...(end?.reason === undefined ? [] : [['reason', end.reason] as Pair]),
    ['created', timeText(createdMs)],
    ...(end === undefined ? [] : [['ended', timeText(end.endedMs)] as Pair]),
    ...(logs === false ? [['logs', 'kept back by the host'] as Pair] : []),
  ]
  const steps = run.steps.map(
    ({ name, tool, state = 'waiting', exitCode, outputDataset, output, digest }) => [
      name,
      tool,
      shortId(digest?.split('sha256:').at(-1)),
      state,
      exitCode === undefined ? '-' : String(exitCode),
      output === undefined ? outputDataset : `${outputDataset} ${output.branch}`,
      shortId(output?.commit),
      output === undefined ? '-' : (ARRIVAL[output.arrival] ?? output.arrival),
    ],
  )
  const history = run.transitions.map((each) => [
    timeText(each.timeMs),
    each.state,
    each.step ?? '',
    each.reason ?? '',
  ])
  return [
    out.pairs(pairs),
    out.table(['step', 'tool', 'digest', 'state', 'exit', 'output', 'commit', 'here'], steps),
    ...(refusals.length === 0
      ? []
      : [
          out.table(
            ['not taken by', 'because'],
            refusals.map(({ name, reason }) => [name, reason]),
          ),
        ]),
    ...(history.length === 0 ? [] : [out.table(['time', 'state', 'step', 'reason'], history)]),
  ].join('\n\n')
}

const ARRIVAL: Readonly<Record<string, string>> = {
  here: 'yes',
  awaited: 'on its way',
  'not-copied': 'no: "maoctl dataset fetch" brings it',
  mismatch: 'no: what the host told is not so',
}

/** The run's own state, or what is known instead. */
function stateOf({ state, lostContact }: RemoteRunView): string {
  return lostContact === undefined ? state : `lost contact (was ${state})`
}

async function untilEnded(session: Session, client: ApiClient, id: string): Promise<RemoteRunView> {
  let [told, lost] = [0, false]
  for (;;) {
    const run = await client.get(pathOf(id), remoteRunSchema)
    for (const { state, step, reason } of run.transitions.slice(told)) {
      session.out.note([state, step, reason].filter((part) => part !== undefined).join(' '))
    }
    told = run.transitions.length
    if (run.lostContact !== undefined && !lost) session.out.note(`contact lost: ${run.lostContact.reason}`)
    lost = run.lostContact !== undefined
    if (run.end !== undefined) return run
    await delay(clientPollMs)
  }
}

/** @throws InvalidArgumentError */
function gatherDigest(text: string, before: Record<string, string> = {}): Record<string, string> {
  const [tool = '', digest = ''] = text.split('=')
  if (tool === '' || !/^sha256:[0-9a-f]{64}$/.test(digest)) {
    throw new InvalidArgumentError('a digest is given as TOOL=sha256:… (64 hexadecimal digits)')
  }
  return { ...before, [tool]: digest }
}

function pathOf(id: string): string {
  return `/remote-runs/${encodeURIComponent(id)}`
}
