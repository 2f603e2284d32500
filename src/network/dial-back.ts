/** What is used here of libp2p's connection manager. */
interface Opens {
  openConnection(to: never, options?: object): Promise<unknown>
}

/**
 * AutoNAT answers whoever asks by dialling it back, and then hangs up. libp2p gives it a connection that is there already
 * where one leads to the same address, and so it would hang up on a peer that is in use, with every relayed connection
 * over it. Here each dial back is a connection of its own; only that proves anything, besides.
 *
 * @returns the same components with a connection manager that opens what it is asked to open.
 */
export function dialsBack<Components extends { connectionManager: object }>(
  components: Components,
): Components {
  const manager = components.connectionManager as Opens
  const openConnection: Opens['openConnection'] = (to, options) =>
    manager.openConnection(to, { ...options, force: true })
  const opensAnew = Object.create(manager, { openConnection: { value: openConnection } })
  return Object.create(components, { connectionManager: { value: opensAnew } })
}
