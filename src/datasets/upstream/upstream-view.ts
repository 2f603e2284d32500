/** An upstream as its node's owner sees it. */
import { lookup } from 'node:dns/promises'
import type { Pushed } from '../git/remote.ts'
import type { HostKey } from './known-hosts.ts'
import { hostOf, parseUpstreamUrl, type Upstream } from './upstream-address.ts'
import { type Agreement, lackOfConsent, type UpstreamOutcome, type UpstreamRow } from './upstream-memory.ts'

export interface UpstreamView {
  readonly url: string
  readonly branch: string
  readonly protocol: string
  /** `host` or `[host]:port`. */
  readonly host: string
  /** What the name stands for now; only when asked for, because it asks the name's server. */
  readonly addresses?: readonly string[]
  /** Name of the member whose record names it. */
  readonly namedBy: string
  /** Whether this node's owner has agreed to calls to just this one. */
  readonly agreed: boolean
  /** What was agreed to before the record changed. */
  readonly agreedTo?: Upstream
  /** The branch of this node that pulls go to, and where it is. */
  readonly pullsTo: string
  readonly commit?: string
  readonly follow?: {
    readonly everyMs: number
    readonly push: boolean
    readonly nextMs: number
    readonly failures: number
    /** Why no call is made at present. */
    readonly stopped?: string
  }
  readonly pulled?: UpstreamOutcome
  readonly pushed?: UpstreamOutcome
}

export interface PullResult {
  readonly url: string
  readonly branch: string
  readonly commit: string
  /** False when the branch was there already. */
  readonly changed: boolean
  /** Whether the dataset begins with it: it held nothing agreed before. */
  readonly initial: boolean
}

export interface PushView {
  readonly url: string
  readonly branches: readonly Pushed[]
}

export interface HostKeyView extends HostKey {
  /** `other`: this node trusts another key of this kind. */
  readonly trusted: 'yes' | 'no' | 'other'
}

export interface Named {
  readonly named: Agreement
  readonly row: UpstreamRow
  readonly namedBy: string
  readonly pullsTo: string
  readonly commit: string | undefined
}

/** Pure. */
export function upstreamView({ named, row, namedBy, pullsTo, commit }: Named): UpstreamView {
  const { url, branch } = named
  const address = parseUpstreamUrl(url)
  const lack = lackOfConsent(row.agreed, named)
  const stopped = lack === undefined ? {} : { stopped: lackText(lack, named, row.agreed) }
  return {
    ...{ url, branch },
    protocol: address.protocol,
    host: hostOf(address),
    namedBy,
    agreed: lack === undefined,
    ...(lack === 'changed' && row.agreed !== undefined
      ? { agreedTo: { url: row.agreed.url, branch: row.agreed.branch } }
      : {}),
    pullsTo,
    ...(commit === undefined ? {} : { commit }),
    ...(row.follow === undefined ? {} : { follow: { ...row.follow, ...stopped } }),
    ...(row.pulled === undefined ? {} : { pulled: row.pulled }),
    ...(row.pushed === undefined ? {} : { pushed: row.pushed }),
  }
}

export function lackText(
  lack: 'never-asked' | 'changed',
  named: Upstream,
  agreed: Upstream | undefined,
): string {
  if (lack === 'never-asked') return `nobody on this node has agreed to calls to ${named.url}`
  const was = agreed?.url === named.url ? `the branch ${agreed.branch}` : agreed?.url
  const is = agreed?.url === named.url ? `the branch ${named.branch}` : named.url
  return `the record names ${is} now, and what was agreed to is ${was}`
}

/** [SHOULD] What the host's name stands for; none when it stands for nothing (upstreams.md X7). */
export async function addressesOf(url: string): Promise<string[]> {
  const { host } = parseUpstreamUrl(url)
  try {
    return (await lookup(host, { all: true })).map(({ address }) => address).slice(0, 16)
  } catch {
    // A name that nobody knows: the call itself will say so.
    return []
  }
}
