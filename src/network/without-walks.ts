/**
 * libp2p's relay client and AutoNAT look for peers by random walks through the distributed table, without a pause: while
 * the table is empty, as it is for a node that has just been started, such a walk never lets go of the processor. Here
 * they get to know only of peers that the node is connected with anyway.
 *
 * @returns the same components with a walk that meets nobody.
 */
export function withoutWalks<Components extends { randomWalk: object }>(components: Components): Components {
  return Object.create(components, { randomWalk: { value: { walk: nobody } } })
}

async function* nobody(): AsyncGenerator<never> {
  // Meets nobody, at once.
}
