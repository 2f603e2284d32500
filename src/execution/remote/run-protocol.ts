/**
 * What is said on `/mao/run/1.0.0` (protocols/run.md): DAG-CBOR in frames, each message in one schema and within its
 * bound. A stream carries one question; the question `follow` is answered for as long as the run goes on.
 */
import { decode, encode } from '@ipld/dag-cbor'
import { z } from 'zod'
import { type ErrorCode, isNodeError, NodeError } from '../../base/errors.ts'
import {
  remoteTransitionsPerMessageMax,
  runAliveIntervalMs,
  runFirstMessageTimeoutMs,
  runLogChunkBytes,
  runMessageBytesMax,
  runRequestBytesMax,
  stepsMax,
} from '../../base/limits.ts'
import { nameSchema } from '../../base/names.ts'
import { bytesSchema } from '../../base/schemas.ts'
import { strangersWords } from '../../base/strangers-words.ts'
import { withDeadline } from '../../base/wait.ts'
import type { ByteStream } from '../../network/byte-stream.ts'
import { Frames } from '../../network/frames.ts'

export const RUN_PROTOCOL = '/mao/run/1.0.0'

const count = z.int().nonnegative()
const timeMs = z.int().nonnegative()
const requestId = z.string().regex(/^[a-z0-9-]{1,64}$/)
/** The id of a run at its host. */
const runId = z.string().regex(/^[a-z0-9-]{1,64}$/)
const state = z.string().regex(/^[a-z-]{1,20}$/)
const words = z.string().max(2_000)
const oid = z.string().regex(/^[0-9a-f]{40}$/)

export const requestSchema = z.strictObject({
  request: requestId,
  pipeline: nameSchema,
  /** Steps as a pipeline has them; read by the parser of pipelines. */
  steps: z.array(z.unknown()).min(1).max(stepsMax),
  tools: z.record(
    nameSchema,
    z.strictObject({
      image: z.string().min(1).max(500),
      digest: z
        .string()
        .regex(/^sha256:[0-9a-f]{64}$/)
        .optional(),
    }),
  ),
})
export type WireRequest = z.input<typeof requestSchema>

export const questionSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('ask'), request: requestSchema }),
  z.strictObject({ kind: z.literal('submit'), request: requestSchema }),
  z.strictObject({
    kind: z.literal('follow'),
    request: requestId,
    /** Transitions that the follower has. */
    transitions: count,
    /** Of which run at the host, and up to which byte, it has the log. */
    log: z.strictObject({ run: runId.optional(), offset: count }),
  }),
  z.strictObject({ kind: z.literal('cancel'), request: requestId }),
])
export type Question = z.output<typeof questionSchema>

const refusedSchema = z.object({
  kind: z.literal('refused'),
  code: z.string().max(40),
  reason: words,
})

const grantedSchema = z.object({
  cpus: z.number(),
  memoryBytes: count,
  diskBytes: count,
  pids: count,
  stepTimeoutMs: count,
  runTimeoutMs: count,
})

export const offeredSchema = z.object({
  kind: z.literal('offer'),
  granted: grantedSchema,
  /** How many more of the asker's runs could begin at once; below 1, so many wait. */
  free: z.int(),
  /** Whether the asker will be shown what the tools print. */
  logs: z.boolean(),
})
export const acceptedSchema = z.object({ kind: z.literal('accepted'), run: runId, state })
export const cancelledSchema = z.object({ kind: z.literal('cancelled'), state })

const transitionSchema = z.object({
  state,
  step: nameSchema.optional(),
  timeMs,
  reason: words.optional(),
})
export type WireTransition = z.output<typeof transitionSchema>

const outputSchema = z.object({
  step: nameSchema,
  dataset: nameSchema,
  branch: z.string().max(200),
  commit: oid,
  /** The tree of the commit. */
  tree: oid,
})
export type WireOutput = z.output<typeof outputSchema>

const stepSchema = z.object({
  name: nameSchema,
  state,
  digest: z.string().max(600).optional(),
  exitCode: z.int().optional(),
})
export type WireStep = z.output<typeof stepSchema>

export const followedSchema = z.discriminatedUnion('kind', [
  z.object({
    kind: z.literal('run'),
    run: runId,
    state,
    /** Place of the first of `transitions` among all. */
    from: count,
    transitions: z.array(transitionSchema).max(remoteTransitionsPerMessageMax),
    /** In the queue, from 1. */
    position: z.int().positive().optional(),
    why: words.optional(),
    /** Steps with the digest of their image and their exit code, as far as they have come. */
    steps: z.array(stepSchema).max(stepsMax),
    /** Whether the host shows what the tools print. */
    logs: z.boolean(),
  }),
  z.object({
    kind: z.literal('log'),
    run: runId,
    /** Where in what the tools of that run printed, one step behind the other, the bytes stand. */
    offset: count,
    bytes: bytesSchema.refine((bytes) => bytes.length <= runLogChunkBytes, 'too much at once'),
  }),
  z.object({ kind: z.literal('alive') }),
  z.object({
    kind: z.literal('end'),
    run: runId,
    state,
    code: z.string().max(40).optional(),
    reason: words.optional(),
    endedMs: timeMs,
    outputs: z.array(outputSchema).max(stepsMax),
  }),
])
export type Followed = z.output<typeof followedSchema>

