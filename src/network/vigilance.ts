import type { MessageStream } from '@libp2p/interface'
import type { yamux } from '@libp2p/yamux'
import { NodeError } from '../base/errors.ts'
import { silentLooksMax, vigilanceIntervalMs } from '../base/limits.ts'

type Factory = ReturnType<typeof yamux>
type Muxer = ReturnType<ReturnType<Factory>['createStreamMuxer']>

/**
 * Ends connections whose other side is gone without a word, as after a cut: who has said nothing since the last look is
 * asked by the muxer's own ping, and whoever does not answer for some looks is hung up on.
 *
 * libp2p's monitor asks on a stream of its own every time, which costs both sides some milliseconds of work and a write to
 * the peer store; with a thousand connections on one machine nothing else got done. It also hangs up when the answer comes
 * late because this very process was busy. Here looks are counted, not time, and between two of them all that has
 * arrived is read.
 */
export function vigilant(factoryOf: Factory, intervalMs = vigilanceIntervalMs): Factory {
  return () => {
    const factory = factoryOf()
    const create = factory.createStreamMuxer.bind(factory)
    factory.createStreamMuxer = (connection) => {
      const muxer = create(connection)
      watch(muxer, connection, intervalMs)
      return muxer
    }
    return factory
  }
}

function watch(muxer: Muxer, connection: MessageStream, intervalMs: number): void {
  let silentLooks = 0
  const heard = () => {
    silentLooks = 0
  }
  const look = () => {
    if (connection.status !== 'open') return clearInterval(timer)
    if (silentLooks >= silentLooksMax) {
      clearInterval(timer)
      const gone = new NodeError('STREAM_CLOSED', 'The other side says nothing any more')
      muxer.abort(gone)
      connection.abort(gone)
      return
    }
    // A muxer that is closing does not ask any more; then its connection is about to end as well.
    if (silentLooks > 0) muxer.ping().catch(() => undefined)
    silentLooks += 1
  }
  const timer = setInterval(look, intervalMs).unref()
  connection.addEventListener('message', heard)
  connection.addEventListener('close', () => clearInterval(timer), { once: true })
}
