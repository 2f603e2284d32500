import { messageOf, NodeError } from '../base/errors.ts'
import { withPorts } from './addresses.ts'
import { createHost, type Host, type HostParts } from './host.ts'

/**
 * A host that runs, and where it listens: with the ports that it got where it asked for free ones, so that the next one
 * gets the same. One that does not start leaves nothing behind.
 *
 * @throws NodeError PORT_IN_USE, INVALID_CONFIG (an address that cannot be listened on).
 */
export async function startHost(parts: HostParts): Promise<{ host: Host; listen: readonly string[] }> {
  const listening: string[] = []
  let host: Host | undefined
  try {
    host = await createHost(parts)
    host.addEventListener('transport:listening', ({ detail }) =>
      listening.push(...detail.getAddrs().map(String)),
    )
    await host.start()
  } catch (cause) {
    await host?.stop()
    throw cause instanceof NodeError ? cause : listenFailure(parts.listen, cause)
  }
  return { host, listen: withPorts(parts.listen, listening) }
}

/** Calls `changed` whenever others are told other addresses of this host than before. */
export function hearAddresses(host: Host, changed: () => void): void {
  const addresses = () => host.getMultiaddrs().map(String).join()
  let told = addresses()
  host.addEventListener('self:peer:update', () => {
    const now = addresses()
    if (now !== told) changed()
    told = now
  })
}

/** What to say when libp2p did not start. */
function listenFailure(listen: readonly string[], cause: unknown): NodeError {
  const text = messageOf(cause)
  const addresses = listen.join(', ')
  if (text.includes('EADDRINUSE')) {
    const message = `Another program listens on ${addresses}; stop it, or choose another --listen address`
    return new NodeError('PORT_IN_USE', message, { listen }, { cause })
  }
  return new NodeError(
    'INVALID_CONFIG',
    `The node cannot listen on ${addresses}: ${text}`,
    { listen },
    { cause },
  )
}
