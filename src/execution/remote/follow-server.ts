/** A host's side of a stream that follows one run: what happens, what the tools print, and how it ends. */
import { NodeError } from '../../base/errors.ts'
import { remoteTransitionsPerMessageMax, runAliveIntervalMs, runLogChunkBytes } from '../../base/limits.ts'
import type { Datasets } from '../../datasets/datasets.ts'
import { mayReadLog } from '../logs/log-access.ts'
import { isEnded, type Run } from '../runs/run.ts'
import type { HostExecution } from './run-desk.ts'
import type { Followed, Question, RunTalk, WireOutput } from './run-protocol.ts'
import { type Openness, reasonTold, stepsTold, transitionsTold, waitTold } from './told.ts'

export interface FollowParts {
  readonly talk: Pick<RunTalk, 'say' | 'end' | 'peer'>
  readonly question: Extract<Question, { kind: 'follow' }>
  /** The runs of the request as they are now; at least one. */
  readonly chain: () => Run[]
  readonly openness: (run: Run) => Openness
  readonly execution: Pick<HostExecution, 'onRun' | 'reading' | 'position'>
  readonly datasets: Pick<Datasets, 'repository'>
}

/** Resolves once the end of the run has been told, or the signal has aborted. */
export async function serveFollower(parts: FollowParts, signal: AbortSignal): Promise<void> {
  const done = new AbortController()
  const either = AbortSignal.any([signal, done.signal])
  try {
    // Logs come before the end, so that whoever hears the end has them all.
    await Promise.all([tellTransitions(parts, either), tellLogs(parts, either)])
  } finally {
    done.abort()
  }
  if (signal.aborted) return
  await parts.talk.say(await endOf(parts))
  await parts.talk.end()
}

async function tellTransitions(parts: FollowParts, signal: AbortSignal): Promise<void> {
  const { talk, chain, openness } = parts
  let told = parts.question.transitions
  let before = ''
  while (!signal.aborted) {
    const news = newsOf(parts, signal)
    const runs = chain()
    const last = lastOf(runs)
    const open = openness(last)
    const all = transitionsTold(runs, open)
    const message = { ...stateOf(parts, last, open), from: told, transitions: [] }
    const text = JSON.stringify({ ...message, from: 0 })
    if (all.length === told && text !== before) await talk.say(message)
    else if (all.length === told) await talk.say({ kind: 'alive' } satisfies Followed)
    while (told < all.length) {
      const transitions = all.slice(told, told + remoteTransitionsPerMessageMax)
      await talk.say({ ...message, from: told, transitions } satisfies Followed)
      told += transitions.length
    }
    before = text
    if (isEnded(last)) return
    await news
  }
}

function stateOf(
  parts: FollowParts,
  run: Run,
  open: Openness,
): Omit<Extract<Followed, { kind: 'run' }>, 'from' | 'transitions'> {
  const place = run.state === 'queued' ? parts.execution.position(run.id) : undefined
  return {
    kind: 'run',
    run: run.id,
    state: run.state,
    ...(place === undefined ? {} : waitTold(place, open)),
    steps: stepsTold(run, open),
    logs: open.logs,
  }
}

/** The log of the run that the follower has begun, from there on; then of those that repeat it. */
async function tellLogs(parts: FollowParts, signal: AbortSignal): Promise<void> {
  const { talk, question, chain, openness, execution } = parts
  const { run: of, offset } = question.log
  const mayRead = (run: Run) =>
    openness(run).logs && mayReadLog({ reader: talk.peer, run, stage: 'algorithm' })
  let index = Math.max(
    0,
    chain().findIndex(({ id }) => id === of),
  )
  let from = chain()[index]?.id === of ? offset : 0
  while (!signal.aborted) {
    const news = newsOf(parts, signal)
    const run = chain()[index]
    if (run !== undefined) {
      let isOpen = mayRead(run)
      if (isOpen) {
        for await (const bytes of execution.reading.bytes(run.id, { from, follow: true, signal })) {
          for (let at = 0; at < bytes.length; at += runLogChunkBytes) {
            // [MUST] Asked for each piece: the stream lasts as long as the run, and trust may not (run.md R34).
            isOpen = mayRead(run)
            if (!isOpen) break
            const piece = bytes.subarray(at, at + runLogChunkBytes)
            await talk.say({ kind: 'log', run: run.id, offset: from, bytes: piece } satisfies Followed)
            from += piece.length
          }
          if (!isOpen) break
        }
      }
      if (!isOpen && !isEnded(run)) {
        await news
        continue
      }
      index += 1
      from = 0
      continue
    }
    if (isEnded(lastOf(chain()))) return
    await news
  }
}

async function endOf(parts: FollowParts): Promise<Extract<Followed, { kind: 'end' }>> {
  const run = lastOf(parts.chain())
  const reason = reasonTold(run, parts.openness(run))
  return {
    kind: 'end',
    run: run.id,
    state: run.state,
    ...(run.code === undefined ? {} : { code: run.code }),
    ...(reason === undefined ? {} : { reason }),
    endedMs: run.endedMs ?? 0,
    outputs: await outputsOf(parts, run),
  }
}

async function outputsOf({ datasets }: FollowParts, run: Run): Promise<WireOutput[]> {
  const outputs: WireOutput[] = []
  for (const {
    name: step,
    state,
    outputDataset: dataset,
    outputBranch: branch,
    outputCommit: commit,
  } of run.steps) {
    if (state !== 'succeeded' || branch === undefined || commit === undefined) continue
    const { tree } = await (await datasets.repository(dataset)).readCommit(commit)
    outputs.push({ step, dataset, branch, commit, tree })
  }
  return outputs
}

/** Resolves at the next stored transition of one of the runs, when it is time for a sign of life, or at the signal. */
function newsOf({ chain, execution }: FollowParts, signal: AbortSignal): Promise<void> {
  const ids = new Set(chain().map(({ id }) => id))
  return new Promise((resolve) => {
    const settle = () => {
      clearTimeout(timer)
      unhear()
      signal.removeEventListener('abort', settle)
      resolve()
    }
    const timer = setTimeout(settle, runAliveIntervalMs)
    timer.unref()
    const unhear = execution.onRun(({ id, trigger }) => {
      if (ids.has(id) || (trigger.kind === 'repeat' && ids.has(trigger.of))) settle()
    })
    signal.addEventListener('abort', settle, { once: true })
    if (signal.aborted) settle()
  })
}

function lastOf(chain: readonly Run[]): Run {
  const last = chain.at(-1)
  if (last === undefined) throw new NodeError('RUN_NOT_FOUND', 'the run is remembered no more')
  return last
}
