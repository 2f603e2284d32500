/**
 * The keys of hosts in the form of OpenSSH (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT), as far as this node writes them: a
 * host, the kind of key, the key. Lines of any other form are the owner's, and are left as they are. Pure.
 */
import { createHash, createHmac } from 'node:crypto'
import { hostKeysMax } from '../../base/limits.ts'

export interface HostKey {
  /** Such as `ssh-ed25519`. */
  readonly type: string
  /** The public key, base64. */
  readonly key: string
  /** `SHA256:…`, as ssh and the pages of git hosts tell it. */
  readonly fingerprint: string
}

/** What people are shown first, and ssh prefers as well. */
const PREFERRED = [
  'ssh-ed25519',
  'ecdsa-sha2-nistp256',
  'ecdsa-sha2-nistp384',
  'ecdsa-sha2-nistp521',
  'ssh-rsa',
]

export function fingerprintOf(key: string): string {
  const digest = createHash('sha256').update(Buffer.from(key, 'base64')).digest('base64')
  return `SHA256:${digest.replace(/=+$/, '')}`
}

/** The keys in what `ssh-keyscan` wrote, those that ssh prefers first. */
export function parseScan(text: string): HostKey[] {
  const keys = text.split('\n').flatMap((line) => {
    const [, type = '', key = ''] = /^[^#\s]\S* (\S+) ([A-Za-z0-9+/]+={0,2})$/.exec(line.trim()) ?? []
    return PREFERRED.includes(type) ? [{ type, key, fingerprint: fingerprintOf(key) }] : []
  })
  const rank = (each: HostKey) => PREFERRED.indexOf(each.type)
  return keys.sort((a, b) => rank(a) - rank(b)).slice(0, hostKeysMax)
}

/** The keys that the file knows of a host, which is `name` or `[name]:port`. */
export function knownKeys(file: string, host: string): HostKey[] {
  return file.split('\n').flatMap((line) => {
    const { hosts, type, key } = parseLine(line)
    if (hosts === undefined || !names(hosts, host)) return []
    return [{ type, key, fingerprint: fingerprintOf(key) }]
  })
}

/** The file with this key as the only one of its kind for the host: a key that was replaced is trusted no longer. */
export function withKey(file: string, host: string, added: HostKey): string {
  const kept = file.split('\n').flatMap((line) => {
    const { hosts, type } = parseLine(line)
    if (hosts === undefined || type !== added.type || !names(hosts, host)) return [line]
    // Other hosts that share the line keep it.
    const others = hosts.split(',').filter((each) => !isHost(each, host))
    return others.length === 0 ? [] : [line.replace(hosts, others.join(','))]
  })
  const before = kept.join('\n').replace(/\n*$/, '')
  return `${before === '' ? '' : `${before}\n`}${host} ${added.type} ${added.key}\n`
}

/** Lines with a marker (`@revoked`), comments and what is no line of this form name no host here. */
function parseLine(line: string): { hosts: string | undefined; type: string; key: string } {
  const [, hosts, type = '', key = ''] =
    /^\s*([^#@\s]\S*)\s+(\S+)\s+([A-Za-z0-9+/]+={0,2})(?:\s.*)?$/.exec(line) ?? []
  return { hosts, type, key }
}

function names(hosts: string, host: string): boolean {
  return hosts.split(',').some((each) => isHost(each, host))
}

function isHost(entry: string, host: string): boolean {
  const [, salt, hash] = /^\|1\|([^|]+)\|([^|]+)$/.exec(entry) ?? []
  if (salt === undefined || hash === undefined) return entry.toLowerCase() === host
  return createHmac('sha1', Buffer.from(salt, 'base64')).update(host).digest('base64') === hash
}
