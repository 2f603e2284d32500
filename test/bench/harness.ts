/** What every bench stands on: a workplace that is cleared however the bench ends, and runs that take turns. */
import { type ChildProcess, spawn } from 'node:child_process'
import { access, constants, mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { messageOf } from '../../src/base/errors.ts'
import { withDeadline } from '../../src/base/wait.ts'
import { median, type Row } from './figures.ts'

export interface Bench {
  /** One line for the list of benches. */
  readonly about: string
  run(work: Workplace): Promise<Row[]>
}

/** How long one thing may take to end before it is left behind and said so. */
const END_TIMEOUT_MS = 20_000
/** How long a started program may take to answer. */
export const START_TIMEOUT_MS = 20_000

export interface WorkplaceParts {
  readonly root: string
  readonly quick: boolean
  /** Hears of the progress, a sentence at a time. */
  readonly say: (text: string) => void
}

/** A directory and all that was started for one bench. */
export class Workplace {
  readonly quick: boolean
  readonly say: (text: string) => void
  readonly #root: string
  #undo: (() => unknown)[] = []
  #directories = 0
  #ended: Promise<void> | undefined

  constructor({ root, quick, say }: WorkplaceParts) {
    this.#root = root
    this.quick = quick
    this.say = say
  }

  static async open(quick: boolean, say: (text: string) => void): Promise<Workplace> {
    return new Workplace({ root: await mkdtemp(join(tmpdir(), 'mao-bench-')), quick, say })
  }

  /** This workplace as the parts in test/support want a test: all that they call of it is `after`. */
  get test(): TestContext {
    const narrow: Pick<TestContext, 'after'> = { after: (undo) => this.after(undo as () => unknown) }
    return narrow as TestContext
  }

  /** Undone at the end in the order of the calls, as node:test does it, which the parts in test/support count on. */
  after(undo: (() => unknown) | undefined): void {
    if (undo !== undefined) this.#undo.push(undo)
  }

  /** A new directory. */
  async directory(): Promise<string> {
    this.#directories += 1
    const path = join(this.#root, String(this.#directories))
    await mkdir(path, { recursive: true })
    return path
  }

  /** One of two sizes. */
  size(full: number, quick: number): number {
    return this.quick ? quick : full
  }

  /** Ends all that was started, then removes the directory. May be called twice. @throws AggregateError */
  end(): Promise<void> {
    this.#ended ??= this.#end()
    return this.#ended
  }

  async #end(): Promise<void> {
    const failures: Error[] = []
    const attempt = async (undo: () => unknown) => {
      try {
        await withDeadline(Promise.resolve(undo()), END_TIMEOUT_MS, 'Clearing up')
      } catch (cause) {
        failures.push(new Error(messageOf(cause), { cause }))
      }
    }
    for (let undo = this.#undo.shift(); undo !== undefined; undo = this.#undo.shift()) await attempt(undo)
    await attempt(() => rm(this.#root, { recursive: true, force: true, maxRetries: 5 }))
    if (failures.length > 0) throw new AggregateError(failures, failures.map((f) => f.message).join('; '))
  }
}

/** A file system in memory, where there is one. */
const MEMORY = '/dev/shm'

/**
 * Directories in memory for many nodes of one process: in life each has a disk of its own, while here they would wait for
 * each other's writes.
 */
export async function memoryDirectory(work: Workplace) {
  const isThere = await access(MEMORY, constants.W_OK).then(
    () => true,
    () => false,
  )
  const root = isThere ? await mkdtemp(join(MEMORY, 'mao-bench-')) : await work.directory()
  const remove = () => rm(root, { recursive: true, force: true, maxRetries: 5 })
  work.after(remove)
  let count = 0
  return {
    remove,
    next: async () => {
      count += 1
      const path = join(root, String(count))
      await mkdir(path)
      return path
    },
  }
}

type Subjects = Readonly<Record<string, () => Promise<number>>>

/**
 * Runs every subject `rounds` times, taking turns, so that what else the machine does weighs on all of them alike; who
 * comes first changes with each round.
 *
 * @returns what each subject measured, in the order of its runs.
 */
export async function inTurns<S extends Subjects>(
  rounds: number,
  subjects: S,
): Promise<{ [K in keyof S]: number[] }> {
  const names: (keyof S)[] = Object.keys(subjects)
  const measured = Object.fromEntries(names.map((name) => [name, []])) as unknown as {
    [K in keyof S]: number[]
  }
  for (let round = 0; round < rounds; round += 1) {
    for (const name of round % 2 === 0 ? names : names.toReversed()) {
      measured[name].push(await (subjects[name] as () => Promise<number>)())
    }
  }
  return measured
}

/** Like `inTurns`, and of each subject the median. */
export async function mediansInTurns<S extends Subjects>(
  rounds: number,
  subjects: S,
): Promise<{ [K in keyof S]: number }> {
  const measured = await inTurns(rounds, subjects)
  const medians = Object.entries(measured).map(([name, values]) => [name, median(values)])
  return Object.fromEntries(medians) as { [K in keyof S]: number }
}

/** Calls `call` with 0, 1 … `count` - 1 from `callers` loops at once. @returns calls per second. */
export async function callsPerSecond(
  count: number,
  callers: number,
  call: (index: number) => Promise<unknown>,
): Promise<number> {
  let next = 0
  const loop = async () => {
    for (let index = next++; index < count; index = next++) await call(index)
  }
  const seconds = await secondsOf(() => Promise.all(Array.from({ length: callers }, loop)))
  return count / seconds
}

export async function secondsOf(work: () => Promise<unknown>): Promise<number> {
  const begunMs = performance.now()
  await work()
  return (performance.now() - begunMs) / 1_000
}

/** Starts a program in a process group of its own, which ends with the workplace. What it prints goes nowhere. */
export function startProgram(work: Workplace, program: string, args: readonly string[]): ChildProcess {
  const child = spawn(program, args, { stdio: 'ignore', detached: true })
  const ended = new Promise<void>((resolve) => {
    child.once('close', () => resolve())
    child.once('error', (error) => {
      work.say(`${program}: ${error.message}`)
      resolve()
    })
  })
  const signal = (name: NodeJS.Signals) => {
    // The group, since a program may have started others.
    if (child.pid !== undefined && child.exitCode === null && child.signalCode === null) {
      process.kill(-child.pid, name)
    }
  }
  work.after(async () => {
    signal('SIGTERM')
    const late = setTimeout(() => signal('SIGKILL'), END_TIMEOUT_MS / 2)
    await ended
    clearTimeout(late)
  })
  return child
}
