import { execFile } from 'node:child_process'
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { freeBytesAt } from '../base/disk-space.ts'
import { doctorProgramTimeoutMs } from '../base/limits.ts'
import { type Config, unknownVariables } from '../config.ts'
import { TOKEN_FILE } from '../identity/access-token.ts'
import { KEY_FILE } from '../identity/node-key.ts'
import type { MachineFacts } from './doctor-checks.ts'

/** Looks at the machine, as the user that asks. */
export async function machineFacts(
  { dataDirectory }: Config,
  environment: Readonly<Record<string, string | undefined>>,
): Promise<MachineFacts> {
  const secret = [KEY_FILE, TOKEN_FILE].map((file) => join(dataDirectory, file))
  const modes = await Promise.all(secret.map(async (path) => ({ path, mode: await modeOf(path) })))
  return {
    freeBytes: await freeBytesAt(dataDirectory),
    modes,
    git: await gitVersion(),
    unknownVariables: unknownVariables(environment),
  }
}

async function modeOf(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).mode
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
}

async function gitVersion(): Promise<string | undefined> {
  try {
    const { stdout } = await promisify(execFile)('git', ['--version'], { timeout: doctorProgramTimeoutMs })
    return stdout.trim()
  } catch {
    // [boundary] Whatever keeps it from answering, there is no git here that could be used.
    return undefined
  }
}
