import { fork } from 'node:child_process'
import { join } from 'node:path'
import { withDeadline } from '../../src/base/wait.ts'
import type { Genesis } from '../../src/federation/genesis.ts'
import { START_TIMEOUT_MS, type Workplace } from './harness.ts'

/** What a far node says of itself when it runs. */
export interface Greeting {
  readonly genesis: Genesis
  readonly peer: string
  readonly addresses: string[]
  /** `host:port` of its etcd surface. */
  readonly etcd: string
  /** Where its datasets lie, as `<name>.git`. */
  readonly repositories: string
}

export interface DatasetShape {
  readonly name: string
  readonly files: number
  readonly fileBytes: number
  readonly commits: number
}

/** What a far node does for its parent. */
export interface FarCommands {
  admit(peer: string, name: string): Promise<void>
  /** Puts so many records. */
  fill(count: number): Promise<void>
  /** Resident memory after a collection of garbage, bytes. */
  memoryBytes(): Promise<number>
  /** @returns the commits that together lead to all of it. */
  makeDataset(shape: DatasetShape): Promise<string[]>
  /** Brings a dataset into one pack, as a node's own upkeep does after a while. */
  tidy(name: string): Promise<void>
  /** Commits a few changed files to a dataset that was made. @returns the commit. */
  grow(name: string): Promise<string>
  /** Commits one small file to the dataset `small`. @returns when it was announced, ms since the epoch. */
  commitSmall(index: number): Promise<{ commit: string; announcedMs: number }>
}

export interface FarQuestion {
  readonly id: number
  readonly command: keyof FarCommands
  readonly args: readonly unknown[]
}
export interface FarAnswer {
  readonly id: number
  readonly result?: unknown
  readonly error?: string
}

/** The longest thing that is asked is to make a big dataset. */
const COMMAND_TIMEOUT_MS = 300_000

export type FarNode = Greeting & FarCommands

/** A founder's node in a process of its own, as an anchor has one, so that neither shares a processor with the bench. */
export async function startFarNode(work: Workplace): Promise<FarNode> {
  const child = fork(join(import.meta.dirname, 'far-process.ts'), [await work.directory()], {
    serialization: 'advanced',
    execArgv: ['--expose-gc'],
    // Standard output belongs to the rows.
    stdio: ['ignore', 2, 2, 'ipc'],
  })
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  work.after(async () => {
    if (child.connected) child.disconnect()
    const late = setTimeout(() => child.kill('SIGKILL'), START_TIMEOUT_MS / 2)
    await ended
    clearTimeout(late)
  })
  const waiting = new Map<number, (answer: FarAnswer) => void>()
  const greeting = new Promise<Greeting>((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', (code) => {
      reject(new Error(`The far node ended with ${code}`))
      for (const [id, answer] of waiting) answer({ id, error: 'the far node ended' })
    })
    child.once('message', (message) => resolve(message as unknown as Greeting))
  })
  const greeted = await withDeadline(greeting, START_TIMEOUT_MS, 'The start of the far node')
  child.on('message', (message) => {
    const answer = message as FarAnswer
    waiting.get(answer.id)?.(answer)
    waiting.delete(answer.id)
  })
  let asked = 0
  const ask = async (command: keyof FarCommands, args: readonly unknown[]): Promise<unknown> => {
    asked += 1
    const question: FarQuestion = { id: asked, command, args }
    const answered = new Promise<FarAnswer>((resolve) => waiting.set(question.id, resolve))
    child.send(question)
    const { result, error } = await withDeadline(answered, COMMAND_TIMEOUT_MS, command)
    if (error !== undefined) throw new Error(`The far node could not ${command}: ${error}`)
    return result
  }
  const told =
    <K extends keyof FarCommands>(command: K) =>
    (...args: Parameters<FarCommands[K]>) =>
      ask(command, args) as ReturnType<FarCommands[K]>
  return {
    ...greeted,
    admit: told('admit'),
    fill: told('fill'),
    memoryBytes: told('memoryBytes'),
    makeDataset: told('makeDataset'),
    tidy: told('tidy'),
    grow: told('grow'),
    commitSmall: told('commitSmall'),
  }
}
