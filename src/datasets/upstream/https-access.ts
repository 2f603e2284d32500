/**
 * How this node speaks https to upstreams: certificates are always checked, credentials come from one file of the owner
 * and go to the host that they are written for and to no other, also not by a redirect (protocols/upstreams.md §5).
 */
import { open } from 'node:fs/promises'
import { resolve } from 'node:path'
import { messageOf, NodeError } from '../../base/errors.ts'
import { credentialsBytesMax } from '../../base/limits.ts'
import type { UpstreamAddress } from './upstream-address.ts'

export interface HttpsSettings {
  /** In git's store format (git-credential-store); empty: none. */
  readonly credentialsFile: string
  /** Authorities in PEM that certificates are checked with, instead of the system's; empty: those. */
  readonly caFile: string
}

export interface HttpsAccess {
  /** For git's command line. */
  readonly settings: readonly string[]
  /** For git's environment, which others on the machine do not see. */
  readonly env: Readonly<Record<string, string>>
  /** What must not come back in any text. */
  readonly secrets: readonly string[]
}

interface Credentials {
  readonly user: string
  readonly password: string
}

/** @throws NodeError INVALID_CONFIG when a file cannot be used, FORBIDDEN when others can read the credentials. */
export async function httpsAccess(address: UpstreamAddress, files: HttpsSettings): Promise<HttpsAccess> {
  const settings = [
    // [MUST] Certificates are checked (upstreams.md X16).
    'http.sslVerify=true',
    // Credentials stay where they belong (upstreams.md X18).
    'http.followRedirects=false',
    'http.saveCookies=false',
    'credential.helper=',
  ]
  if (files.caFile !== '') {
    const { text } = await readSmall(files.caFile, 'git.caFile')
    if (!text.includes('-----BEGIN CERTIFICATE-----')) {
      throw new NodeError('INVALID_CONFIG', `${files.caFile} holds no certificate in PEM (git.caFile)`)
    }
    settings.push(`http.sslCAInfo=${resolve(files.caFile)}`)
  }
  const credentials = await findCredentials(address, files.credentialsFile)
  if (credentials === undefined) return { settings, env: {}, secrets: [] }
  const { user, password } = credentials
  const basic = Buffer.from(`${user}:${password}`).toString('base64')
  const env = {
    GIT_CONFIG_COUNT: '1',
    // For this very place alone, and so for no other that a server may lead to (upstreams.md X17).
    GIT_CONFIG_KEY_0: `http.${urlForGit(address)}.extraHeader`,
    GIT_CONFIG_VALUE_0: `Authorization: Basic ${basic}`,
  }
  return { settings, env, secrets: [basic, password].filter((secret) => secret !== '') }
}

/** Without the user: git would ask for the password that goes with it. */
export function urlForGit({ url, protocol }: UpstreamAddress): string {
  return protocol === 'ssh' ? url : url.replace(/^(https?:\/\/)[^/@]*@/, '$1')
}

/** Of all lines that fit, the one that names the longest part of the path. Pure. */
export function pickCredentials(file: string, address: UpstreamAddress): Credentials | undefined {
  let best: { credentials: Credentials; length: number } | undefined
  for (const line of file.split(/\r?\n/)) {
    const entry = URL.canParse(line.trim()) ? new URL(line.trim()) : undefined
    if (entry === undefined || entry.protocol !== `${address.protocol}:`) continue
    const host = entry.hostname.replace(/^\[|\]$/g, '').toLowerCase()
    const port = entry.port === '' ? undefined : Number(entry.port)
    if (host !== address.host || port !== address.port) continue
    const path = decoded(entry.pathname).replace(/\/+$/, '')
    const wanted = decoded(address.path)
    if (path !== '' && wanted !== path && !wanted.startsWith(`${path}/`)) continue
    const credentials = { user: decoded(entry.username), password: decoded(entry.password) }
    if (address.user !== undefined && credentials.user !== address.user) continue
    if (best === undefined || path.length > best.length) best = { credentials, length: path.length }
  }
  return best?.credentials
}

async function findCredentials(address: UpstreamAddress, path: string): Promise<Credentials | undefined> {
  if (path === '') return undefined
  const { text, mode } = await readSmall(path, 'git.credentialsFile')
  if (process.platform !== 'win32' && (mode & 0o077) !== 0) {
    throw new NodeError('FORBIDDEN', `Others can read ${path}: run chmod 600 ${path}`, { path })
  }
  const found = pickCredentials(text, address)
  // A header is a line: what could begin another one is no password.
  if (found !== undefined && /[\r\n\0]/.test(found.user + found.password)) {
    throw new NodeError('INVALID_CONFIG', `The credentials for ${address.host} in ${path} hold a line break`)
  }
  return found
}

async function readSmall(path: string, setting: string): Promise<{ text: string; mode: number }> {
  let handle: Awaited<ReturnType<typeof open>> | undefined
  try {
    handle = await open(path, 'r')
    const { size, mode } = await handle.stat()
    if (size > credentialsBytesMax) throw new Error(`it has more than ${credentialsBytesMax} bytes`)
    return { text: await handle.readFile('utf8'), mode }
  } catch (cause) {
    const message = `The file ${path} (${setting}) cannot be read: ${messageOf(cause)}`
    throw new NodeError('INVALID_CONFIG', message, { path }, { cause })
  } finally {
    await handle?.close()
  }
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
