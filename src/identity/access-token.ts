import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import { chmod, mkdir, readFile, rename, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { messageOf, NodeError } from '../base/errors.ts'

export const TOKEN_FILE = 'api-token'
/** As many bits as the token could ever need; its text is safe in a header, a URL and a shell. */
const TOKEN_BYTES = 32
const OWNER_ONLY = 0o600
const TOKEN = /^[A-Za-z0-9_-]{32,}$/

/**
 * The token of this node's clients, made at the first start and readable by the owner of the data directory alone.
 *
 * @throws NodeError INVALID_CONFIG when the file holds something else, STORE_FAILED when it cannot be read or written.
 */
export async function openToken(dataDirectory: string): Promise<string> {
  const path = join(dataDirectory, TOKEN_FILE)
  try {
    await mkdir(dataDirectory, { recursive: true, mode: 0o700 })
    return (await readToken(path)) ?? (await createToken(path))
  } catch (cause) {
    if (cause instanceof NodeError) throw cause
    throw new NodeError('STORE_FAILED', `The token in ${path}: ${messageOf(cause)}`, { path }, { cause })
  }
}

async function readToken(path: string): Promise<string | undefined> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
  // A copy or a backup may have opened the file to others.
  if (((await stat(path)).mode & 0o077) !== 0) await chmod(path, OWNER_ONLY)
  const token = text.trim()
  if (TOKEN.test(token)) return token
  const message = `${path} holds no token; remove it, and the next start makes a new one`
  throw new NodeError('INVALID_CONFIG', message, { path })
}

async function createToken(path: string): Promise<string> {
  const token = randomBytes(TOKEN_BYTES).toString('base64url')
  await writeFile(path, `${token}\n`, { mode: OWNER_ONLY, flag: 'wx', flush: true })
  return token
}

/** Puts a new token in the place of the one before, all or nothing. @throws NodeError STORE_FAILED */
export async function renewToken(dataDirectory: string): Promise<string> {
  const path = join(dataDirectory, TOKEN_FILE)
  const token = randomBytes(TOKEN_BYTES).toString('base64url')
  try {
    await writeFile(`${path}.new`, `${token}\n`, { mode: OWNER_ONLY, flush: true })
    await rename(`${path}.new`, path)
    return token
  } catch (cause) {
    throw new NodeError('STORE_FAILED', `The token in ${path}: ${messageOf(cause)}`, { path }, { cause })
  }
}

/** Compares what a client presents with the token, in a time that tells nothing about it. */
export function tokenCheck(token: string): (presented: string) => boolean {
  const expected = digest(token)
  // Digests have one length, so the comparison tells neither the length nor how much of the token was right.
  return (presented) => timingSafeEqual(digest(presented), expected)
}

/** What a client asks a node to prove itself with: as many bits as nobody has seen before, in base64url. */
export const CHALLENGE = /^[A-Za-z0-9_-]{43}$/

export function newChallenge(): string {
  return randomBytes(TOKEN_BYTES).toString('base64url')
}

/**
 * Shows that somebody has the owner's token without showing the token: HMAC-SHA-256 (RFC 2104) over a challenge and the
 * name under which it was asked, base64url. The name is in it so that nobody who took a port of this machine can hand
 * the challenge on to the node itself, which answers to its own names alone (host-allow-list.ts).
 *
 * @param host as in the Host header.
 */
export function nodeProof(token: string, challenge: string, host: string): string {
  return createHmac('sha256', token)
    .update(`mao-node-proof/1\n${host.toLowerCase()}\n${challenge}`)
    .digest('base64url')
}

/** Compares two texts in a time that tells nothing about them. */
export function isSameText(one: string, other: string): boolean {
  return timingSafeEqual(digest(one), digest(other))
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}
