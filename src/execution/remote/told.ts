/** What a host tells another member of a run of its own machine: what happened, and nothing of the machine. Pure. */
import type { ErrorCode } from '../../base/errors.ts'
import type { WaitKind } from '../queue/allocator.ts'
import { isEnded, type Run } from '../runs/run.ts'
import { type DataFacts, judgeData, readBy } from './data-policy.ts'
import type { WireStep, WireTransition } from './run-protocol.ts'

/** Codes whose words are about the run or the request. */
const ABOUT_THE_RUN: readonly (ErrorCode | undefined)[] = [
  undefined,
  'CANCELLED',
  'CONFLICT',
  'FORBIDDEN',
  'IMAGE_FORBIDDEN',
  'IMAGE_MOVED',
  'INVALID_INPUT',
  'PATH_UNSAFE',
  'TIMED_OUT',
  'TOOL_NOT_FOUND',
]

/** Words of any other code may be about the machine, its disks and its network: these are told instead. */
const INSTEAD: Partial<Record<ErrorCode, string>> = {
  IMAGE_NOT_FOUND: 'the host does not have the image, and could not get it',
  ENGINE_UNAVAILABLE: 'the container engine of the host did not answer',
  DISK_FULL: 'the disk of the host is full',
  QUOTA_EXCEEDED: 'the result is larger than what the host has room for',
  TOO_LARGE: 'the result is larger than what the host takes',
  SOURCE_UNAVAILABLE: 'an input could not be had',
  CHECKSUM_MISMATCH: 'an input is not what its checksum says',
  DATASET_NOT_FOUND: 'a dataset of the run is not at the host any more',
}
const MACHINERY = 'the machinery of the host failed'

/** Paths of files: a slash with more behind it, at a place where a word begins. */
const PATHS = /(^|[\s'"`(=:])\/(?:[^\s'"`)/]+\/)+[^\s'"`):;,]*/g

const HIDDEN = 'what happened is not told: the run read data that do not leave this node'

/** What the owner of a run may be shown of it. */
export interface Openness {
  /** It reads data that do not leave: no word that a tool could have chosen goes out. */
  readonly isPrivate: boolean
  readonly logs: boolean
}

/**
 * As things are now, for whom `facts` are: what was trusted when the run came may be no more, nor what was granted. What
 * not all members may have is open to who may, which could have it in other ways too.
 */
export function opennessOf(run: Pick<Run, 'plan' | 'imageDigests'>, facts: DataFacts): Openness {
  const mayHave = (name: string) =>
    facts.dataset(name)?.policy === 'shared' && facts.mayRead?.(name) !== false
  const isPrivate = !run.plan.flatMap(readBy).every(mayHave)
  const judged = judgeAgain(run, facts)
  return { isPrivate, logs: judged?.logs ?? !isPrivate }
}

/** Whether the data that a run reads may still be read by it. */
export function mayStillRead(run: Pick<Run, 'plan' | 'imageDigests'>, facts: DataFacts): boolean {
  return !opennessOf(run, facts).isPrivate || judgeAgain(run, facts) !== undefined
}

function judgeAgain(
  { plan: steps, imageDigests = {} }: Pick<Run, 'plan' | 'imageDigests'>,
  facts: DataFacts,
): { readonly logs: boolean } | undefined {
  const tools = Object.entries(imageDigests).map(([tool, digest]) => [tool, { image: '', digest }])
  const judged = judgeData({ steps, tools: Object.fromEntries(tools) }, facts)
  return 'allow' in judged ? undefined : judged
}

export function reasonTold(
  { reason, code }: { readonly reason?: string | undefined; readonly code?: ErrorCode | undefined },
  { isPrivate }: Openness,
): string | undefined {
  if (reason === undefined) return undefined
  // A tool that has read the data chooses how it ends, and some ends carry words of its own.
  if (isPrivate && code !== 'CANCELLED' && code !== 'IMAGE_MOVED' && code !== 'IMAGE_FORBIDDEN') return HIDDEN
  if (code !== undefined && !ABOUT_THE_RUN.includes(code)) return INSTEAD[code] ?? MACHINERY
  return withoutPaths(reason)
}

export function withoutPaths(text: string): string {
  return text.replaceAll(PATHS, (_path, before: string) => `${before}…`)
}

/** The transitions of a run and of those that repeat it, as one story. */
export function transitionsTold(chain: readonly Run[], openness: Openness): WireTransition[] {
  return chain.flatMap(({ transitions, code, state: last }) =>
    transitions.map(({ state, step, timeMs, reason }, at): WireTransition => {
      const isEnd = state === last && isEnded({ state })
      // On the way there is nothing that a tool has said, nor anything that its owner needs.
      const isQuiet = openness.isPrivate && (!isEnd || state === 'succeeded')
      // What goes back to the queue does so because of the machine, and in its words.
      const again = state === 'queued' && at > 0 && reason !== undefined
      const said = again ? MACHINERY : reasonTold({ reason, code: isEnd ? code : undefined }, openness)
      const told = isQuiet ? undefined : said
      return {
        ...{ state, timeMs },
        ...(step === undefined ? {} : { step }),
        ...(told === undefined ? {} : { reason: told }),
      }
    }),
  )
}

/** The steps as they stand. How a tool ends is a word of its own, and is told where its words are. */
export function stepsTold({ steps }: Pick<Run, 'steps'>, { isPrivate, logs }: Openness): WireStep[] {
  return steps.map(({ name, state, digest, exitCode }) => ({
    ...{ name, state },
    ...(digest === undefined ? {} : { digest }),
    ...(exitCode === undefined || (isPrivate && !logs) ? {} : { exitCode }),
  }))
}

const WAITS: Record<WaitKind, string> = {
  time: 'it begins again in a while',
  branch: 'another run writes the branch of its step before it',
  owner: 'as many runs of its owner are at work as the host does of one member at once',
  turn: 'its turn comes after other runs',
  resources: 'it waits for processors, memory, disk or devices that other runs have',
  engine: 'the container engine of the host does not answer',
  never: 'no engine of the host has all that it asks for',
}

/** Where a run stands in line. Why is told by its kind: the host's own words name engines, and runs of others. */
export function waitTold(
  { position, kind }: { readonly position: number; readonly kind?: WaitKind | undefined },
  { isPrivate }: Openness,
): { readonly position: number; readonly why?: string } {
  if (isPrivate) return { position }
  return { position, why: kind === undefined ? 'it starts now' : WAITS[kind] }
}

/** The runs of a request: the first and, where a crash cut it, what repeats it. The last is the one that counts. */
export function chainOf(runs: readonly Run[], peer: string, request: string): Run[] {
  const first = runs.find(({ trigger }) => {
    return trigger.kind === 'remote' && trigger.by === peer && trigger.request === request
  })
  if (first === undefined) return []
  const chain = [first]
  for (;;) {
    const last = chain.at(-1) as Run
    const next = runs.find(({ trigger }) => trigger.kind === 'repeat' && trigger.of === last.id)
    if (next === undefined || chain.includes(next)) return chain
    chain.push(next)
  }
}
