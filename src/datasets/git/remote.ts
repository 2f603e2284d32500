/** What a repository has to be told to call another one that is no member's: an upstream (protocols/upstreams.md). */
import { NodeError } from '../../base/errors.ts'

/** One call, complete: nothing of it is looked up anywhere else. */
export interface RemoteCall {
  /** As git takes it, without any secret. */
  readonly url: string
  /** The one protocol that git may use for this call. */
  readonly protocol: 'ssh' | 'https' | 'http'
  /** `name=value` for git's command line. */
  readonly settings: readonly string[]
  readonly env: Readonly<Record<string, string>>
  /** What must not come back in any text. */
  readonly secrets: readonly string[]
}

/** A commit and the branch that it is to be on, there. */
export interface PushWish {
  readonly commit: string
  readonly branch: string
}

export interface Pushed extends PushWish {
  readonly outcome: 'created' | 'moved' | 'up-to-date' | 'refused'
  /** Of a refusal: git's or the server's own words, for people. */
  readonly reason?: string
}

export interface PushResult {
  readonly branches: readonly Pushed[]
  /** What the server said beside, for people. */
  readonly said: string
}

export function withoutGit(): NodeError {
  const message =
    'Upstreams need the git program, which is not on this machine: install git 2.30 or newer (Debian calls it: git) and start the node again'
  return new NodeError('UNSUPPORTED', message)
}
