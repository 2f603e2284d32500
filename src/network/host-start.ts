import { isStartable, type Startable } from '@libp2p/interface'
import { messageOf, NodeError } from '../base/errors.ts'
import { hostSettlesMs } from '../base/limits.ts'
import { withDeadline } from '../base/wait.ts'
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
    await startWhole(host)
  } catch (cause) {
    throw cause instanceof NodeError ? cause : listenFailure(parts.listen, cause)
  }
  return { host, listen: withPorts(parts.listen, listening) }
}

/**
 * Starts all parts of a host or none. When one does not start libp2p stops the others at once, also those that are still
 * starting, which then go on without end: so here each is stopped again once it has started.
 */
async function startWhole(host: Host): Promise<void> {
  const starting: Promise<void>[] = []
  for (const part of partsOf(host)) {
    const start = part.start.bind(part)
    part.start = () => {
      const started = (async () => start())()
      starting.push(started)
      return started
    }
  }
  try {
    await host.start()
  } catch (cause) {
    // [boundary] Who takes longer than that to start is left to itself; why the host does not run is what counts.
    await withDeadline(Promise.allSettled(starting), hostSettlesMs, 'Starting').catch(() => undefined)
    await stopParts(host)
    throw cause
  }
}

/** Stops a host; when a part of it fails, the others are stopped all the same. @throws that failure. */
export async function stopHost(host: Host): Promise<void> {
  try {
    await host.stop()
  } catch (cause) {
    await stopParts(host)
    throw cause
  }
}

async function stopParts(host: Host): Promise<void> {
  // Those that stand already stop once more, which changes nothing; who fails has been told of before.
  await Promise.allSettled(partsOf(host).map(async (part) => part.stop()))
  // These two give up stopping where a stream or the peer store fails, and then keep the whole process alive.
  const { pubsub, autonat } = host.services as unknown as Stubborn
  pubsub.score.stop()
  autonat.findPeers.stop()
}

/** What keeps the timers of gossipsub and AutoNAT; their types do not tell of it. */
interface Stubborn {
  readonly pubsub: { readonly score: { stop(): void } }
  readonly autonat: { readonly findPeers: { stop(): void } }
}

/** What libp2p starts and stops; it keeps them in a field that its types do not name. */
function partsOf(host: Host): Startable[] {
  const { components } = host as Host & { components: { components: Record<string, unknown> } }
  return Object.values(components.components).filter((part) => isStartable(part))
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
