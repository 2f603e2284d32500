import { NodeError } from '../base/errors.ts'
import { syncRecordBytesPerFrameMax } from '../base/limits.ts'
import type { ByteStream } from '../network/byte-stream.ts'
import { Frames } from '../network/frames.ts'
import { answer, collect } from './ranges.ts'
import type { Registry } from './registry.ts'
import { decodeQuestion, encodeCompared, encodeFetched, type Question } from './sync-messages.ts'

export interface SyncServerParts {
  readonly registry: Pick<Registry, 'federation' | 'index'>
  /** May this peer read the registry? Strangers are refused before anything is said. */
  readonly mayRead: (peer: string) => boolean
  /** Hears of each question. */
  readonly onQuestion: (peer: string) => void
}

/**
 * Answers the questions of one stream, in order. Nothing is kept between two of them, so that a catch-up that is cut
 * simply goes on with the next.
 *
 * @throws NodeError NOT_A_MEMBER [S1], FORBIDDEN [S2], or when a question is none; the stream is then cut.
 */
export async function serveSync(stream: ByteStream, parts: SyncServerParts): Promise<void> {
  const { registry, mayRead, onQuestion } = parts
  const frames = new Frames(stream)
  // [S1] Only members may read the registry; who is none any more hears nothing further.
  const refuseStrangers = () => {
    if (!mayRead(stream.peer)) throw new NodeError('NOT_A_MEMBER', `${stream.peer} is no member`)
  }
  refuseStrangers()
  for (let frame = await frames.read(); frame !== undefined; frame = await frames.read()) {
    refuseStrangers()
    const { federation, question } = decodeQuestion(frame)
    // [S2]
    if (federation !== registry.federation) {
      throw new NodeError('FORBIDDEN', `${stream.peer} asks for another federation`)
    }
    onQuestion(stream.peer)
    await frames.write(answerTo(registry.index, question))
  }
  await stream.closeWrite()
}

function answerTo(index: Registry['index'], question: Question): Uint8Array {
  if (question.kind === 'compare') return encodeCompared(question.ranges.map((range) => answer(index, range)))
  // [S10] A slow line brings so much in time.
  return encodeFetched(collect(index, question, syncRecordBytesPerFrameMax))
}
