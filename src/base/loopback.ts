import { isIP } from 'node:net'

const MAPPED = '::ffff:'

/**
 * Whether a host, as somebody writes it or a socket tells it, is this very machine without any name being resolved:
 * `localhost`, 127.0.0.0/8 (also in the clothes of IPv6) or ::1, with or without brackets. Pure.
 */
export function isLoopback(host: string | undefined): boolean {
  if (host === undefined) return false
  const bare = host.toLowerCase().replace(/^\[(.*)\]$/, '$1')
  const plain = bare.startsWith(MAPPED) ? bare.slice(MAPPED.length) : bare
  return plain === 'localhost' || plain === '::1' || (isIP(plain) === 4 && plain.startsWith('127.'))
}
