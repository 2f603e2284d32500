/**
 * One push, from its first command to its report: what receive-pack does (gitprotocol-pack(5)), with the checks that hold
 * for what a peer sends, and without hooks.
 */
import { messageOf, NodeError } from '../../base/errors.ts'
import { pushDrainedBytesMax, pushWordIntervalMs } from '../../base/limits.ts'
import type { Logger } from '../../base/logger.ts'
import { delay } from '../../base/wait.ts'
import type { ChunkReader } from '../git/chunk-reader.ts'
import { readPackHeader } from '../git/pack-meter.ts'
import type { Quarantine } from '../git/repository.ts'
import type { Adoption } from '../own-branch-requests.ts'
import { branchIn, type PushCommand, type PushPlace, type PushRequest, refusalsOf } from './push-commands.ts'
import { type PushOutcome, PushVoice } from './push-report.ts'

export interface PushParts {
  /** A place for what arrives. */
  readonly quarantine: (dataset: string) => Promise<Quarantine>
  /** Puts commits on own branches, all or none; durable, announcement included, when it returns (stock-git.md P14). */
  readonly adopt: (dataset: string, moves: readonly Omit<Adoption, 'dataset'>[]) => Promise<void>
  readonly log: Logger
}

export interface Push extends PushRequest {
  readonly dataset: string
  readonly place: PushPlace
  /** Stands behind the commands. */
  readonly reader: ChunkReader
  /** Whether the client can still be told anything. */
  readonly isCut: () => boolean
}

const ATOMIC = 'nothing of this push moves, since another of its refs cannot: leave that one out, or --atomic'
const [PACK_HEADER_BYTES, CHECKSUM_BYTES] = [12, 20]

/**
 * @returns what the client is to hear.
 * @throws whatever ended the request of a client that is gone; nothing of its push is kept then.
 */
export async function* takePush(
  parts: PushParts,
  push: Push,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void, undefined> {
  const voice = new PushVoice(push.capabilities)
  const isAtomic = push.capabilities.has('atomic')
  const refusals = refusalsOf(push.commands, push.place)
  const taken = push.commands.filter(({ ref }) => !refusals.has(ref) && !(isAtomic && refusals.size > 0))
  let unpacked: string | undefined
  if (taken.length > 0) {
    try {
      yield* unpack(parts, push, taken, voice, signal)
    } catch (error) {
      if (push.isCut() || signal.aborted) throw error
      unpacked = reasonOf(error, parts.log)
      for (const { ref } of taken) refusals.set(ref, unpacked)
    }
    if (unpacked === undefined) await move(parts, push, taken, { isAtomic, refusals })
  }
  // [MUST] Who is refused has to have said all before it listens (stock-git.md P15).
  await drain(push.reader)
  const outcomes = push.commands.map(({ ref }): PushOutcome => {
    return { ref, refusal: refusals.get(ref) ?? (isAtomic && refusals.size > 0 ? ATOMIC : undefined) }
  })
  for (const { ref, to } of push.commands) {
    const isMoved = outcomes.some((outcome) => outcome.ref === ref && outcome.refusal === undefined)
    if (isMoved)
      yield* voice.progress(`${ref.slice('refs/heads/'.length)} is announced at ${to?.slice(0, 12)}`)
  }
  yield* voice.report(unpacked, outcomes)
}

/** [MUST] Takes the pack, and makes it part of the repository once all is proven of it (stock-git.md P13). */
async function* unpack(
  parts: PushParts,
  { dataset, reader }: Push,
  taken: readonly PushCommand[],
  voice: PushVoice,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void, undefined> {
  const header = await reader.bytes(PACK_HEADER_BYTES)
  const objects = readPackHeader(header)
  const quarantine = await parts.quarantine(dataset)
  try {
    // git sends a pack of nothing along when all that it pushes is here already (P13).
    if (objects === 0) await reader.bytes(CHECKSUM_BYTES)
    else await quarantine.receive(packBehind(header, reader), signal)
    yield* voice.progress(objects === 0 ? 'Nothing new to check' : `Checking ${objects} objects`)
    const admitted = quarantine.admit([...new Set(taken.map(({ to }) => to as string))], signal)
    yield* aliveWhile(admitted, voice)
  } finally {
    await quarantine.discard()
  }
}

async function* packBehind(header: Buffer, reader: ChunkReader): AsyncGenerator<Uint8Array, void, undefined> {
  yield header
  for (let chunk = await reader.chunk(); chunk !== undefined; chunk = await reader.chunk()) yield chunk
}

async function* aliveWhile(
  work: Promise<void>,
  voice: PushVoice,
): AsyncGenerator<Uint8Array, void, undefined> {
  const done = new AbortController()
  const end = work.then(
    () => done.abort(),
    () => done.abort(),
  )
  while (!done.signal.aborted) {
    const pause = delay(pushWordIntervalMs, done.signal).catch(() => undefined)
    await Promise.race([end, pause])
    if (!done.signal.aborted) yield* voice.alive()
  }
  await work
}

async function move(
  parts: PushParts,
  { dataset, place: { self } }: Push,
  taken: readonly PushCommand[],
  { isAtomic, refusals }: { isAtomic: boolean; refusals: Map<string, string> },
): Promise<void> {
  // [MUST] Each ref stands for itself unless the client wants all or none (stock-git.md P12).
  const groups = isAtomic ? [taken] : taken.map((command) => [command])
  for (const group of groups) {
    const moves = group.map((command) => {
      return { branch: branchIn(command) as string, commit: command.to as string, from: command.from }
    })
    try {
      await parts.adopt(dataset, moves)
    } catch (error) {
      const branch = error instanceof NodeError ? error.data.branch : undefined
      const guilty = group.filter((command) => branchIn(command) === branch)
      const isRewrite = error instanceof NodeError && error.code === 'NOT_FAST_FORWARD'
      for (const command of guilty.length > 0 ? guilty : group) {
        const reason = isRewrite ? rewriteRefusal(dataset, self, command) : reasonOf(error, parts.log)
        refusals.set(command.ref, reason)
      }
    }
  }
}

/** [MUST] Force is of no use; what came is here all the same, for a reset that everybody sees (stock-git.md P11). */
function rewriteRefusal(dataset: string, self: string, command: PushCommand): string {
  const step = branchIn(command)?.slice(0, -(self.length + 1))
  const reset = `maoctl dataset reset ${dataset} --step ${step} --to ${command.to} --reason "..."`
  return `a branch only moves forward: merge or rebase onto what is there, or rewrite it for all to see: ${reset}`
}

function reasonOf(error: unknown, log: Logger): string {
  if (!(error instanceof NodeError) || error.code === 'INTERNAL') {
    log.error({ error: messageOf(error) }, 'a push met a defect')
    return 'the node met a defect of its own; its log tells more'
  }
  // Another push came first (stock-git.md P16).
  if (error.code === 'CONFLICT' && 'from' in error.data) {
    return `the branch ${error.data.branch} has moved meanwhile: fetch, then push again`
  }
  return error.message
}

async function drain(reader: ChunkReader): Promise<void> {
  let bytes = 0
  for (let chunk = await reader.chunk(); chunk !== undefined; chunk = await reader.chunk()) {
    bytes += chunk.length
    if (bytes > pushDrainedBytesMax) return
  }
}
