import { printable } from '../base/strangers-words.ts'
import { packet } from '../datasets/git/pkt-line.ts'
import { pushFailure } from '../datasets/push/push-report.ts'

/** What a problem says, and how. */
export interface GitProblem {
  readonly status: number
  readonly type: string
  readonly body: string | Uint8Array<ArrayBuffer>
}

const PATH = /^\/git\/.*\/git-(upload|receive)-pack$/

/**
 * A failure in the form that stock git shows to people, or undefined for another client. To the request with which a
 * conversation begins that is a plain text beside the status; to any later one it is only git's own words, in an answer
 * that otherwise succeeds (gitprotocol-pack(5), "error-line"; stock-git.md P17).
 */
export function gitProblem(
  { method, path, agent }: { method: string; path: string; agent: string | undefined },
  { status, code, detail }: { status: number; code: string; detail: string },
): GitProblem | undefined {
  if (!path.startsWith('/git/') || agent === undefined || !/^(?:git|JGit)\//.test(agent)) return undefined
  const text = `${printable(detail, '', ' ')} (${code})`
  const service = method === 'POST' ? PATH.exec(path)?.[1] : undefined
  // Whoever is not let in has to see the status: git then asks for a password.
  if (service === undefined || status === 401)
    return { status, type: 'text/plain; charset=utf-8', body: `${text}\n` }
  const body = service === 'upload' ? packet(`ERR ${text}\n`) : pushFailure(text)
  return { status: 200, type: `application/x-git-${service}-pack-result`, body: new Uint8Array(body) }
}
