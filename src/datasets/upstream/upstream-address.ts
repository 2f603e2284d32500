/**
 * Where a dataset's upstream is. The text comes from a record that any member may have written and goes to `git` and
 * `ssh`, so it is taken apart here and put together again: what is not plainly `ssh` or `https` is refused
 * (protocols/upstreams.md §1). Pure.
 */

import { isIPv6 } from 'node:net'
import { z } from 'zod'
import { messageOf, NodeError } from '../../base/errors.ts'
import { upstreamBranchCharactersMax, upstreamUrlCharactersMax } from '../../base/limits.ts'
import { isLoopback } from '../../base/loopback.ts'

/** `user@host:path`, whose path begins in the user's home, or the form with `://`. */
export interface UpstreamAddress {
  /** The same text for the same place: what is recorded, agreed to and handed to git. */
  readonly url: string
  readonly protocol: 'ssh' | 'https' | 'http'
  /** Without brackets. */
  readonly host: string
  /** Only where the text names one that is not the protocol's own. */
  readonly port?: number
  /** The account there. ssh: always, `git` when none is named. https: only where one is named; git is not told of it. */
  readonly user?: string
  readonly path: string
}

const FORMS = 'ssh://user@host[:port]/path, user@host:path or https://host[:port]/path'
const NAME = '[A-Za-z0-9](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?'
const HOST = new RegExp(`^${NAME}(?:\\.${NAME})*\\.?$`)
const USER = /^[A-Za-z0-9_][A-Za-z0-9._+-]*$/
const HOST_CHARACTERS_MAX = 253
const DEFAULT_PORTS = { ssh: 22, https: 443, http: 80 }

/** @throws NodeError INVALID_INPUT that says what is wrong and what to do instead; it repeats no text with a password. */
export function parseUpstreamUrl(text: string): UpstreamAddress {
  if (text.length > upstreamUrlCharactersMax) {
    throw refused(`is longer than ${upstreamUrlCharactersMax} characters`)
  }
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is meant
  if (/[\x00-\x20\x7f-\x9f\\]|\s/.test(text))
    throw refused('holds a blank, a backslash or a control character')
  const [, scheme, rest] = /^([A-Za-z][A-Za-z0-9+.-]*):\/\/(.*)$/.exec(text) ?? []
  if (scheme === undefined || rest === undefined) return parseShort(text)
  const protocol = scheme.toLowerCase()
  if (protocol !== 'ssh' && protocol !== 'https' && protocol !== 'http') {
    throw refused(`is of the kind ${protocol.slice(0, 20)}://, which is not used here`)
  }
  return parseLong(protocol, rest)
}

/** @throws NodeError FORBIDDEN when it is plain http to another machine, where whoever is between could change the data. */
export function checkSafeEnough({ protocol, host, url }: UpstreamAddress, allowHttp: boolean): void {
  if (protocol !== 'http' || allowHttp || isLoopback(host)) return
  const message = `${url} is not encrypted; use https, or, in a network that you trust, set git.allowHttp to true on this node`
  throw new NodeError('FORBIDDEN', message, { url })
}

/** The place that keys of hosts and credentials belong to: `host`, or `[host]:port` as known_hosts writes it. */
export function hostOf({ protocol, host, port }: UpstreamAddress): string {
  return port === undefined || port === DEFAULT_PORTS[protocol] ? host : `[${host}]:${port}`
}

