/**
 * What a demo leaves behind on purpose (--keep) or because it was killed: a note in its directory says which processes
 * are its nodes, so that --stop can end them.
 */
import { execFile } from 'node:child_process'
import { access, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { z } from 'zod'
import { delay } from '../../src/base/wait.ts'

const PREFIX = 'mao-demo-'
const NOTE = 'demo.json'
const stopTimeoutMs = 30_000
const pollMs = 100

const noteSchema = z.object({
  demo: z.int(),
  kept: z.boolean(),
  nodes: z.array(z.object({ name: z.string(), pid: z.int(), data: z.string() })),
})
export type Note = z.output<typeof noteSchema>

export function newDemoDirectory(): Promise<string> {
  return mkdtemp(join(tmpdir(), PREFIX))
}

export async function writeNote(directory: string, note: Note): Promise<void> {
  await writeFile(join(directory, NOTE), `${JSON.stringify(note)}\n`, { mode: 0o600 })
}

/** Tells set-up that kept nodes need the container engine, where it is one that set-up started. */
export async function holdEngine(note: Note): Promise<void> {
  const users = process.env.ENGINE_USERS_DIRECTORY
  if (users === undefined || !(await exists(users))) return
  for (const { pid } of note.nodes) await writeFile(join(users, String(pid)), '')
}

/** Ends the nodes of every demo that was kept or is no longer there itself. @returns the names of nodes ended. */
export async function stopKept(): Promise<string[]> {
  const stopped: string[] = []
  for (const name of await readdir(tmpdir())) {
    if (!name.startsWith(PREFIX)) continue
    const directory = join(tmpdir(), name)
    const note = await readNote(directory)
    if (note === undefined) continue
    const atWork = !note.kept && (await commandOf(note.demo)).includes('demo.ts')
    if (atWork) continue
    const running = []
    for (const node of note.nodes) {
      // The process id may belong to somebody else by now; a node has its data directory in its command line.
      if ((await commandOf(node.pid)).includes(node.data)) running.push(node)
    }
    for (const { pid } of running) process.kill(pid, 'SIGTERM')
    for (const node of running) {
      await ended(node)
      stopped.push(node.name)
    }
    await rm(directory, { recursive: true, force: true })
  }
  return stopped
}

async function ended({ name, pid, data }: Note['nodes'][number]): Promise<void> {
  const deadline = performance.now() + stopTimeoutMs
  while ((await commandOf(pid)).includes(data)) {
    if (performance.now() > deadline) throw new Error(`${name} (process ${pid}) does not end`)
    await delay(pollMs)
  }
}

async function readNote(directory: string): Promise<Note | undefined> {
  const path = join(directory, NOTE)
  if (!(await exists(path))) return undefined
  return noteSchema.parse(JSON.parse(await readFile(path, 'utf8')))
}

/** The command line of a process; empty when there is none, or it has ended and nobody has collected it yet. */
async function commandOf(pid: number): Promise<string> {
  try {
    if (process.platform === 'linux') return await readFile(`/proc/${pid}/cmdline`, 'utf8')
    return (await promisify(execFile)('ps', ['-o', 'args=', '-p', String(pid)])).stdout
  } catch {
    return ''
  }
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}