/** Codes that mean the same on both sides; any other says only that the host has failed. */
const SHARED_CODES: readonly ErrorCode[] = [
  'CANCELLED',
  'CONFLICT',
  'DATASET_NOT_FOUND',
  'ENGINE_UNAVAILABLE',
  'FORBIDDEN',
  'IMAGE_FORBIDDEN',
  'IMAGE_MOVED',
  'IMAGE_NOT_FOUND',
  'INVALID_INPUT',
  'NOT_A_MEMBER',
  'POLICY_UNAVAILABLE',
  'QUEUE_FULL',
  'RUN_NOT_FOUND',
  'TIMED_OUT',
  'TOOL_NOT_FOUND',
  'TOO_LARGE',
]
const HOST_FAILED = 'INTERNAL'

/** The code of a refusal as it may be told to another member. */
export function sharedCode(code: string): ErrorCode {
  return SHARED_CODES.find((shared) => shared === code) ?? HOST_FAILED
}

/** One side of a stream of the run protocol. */
export class RunTalk {
  readonly peer: string
  readonly #stream: ByteStream
  readonly #heard: Frames
  readonly #said: Frames

  /** @param bytesMax the largest message that the other side may send. */
  constructor(stream: ByteStream, bytesMax: number = runMessageBytesMax) {
    this.peer = stream.peer
    this.#stream = stream
    this.#heard = new Frames(stream, bytesMax)
    this.#said = new Frames(stream, runRequestBytesMax)
  }

  /** @throws NodeError TOO_LARGE, STREAM_CLOSED */
  async say(message: object): Promise<void> {
    await this.#said.write(encode(withoutUndefined(message)))
  }

  /** Tells why nothing follows, and that nothing does. What went wrong inside is for our log, not for a peer. */
  async refuse(error: unknown): Promise<void> {
    const known = isNodeError(error) && SHARED_CODES.includes(error.code)
    const refused = known
      ? { code: error.code, reason: error.message.slice(0, 2_000) }
      : { code: HOST_FAILED, reason: 'the host failed at this; its operator finds more in its log' }
    await this.say({ kind: 'refused', ...refused })
    await this.#stream.closeWrite()
  }

  async end(): Promise<void> {
    await this.#stream.closeWrite()
  }

  /** Cuts the stream: what was under way is lost, and the other side sees a cut. */
  cut(reason: Error): void {
    this.#stream.abort(reason)
  }

  /**
   * The next message in its schema; undefined where the other side has ended well and `end` allows it.
   *
   * @throws NodeError with the code of a refusal; INVALID_INPUT when it says something else; TIMED_OUT, STREAM_CLOSED.
   */
  async hear<T>(
    schema: z.ZodType<T>,
    { deadlineMs = runFirstMessageTimeoutMs }: { deadlineMs?: number } = {},
  ): Promise<T> {
    const frame = await withDeadline(this.#heard.read(), deadlineMs, `The next word of ${this.peer}`).catch(
      (error: unknown) => {
        if (isNodeError(error, 'TIMED_OUT')) this.#stream.abort(error)
        throw error
      },
    )
    if (frame === undefined) {
      throw new NodeError('STREAM_CLOSED', `${this.peer} ended without another word`, { peer: this.peer })
    }
    const value = decoded(frame)
    const parsed = schema.safeParse(value)
    if (parsed.success) return parsed.data
    const refused = refusedSchema.safeParse(value)
    if (refused.success) throw this.#refusal(refused.data)
    const problems = parsed.error.issues
      .slice(0, 3)
      .map((issue) => `${issue.path.join('.')}: ${issue.message}`)
    const message = `${this.peer} does not speak ${RUN_PROTOCOL}: ${problems.join('; ')}`
    throw new NodeError('INVALID_INPUT', strangersWords(message), { peer: this.peer })
  }

  /** Reads what comes and keeps none of it, until the other side ends: how a host notices that its follower has gone. */
  async untilGone(): Promise<void> {
    for (let frame = await this.#heard.read(); frame !== undefined; frame = await this.#heard.read());
  }

  /** [MUST] Its words are a stranger's (run.md R8). */
  #refusal({ code, reason }: { code: string; reason: string }): NodeError {
    return new NodeError(sharedCode(code), strangersWords(reason), { peer: this.peer, refused: true })
  }
}

/** Longest silence of a host on a stream that is followed. */
export const followSilenceMaxMs = 3 * runAliveIntervalMs

/** Undefined, which no schema takes, where the bytes are no DAG-CBOR. */
function decoded(frame: Uint8Array): unknown {
  try {
    return decode(frame)
  } catch {
    return undefined
  }
}

/** DAG-CBOR knows no undefined. */
function withoutUndefined(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutUndefined)
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return value
  const kept = Object.entries(value).filter(([, field]) => field !== undefined)
  return Object.fromEntries(kept.map(([name, field]) => [name, withoutUndefined(field)]))
}
