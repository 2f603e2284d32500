/** In the data directory of a running node: where its API is, for clients on this machine. */
export const WHEREABOUTS_FILE = 'api.json'
