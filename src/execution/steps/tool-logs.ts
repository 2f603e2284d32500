import { constants } from 'node:fs'
import { open, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { messageOf } from '../../base/errors.ts'
import { logReadBytes, stepLogBytesMax } from '../../base/limits.ts'
import type { StepLog } from '../logs/logs.ts'

/**
 * Adds the logs that a tool wrote as files of its own to what it printed. They are the tool's, so links are not
 * followed, and nothing but a plain file is read; what cannot be read is said.
 */
export async function addToolLogs(directory: string, log: StepLog): Promise<void> {
  let room = stepLogBytesMax
  for (const name of (await readdir(directory)).sort()) {
    if (room <= 0) return
    await log.say(`[${name}]`)
    try {
      room -= await addFile(join(directory, name), room, log)
    } catch (error) {
      await log.say(`[not readable: ${messageOf(error)}]`)
    }
  }
}

/** @returns how many bytes were added, at most `room`. */
async function addFile(path: string, room: number, log: StepLog): Promise<number> {
  const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants
  const file = await open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
  try {
    if (!(await file.stat()).isFile()) return 0
    const buffer = Buffer.alloc(logReadBytes)
    let at = 0
    while (at < room) {
      const { bytesRead } = await file.read(buffer, 0, Math.min(buffer.length, room - at), at)
      if (bytesRead === 0) break
      await log.write('stdout', buffer.subarray(0, bytesRead))
      at += bytesRead
    }
    return at
  } finally {
    await file.close()
  }
}
