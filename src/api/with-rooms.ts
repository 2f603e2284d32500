import type { ApiNode } from './api-node.ts'

/**
 * Does something with the rooms of the federation once there are any: now, or when the node comes to be in one.
 *
 * @param begin returns how to end it, which is done when the signal aborts.
 */
export function withRooms(
  node: Pick<ApiNode, 'hasFederation' | 'federation' | 'onEvent'>,
  signal: AbortSignal,
  begin: (rooms: ApiNode['federation']) => (() => void) | undefined,
): void {
  let end: (() => void) | undefined
  const open = () => {
    end?.()
    end = begin(node.federation)
  }
  if (node.hasFederation) open()
  const deaf = node.onEvent(({ type }) => {
    if (type === 'federation') open()
  })
  const stop = () => {
    deaf()
    end?.()
  }
  signal.addEventListener('abort', stop, { once: true })
}