/** A branch of the upstream: what git allows, without what a shell or option parser could misread (upstreams.md X4). */
export function isUpstreamBranch(text: string): boolean {
  if (text.length > upstreamBranchCharactersMax || text.includes('..')) return false
  return text
    .split('/')
    .every(
      (part) =>
        /^[A-Za-z0-9_](?:[A-Za-z0-9._+@#=-]*[A-Za-z0-9_+@#=-])?$/.test(part) && !part.endsWith('.lock'),
    )
}

/** The part of a dataset's record; another text than the one form does not fit (upstreams.md X3). */
export const upstreamSchema = z.object({
  url: z.string().superRefine((text, context) => {
    try {
      if (parseUpstreamUrl(text).url === text) return
      context.addIssue({ code: 'custom', message: 'an upstream is recorded in its one form' })
    } catch (error) {
      context.addIssue({ code: 'custom', message: messageOf(error) })
    }
  }),
  branch: z.string().refine(isUpstreamBranch, { message: 'no name of a branch' }),
})
export type Upstream = z.infer<typeof upstreamSchema>

function parseLong(protocol: UpstreamAddress['protocol'], rest: string): UpstreamAddress {
  const slash = rest.indexOf('/')
  if (slash === -1) throw refused('names no path')
  const [authority, path] = [rest.slice(0, slash), rest.slice(slash)]
  const { user, hostAndPort } = parseUser(authority)
  const [, bracketed, name, port] = /^(?:\[([^\]]*)\]|([^:[\]]*))(?::(\d{1,5}))?$/.exec(hostAndPort) ?? []
  const host = parseHost(bracketed, name)
  const number = port === undefined ? undefined : Number(port)
  if (number !== undefined && (number === 0 || number > 65_535)) throw refused(`names the port ${number}`)
  const kept = number === DEFAULT_PORTS[protocol] ? undefined : number
  const account = protocol === 'ssh' ? (user ?? 'git') : user
  const at = `${host.includes(':') ? `[${host}]` : host}${kept === undefined ? '' : `:${kept}`}`
  const url = `${protocol}://${account === undefined ? '' : `${account}@`}${at}${checkedPath(path)}`
  return {
    url,
    protocol,
    host,
    path,
    ...(kept === undefined ? {} : { port: kept }),
    ...(account === undefined ? {} : { user: account }),
  }
}

/** `user@host:path`. Without a user, `host:path` could as well be a helper of git (`ext::`) or a drive. */
function parseShort(text: string): UpstreamAddress {
  if (/^[^@/:]+:[^/:][^/]*@/.test(text)) throw withPassword()
  const colon = text.indexOf(':')
  const [before, path] = [text.slice(0, colon), text.slice(colon + 1)]
  if (colon === -1 || !before.includes('@') || before.includes('/'))
    throw refused('is of no kind that is used here')
  const { user, hostAndPort } = parseUser(before)
  const host = parseHost(undefined, hostAndPort)
  if (user === undefined) throw refused('names no user')
  if (path.startsWith('/')) return parseLong('ssh', `${user}@${host}${path}`)
  if (path === '' || /^[-:~]/.test(path)) throw refused('has a path that cannot be used')
  return { url: `${user}@${host}:${checkedPath(path)}`, protocol: 'ssh', host, user, path }
}

function parseUser(authority: string): { user: string | undefined; hostAndPort: string } {
  const at = authority.lastIndexOf('@')
  if (at === -1) return { user: undefined, hostAndPort: authority }
  const user = authority.slice(0, at)
  if (user.includes(':')) throw withPassword()
  if (!USER.test(user)) throw refused('has a user that cannot be used')
  return { user, hostAndPort: authority.slice(at + 1) }
}

function parseHost(bracketed: string | undefined, name: string | undefined): string {
  if (bracketed !== undefined && isIPv6(bracketed) && !bracketed.includes('%')) return bracketed.toLowerCase()
  if (name === undefined || name.length > HOST_CHARACTERS_MAX || !HOST.test(name)) {
    throw refused('has a host that cannot be used')
  }
  return name.toLowerCase().replace(/\.$/, '')
}

/** git takes `%` apart before it hands the path on, so what comes out is looked at as well (upstreams.md X1). */
function checkedPath(path: string): string {
  if (/[?#]/.test(path)) throw refused('has a query or a fragment; a secret does not belong there either')
  if (!/^[\x21-\x7e]+$/.test(path)) throw refused('has a path beyond ASCII; write it percent-encoded')
  let decoded: string
  try {
    decoded = decodeURIComponent(path)
  } catch {
    throw refused('has a "%" in its path that stands for nothing')
  }
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is meant
  if (/[\x00-\x1f\x7f]/.test(decoded)) throw refused('has a control character in its path')
  if (decoded.split('/').includes('..')) throw refused('has ".." in its path')
  if (/^\/*$/.test(decoded)) throw refused('names no path')
  if (/^\/*-/.test(decoded)) throw refused('has a path that begins as an option does')
  return path
}

function refused(fault: string): NodeError {
  return new NodeError('INVALID_INPUT', `The address of the upstream ${fault}; it looks like ${FORMS}`)
}

/** [MUST] Every member reads the record, so the refusal does not repeat the address either (upstreams.md X2). */
function withPassword(): NodeError {
  const message =
    'The address of the upstream holds a password, and every member reads it: put the password into the file that git.credentialsFile names on this node (a line https://user:password@host), or use a key over ssh'
  return new NodeError('INVALID_INPUT', message)
}
