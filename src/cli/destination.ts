import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import { NodeError } from '../base/errors.ts'
import type { Globals } from './globals.ts'

type Environment = Readonly<Record<string, string | undefined>>

/** Which node a command line is about, before anything is read but the name of the default profile. */
export type Destination =
  | { readonly kind: 'url'; readonly url: string; readonly token: string | undefined }
  | { readonly kind: 'profile'; readonly name: string; readonly token: string | undefined }
  | { readonly kind: 'data'; readonly token: string | undefined }

/**
 * Whatever is nearer to the command weighs more: `--url` or `--data`, then `--profile`, then the environment (`MAO_URL`,
 * `MAO_PROFILE`, `MAO_DATA`), then the default profile, then the usual data directory.
 *
 * A token goes only where it was meant for: `MAO_TOKEN` to the node of `MAO_URL`, to that of `--url` where there is no
 * other `MAO_URL` that it belongs to, or of a data directory that the environment or nobody names, and never to a
 * profile, which has its own.
 *
 * @throws NodeError INVALID_INPUT when the line names two nodes.
 */
export function destinationOf(
  globals: Pick<Globals, 'url' | 'data' | 'profile' | 'token'>,
  environment: Environment,
  defaultProfile: string | undefined,
): Destination {
  const { url, data, profile, token } = globals
  const { MAO_URL, MAO_TOKEN, MAO_PROFILE, MAO_DATA } = said(environment)
  if (profile !== undefined && (url !== undefined || data !== undefined)) {
    const other = url === undefined ? '--data' : '--url'
    throw new NodeError('INVALID_INPUT', `--profile and ${other} both name a node; give one of them`)
  }
  const tokenOfLine = token ?? (data === undefined ? MAO_TOKEN : undefined)
  const isElsewhere = url !== undefined && MAO_URL !== undefined && !isSamePlace(url, MAO_URL)
  if (url !== undefined) return { kind: 'url', url, token: isElsewhere ? token : tokenOfLine }
  if (data !== undefined) return { kind: 'data', token }
  if (profile !== undefined) return { kind: 'profile', name: profile, token }
  if (MAO_URL !== undefined) return { kind: 'url', url: MAO_URL, token: tokenOfLine }
  if (MAO_PROFILE !== undefined) return { kind: 'profile', name: MAO_PROFILE, token }
  if (MAO_DATA !== undefined) return { kind: 'data', token: tokenOfLine }
  if (defaultProfile !== undefined) return { kind: 'profile', name: defaultProfile, token }
  return { kind: 'data', token: tokenOfLine }
}

function isSamePlace(a: string, b: string): boolean {
  const [one, other] = [URL.parse(a), URL.parse(b)]
  return one !== null && other !== null && one.origin === other.origin
}

/** The data directory that a command line is about, where it is about one. */
export function dataDirectoryOf(globals: Pick<Globals, 'data'>, environment: Environment): string {
  return resolve(globals.data ?? said(environment).MAO_DATA ?? join(homeOf(environment), '.mao'))
}

/** Where the profiles stand, by the XDG base directory specification. */
export function profilesFileOf(environment: Environment): string {
  const { XDG_CONFIG_HOME } = said(environment)
  return join(XDG_CONFIG_HOME ?? join(homeOf(environment), '.config'), 'mao', 'profiles.yaml')
}

function homeOf(environment: Environment): string {
  return said(environment).HOME ?? homedir()
}

/** A variable that is empty says as much as one that is not there. */
function said(environment: Environment): Environment {
  return Object.fromEntries(Object.entries(environment).filter(([, text]) => text !== ''))
}
