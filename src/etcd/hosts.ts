import { isIP } from 'node:net'

const LOOPBACK_NAMES = ['127.0.0.1', 'localhost', '[::1]']
const ANY_ADDRESS = ['0.0.0.0', '::']

/**
 * Whether a Host header names this node. Loopback is no boundary: a web page can make a browser ask 127.0.0.1 under a
 * name of its own, and then only this list stands between the page and the node.
 *
 * @param further Names, or names with ports, that the node is reached by besides.
 */
export function hostCheck(listening: string, further: readonly string[]): (hostHeader: string) => boolean {
  const names = [...LOOPBACK_NAMES, ...further]
  if (!ANY_ADDRESS.includes(listening)) names.push(isIP(listening) === 6 ? `[${listening}]` : listening)
  const known = new Set(names.map((name) => name.toLowerCase()))
  // A port may be a tunnel's; the name is what a page cannot choose.
  return (hostHeader) => {
    const host = hostHeader.toLowerCase()
    return known.has(host) || known.has(host.replace(/:\d{1,5}$/, ''))
  }
}
