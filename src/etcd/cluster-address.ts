/**
 * Where the registry is kept: the setting `registry`. It is `gossip`, or the etcd cluster of strong mode
 * (protocols/strong-mode.md §2): `etcd://host:2379,host2:2379`, or `etcds://…` over TLS. A password has no place in it,
 * since settings are shown; it stands in a file of its own.
 */
import { open } from 'node:fs/promises'
import { messageOf, NodeError } from '../base/errors.ts'
import { clusterEndpointsMax, clusterPasswordBytesMax } from '../base/limits.ts'

/** An etcd cluster, and how to get in. */
export interface ClusterAddress {
  /** As the client takes them: `http://host:port`, or `https://host:port` over TLS. */
  readonly endpoints: readonly string[]
  /** What the servers' certificates are checked with, PEM; without it, the authorities that the system trusts. */
  readonly certificateAuthority?: Buffer
  readonly account?: { readonly user: string; readonly password: string }
}

export interface RegistrySettings {
  readonly registry: string
  /** Empty: none. */
  readonly registryUser: string
  readonly registryPasswordFile: string
  readonly registryCaFile: string
}

const PORT_DEFAULT = 2379
const ENDPOINT = /^(?<host>[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::(?<port>\d{1,5}))?$/

/**
 * The endpoints that the setting `registry` names, or undefined for gossip. Pure.
 *
 * @throws NodeError INVALID_CONFIG
 */
export function parseRegistry(text: string): readonly string[] | undefined {
  if (text === 'gossip') return undefined
  const [, scheme, list] = /^(etcds?):\/\/(.*)$/.exec(text) ?? []
  if (scheme === undefined || list === undefined) {
    throw new NodeError(
      'INVALID_CONFIG',
      'either gossip, or etcd://host:2379,host2:2379, or etcds://… over TLS',
    )
  }
  if (list.includes('@')) {
    // The text is not repeated: it holds a secret.
    const message =
      'name the user in registryUser and the file with the password in registryPasswordFile, not here'
    throw new NodeError('INVALID_CONFIG', message)
  }
  const names = list.replace(/\/$/, '').split(',')
  if (names.length > clusterEndpointsMax) {
    throw new NodeError('INVALID_CONFIG', `at most ${clusterEndpointsMax} endpoints`)
  }
  const protocol = scheme === 'etcds' ? 'https' : 'http'
  return names.map((name, index) => {
    const { host, port = PORT_DEFAULT } = ENDPOINT.exec(name.trim())?.groups ?? {}
    if (host === undefined || Number(port) > 65_535 || Number(port) === 0) {
      // Nor here: what stands in the port's place may be a password.
      const message = `endpoint ${index + 1} of ${names.length} is not of the form host:2379`
      throw new NodeError('INVALID_CONFIG', message)
    }
    return `${protocol}://${host}:${port}`
  })
}

/**
 * The cluster that the settings name, with what the files hold; undefined for gossip.
 *
 * @throws NodeError INVALID_CONFIG
 */
export async function clusterAddress(settings: RegistrySettings): Promise<ClusterAddress | undefined> {
  const { registry, registryUser: user, registryPasswordFile, registryCaFile } = settings
  const endpoints = parseRegistry(registry)
  if (endpoints === undefined) return undefined
  if ((user === '') !== (registryPasswordFile === '')) {
    throw new NodeError('INVALID_CONFIG', 'registryUser and registryPasswordFile go together')
  }
  if (registryCaFile !== '' && !registry.startsWith('etcds://')) {
    throw new NodeError('INVALID_CONFIG', 'registryCaFile is for a registry over TLS: etcds://…')
  }
  const account = user === '' ? undefined : { user, password: await readPassword(registryPasswordFile) }
  const certificateAuthority = registryCaFile === '' ? undefined : await readCertificates(registryCaFile)
  return {
    endpoints,
    ...(account === undefined ? {} : { account }),
    ...(certificateAuthority === undefined ? {} : { certificateAuthority }),
  }
}

async function readPassword(path: string): Promise<string> {
  const { text, mode } = await readSmall(path, 'registryPasswordFile', clusterPasswordBytesMax)
  if (process.platform !== 'win32' && (mode & 0o077) !== 0) {
    throw new NodeError('INVALID_CONFIG', `Others can read ${path}: run chmod 600 ${path}`, { path })
  }
  const password = text.replace(/\r?\n$/, '')
  if (password === '') throw new NodeError('INVALID_CONFIG', `${path} holds no password`, { path })
  return password
}

async function readCertificates(path: string): Promise<Buffer> {
  const { text } = await readSmall(path, 'registryCaFile', 256 * clusterPasswordBytesMax)
  if (!text.includes('-----BEGIN CERTIFICATE-----')) {
    throw new NodeError('INVALID_CONFIG', `${path} holds no certificate in PEM`, { path })
  }
  return Buffer.from(text)
}

async function readSmall(path: string, setting: string, bytesMax: number) {
  let handle: Awaited<ReturnType<typeof open>> | undefined
  try {
    handle = await open(path, 'r')
    const { mode, size } = await handle.stat()
    if (size > bytesMax) throw new Error(`it has ${size} bytes, more than ${bytesMax}`)
    return { text: await handle.readFile('utf8'), mode }
  } catch (cause) {
    const message = `${setting}: ${path} cannot be read: ${messageOf(cause)}`
    throw new NodeError('INVALID_CONFIG', message, { path }, { cause })
  } finally {
    await handle?.close()
  }
}
