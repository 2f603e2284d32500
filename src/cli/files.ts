import { readFile } from 'node:fs/promises'
import { text } from 'node:stream/consumers'
import { messageOf, NodeError } from '../base/errors.ts'
import type { Session } from './session.ts'

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'it does not exist',
  EACCES: 'this user may not',
  EISDIR: 'it is a directory',
  ENOTDIR: 'what it lies in is no directory',
}

/** Why a file cannot be had, for people, who have just typed its name. */
export function reasonOf(cause: unknown): string {
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : ''
  return REASONS[code] ?? messageOf(cause)
}

/** The text of a file, or of standard input for `-`. @throws NodeError INVALID_INPUT, also when there is none in it. */
export async function textOf(session: Session, file: string): Promise<string> {
  let read: string
  try {
    read = file === '-' ? await text(session.terminal.stdin) : await readFile(file, 'utf8')
  } catch (cause) {
    throw new NodeError('INVALID_INPUT', `${file} cannot be read: ${reasonOf(cause)}`, { file }, { cause })
  }
  if (read.trim() !== '') return read
  throw new NodeError('INVALID_INPUT', `${file === '-' ? 'Standard input' : file} is empty`, { file })
}
