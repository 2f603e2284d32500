/** Bounds of connections: who is kept, relayed for, looked for, and how often. */

/** Changes of the network's key that wait for each other: joins and their undoing, which come one by one. */
export const rekeysWaitingMax = 8
