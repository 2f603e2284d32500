/**
 * Simulations run in threads of their own: a test runner follows every promise that is made within a test, and there are
 * some millions of them.
 */
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { forks, live, type Sum } from './voting-stories.ts'

interface Task {
  readonly kind: 'live' | 'forks'
  readonly seeds: readonly number[]
}

interface Told {
  readonly sum: Sum
  readonly failure?: { readonly seed: number; readonly message: string; readonly stack?: string | undefined }
}

const THREADS = 2
const NOTHING: Sum = { rounds: 0, decided: 0, signatures: 0, cuts: 0, crashes: 0, renewed: 0 }

/** Lives through the worlds of seeds 1 to `worlds`, or through that of `SEED`. @throws Error with a seed that fails. */
export async function liveThrough(worlds: number): Promise<Sum> {
  const { SEED } = process.env
  const seeds = SEED === undefined ? Array.from({ length: worlds }, (_, i) => i + 1) : [Number(SEED)]
  const parts = Array.from({ length: THREADS }, (_, i) => seeds.filter((_, at) => at % THREADS === i))
  const told = await Promise.all(parts.map((some) => inThread({ kind: 'live', seeds: some })))
  for (const { failure } of told) {
    if (failure === undefined) continue
    const error = new Error(`seed ${failure.seed}: ${failure.message} (again: SEED=${failure.seed})`)
    if (failure.stack !== undefined) error.stack = `${error.message}\n${failure.stack}`
    throw error
  }
  return told.map(({ sum }) => sum).reduce(add, NOTHING)
}

/** The first seed for which a height can be certified twice when nobody keeps to its locks. */
export async function firstFork(worlds: number): Promise<number | undefined> {
  const { failure } = await inThread({
    kind: 'forks',
    seeds: Array.from({ length: worlds }, (_, i) => i + 1),
  })
  return failure?.seed
}

function add(a: Sum, b: Sum): Sum {
  const names = Object.keys(NOTHING) as (keyof Sum)[]
  return Object.fromEntries(names.map((name) => [name, a[name] + b[name]])) as unknown as Sum
}

function inThread(task: Task): Promise<Told> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL(import.meta.url), { workerData: task })
    let told: Told | undefined
    worker.once('message', (message: Told) => {
      told = message
    })
    worker.once('error', reject)
    worker.once('exit', (code) => {
      if (told === undefined) reject(new Error(`the thread ended with ${code} and told nothing`))
      else resolve(told)
    })
  })
}

async function work({ kind, seeds }: Task): Promise<Told> {
  let sum = NOTHING
  for (const seed of seeds) {
    try {
      if (kind === 'live') sum = add(sum, await live(seed))
      else if (await forks(seed))
        return { sum, failure: { seed, message: 'a height can be certified twice' } }
    } catch (error) {
      const { message, stack } = error instanceof Error ? error : new Error(String(error))
      return { sum, failure: { seed, message, stack } }
    }
  }
  return { sum }
}

if (!isMainThread) parentPort?.postMessage(await work(workerData as Task))
