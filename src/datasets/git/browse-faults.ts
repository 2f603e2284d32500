/** What both backends say when something is not there, in the same words. */
import { NodeError } from '../../base/errors.ts'
import type { ByteRange } from './repository.ts'

export function noCommit(oid: string): NodeError {
  return new NodeError('COMMIT_NOT_FOUND', `The commit ${oid.slice(0, 80)} is not here`, { commit: oid })
}

export function noFile(oid: string): NodeError {
  return new NodeError('NOT_FOUND', `There is no file content ${oid} here`, { oid })
}

export function notADirectory(commit: string, path: string): NodeError {
  const shown = JSON.stringify(path.slice(0, 200))
  return new NodeError('NOT_FOUND', `The commit ${commit} has no directory ${shown}`, { commit, path })
}

export function conflict(branch: string, found: string | undefined, from: string | undefined): NodeError {
  const message = `The branch ${branch} is at ${found ?? 'nothing'}, not at ${from ?? 'nothing'}`
  return new NodeError('CONFLICT', message, { branch, from, found })
}

/** @throws NodeError INVALID_INPUT */
export function checkRange({ start, end }: ByteRange): void {
  if (Number.isSafeInteger(start) && Number.isSafeInteger(end) && start >= 0 && start <= end) return
  throw new NodeError('INVALID_INPUT', `${start} to ${end} is no range of bytes`, { start, end })
}
