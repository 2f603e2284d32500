/** Tells HTTP/2 from HTTP/1.1 on a connection without encryption, by the first bytes that the client sends. */
import type { Socket } from 'node:net'

/** The preface of HTTP/2 with prior knowledge begins so (RFC 9113 §3.4), and no request of HTTP/1.1 does. */
const PREFACE = Buffer.from('PRI')

/** Calls `heard` once; a client that says nothing for `timeoutMs` is cut off. */
export function onFirstBytes(
  socket: Socket,
  timeoutMs: number,
  heard: (protocol: 'http1' | 'http2') => void,
): void {
  const pieces: Buffer[] = []
  let length = 0
  const timer = setTimeout(() => socket.destroy(), timeoutMs)
  const onClose = () => clearTimeout(timer)
  const onData = (piece: Buffer) => {
    pieces.push(piece)
    length += piece.length
    const [first = piece] = pieces
    const start = pieces.length === 1 ? first : Buffer.concat(pieces, length)
    const compared = Math.min(start.length, PREFACE.length)
    const mayBe = PREFACE.compare(start, 0, compared, 0, compared) === 0
    if (mayBe && compared < PREFACE.length) return
    clearTimeout(timer)
    socket.off('close', onClose)
    socket.off('data', onData)
    socket.pause()
    socket.unshift(start)
    heard(mayBe ? 'http2' : 'http1')
  }
  socket.on('close', onClose)
  socket.on('data', onData)
}
