import { type ChildProcess, spawn } from 'node:child_process'
import type { TestContext } from 'node:test'

export interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** A program that a test talks to while it runs; it does not outlive the test. */
export interface Running {
  readonly child: ChildProcess
  readonly stdout: () => string
  readonly ended: Promise<Ended>
}

export function spawnProgram(
  test: Pick<TestContext, 'after'>,
  program: string,
  args: readonly string[],
  options: { env?: Record<string, string>; deadlineMs?: number } = {},
): Running {
  const { env = {}, deadlineMs = 20_000 } = options
  const child = spawn(program, args, {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    signal: AbortSignal.timeout(deadlineMs),
  })
  let [stdout, stderr] = ['', '']
  child.stdout.on('data', (chunk) => {
    stdout += String(chunk)
  })
  child.stderr.on('data', (chunk) => {
    stderr += String(chunk)
  })
  const ended = new Promise<Ended>((resolve, reject) => {
    child.once('error', (cause) => {
      const said = `${program} ${args.join(' ')}: ${cause.message}; it said ${stdout}${stderr}`
      reject(new Error(said, { cause }))
    })
    child.once('close', (code) => resolve({ code, stdout, stderr }))
  })
  // Whoever does not wait for the end is not told that a killed program failed.
  ended.catch(() => undefined)
  test.after(() => {
    child.kill('SIGKILL')
  })
  return { child, stdout: () => stdout, ended }
}

/** Runs a program to its end. */
export function runProgram(
  test: Pick<TestContext, 'after'>,
  program: string,
  args: readonly string[],
  options: { env?: Record<string, string>; deadlineMs?: number } = {},
): Promise<Ended> {
  return spawnProgram(test, program, args, options).ended
}
