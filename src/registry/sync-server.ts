import { NodeError } from '../base/errors.ts'
import { syncRecordBytesPerFrameMax } from '../base/limits.ts'
import type { ByteStream } from '../network/byte-stream.ts'
import { Frames } from '../network/frames.ts'
import { answering, collecting, type RangeAnswer } from './ranges.ts'
import type { Registry } from './registry.ts'
import { decodeQuestion, encodeCompared, encodeFetched, type Question } from './sync-messages.ts'
import type { Sliced, SyncSlices } from './sync-slices.ts'

export interface SyncServerParts {
  readonly registry: Pick<Registry, 'federation' | 'index'>
  /** May this peer read the registry? Strangers are refused before anything is said. */
  readonly mayRead: (peer: string) => boolean
  /** Where the answers to all peers are worked out. */
  readonly slices: SyncSlices
  /** Hears of each question. */
  readonly onQuestion: (peer: string) => void
}

/**
 * Answers the questions of one stream, in order. Nothing is kept between two of them, so that a catch-up that is cut
 * simply goes on with the next.
 *
 * @throws NodeError NOT_A_MEMBER [S1], FORBIDDEN [S2], QUEUE_FULL [S15], or when a question is none; the stream is then cut.
 */
export async function serveSync(stream: ByteStream, parts: SyncServerParts): Promise<void> {
  const { registry, mayRead, slices, onQuestion } = parts
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
    const answer = await slices.run(stream.peer, answerTo(registry.index, question))
    refuseStrangers()
    await frames.write(answer)
  }
  await stream.closeWrite()
}

function* answerTo(index: Registry['index'], question: Question): Sliced<Uint8Array> {
  // [S10] A slow line brings so much in time.
  if (question.kind === 'fetch')
    return encodeFetched(yield* collecting(index, question, syncRecordBytesPerFrameMax))
  const answers: RangeAnswer[] = []
  for (const range of question.ranges) answers.push(yield* answering(index, range))
  return encodeCompared(answers)
}
