/** What a node asks of the host of a remote run, one stream a question. */

import type { z } from 'zod'
import { messageOf, type NodeError } from '../../base/errors.ts'
import { runAnswerTimeoutMs } from '../../base/limits.ts'
import type { Streams } from '../../network/network.ts'
import {
  acceptedSchema,
  cancelledSchema,
  type Followed,
  followedSchema,
  followSilenceMaxMs,
  offeredSchema,
  type Question,
  RUN_PROTOCOL,
  RunTalk,
  type WireRequest,
} from './run-protocol.ts'

export type RunStreams = Pick<Streams, 'open'>

export type Offered = z.output<typeof offeredSchema>

/** @throws NodeError with the code of the refusal, PEER_UNREACHABLE, STREAM_CLOSED, TIMED_OUT. */
export function askHost(
  streams: RunStreams,
  peer: string,
  request: WireRequest,
  signal?: AbortSignal,
): Promise<Offered> {
  return once(streams, peer, { kind: 'ask', request }, offeredSchema, signal)
}

/** Safe to ask again: one request makes one run. @throws as `askHost`. */
export function submitTo(
  streams: RunStreams,
  peer: string,
  request: WireRequest,
  signal?: AbortSignal,
): Promise<z.output<typeof acceptedSchema>> {
  return once(streams, peer, { kind: 'submit', request }, acceptedSchema, signal)
}

/** @throws as `askHost`, and RUN_NOT_FOUND. */
export function cancelAt(
  streams: RunStreams,
  peer: string,
  request: string,
  signal?: AbortSignal,
): Promise<z.output<typeof cancelledSchema>> {
  return once(streams, peer, { kind: 'cancel', request }, cancelledSchema, signal)
}

/** What the host tells of a run, until its end has been told. @throws as `askHost`, and RUN_NOT_FOUND. */
export async function* followAt(
  streams: RunStreams,
  peer: string,
  question: Omit<Extract<Question, { kind: 'follow' }>, 'kind'>,
  signal: AbortSignal,
): AsyncGenerator<Followed> {
  const stream = await streams.open(peer, RUN_PROTOCOL, signal)
  const talk = new RunTalk(stream)
  const cut = () => talk.cut(new Error(messageOf(signal.reason)))
  signal.addEventListener('abort', cut, { once: true })
  let ended = false
  try {
    // An abort that came while the stream was opened comes no second time.
    signal.throwIfAborted()
    await talk.say({ kind: 'follow', ...question })
    while (!ended) {
      const heard = await talk.hear(followedSchema, { deadlineMs: followSilenceMaxMs })
      ended = heard.kind === 'end'
      yield heard
    }
    await talk.end()
  } catch (error) {
    signal.throwIfAborted()
    throw error
  } finally {
    signal.removeEventListener('abort', cut)
    if (!ended) talk.cut(new Error('The follower has gone'))
  }
}

async function once<T>(
  streams: RunStreams,
  peer: string,
  question: object,
  schema: z.ZodType<T>,
  signal?: AbortSignal,
): Promise<T> {
  const stream = await streams.open(peer, RUN_PROTOCOL, signal)
  const talk = new RunTalk(stream)
  const cut = () => talk.cut(signal?.reason as NodeError)
  signal?.addEventListener('abort', cut, { once: true })
  try {
    await talk.say(question)
    const answer = await talk.hear(schema, { deadlineMs: runAnswerTimeoutMs })
    await talk.end()
    return answer
  } catch (error) {
    talk.cut(new Error(messageOf(error)))
    throw error
  } finally {
    signal?.removeEventListener('abort', cut)
  }
}
