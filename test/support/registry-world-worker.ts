/**
 * Simulations run in a thread of their own: a test runner follows every promise that is made within a test, and there
 * are some millions of them.
 */
import { AssertionError } from 'node:assert'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { RULES } from './registry-world.ts'
import { BROKEN } from './registry-world-broken.ts'
import { simulate } from './registry-world-plan.ts'
import { TALES } from './registry-world-stories.ts'

interface Task {
  readonly kind: 'tale' | 'broken'
  readonly name: string
  readonly first: number
  readonly last: number
}

interface Failure {
  readonly seed: number
  readonly message: string
  readonly stack: string | undefined
  /** Whether it was noticed by what is asserted, rather than by accident. */
  readonly asserted: boolean
}

/** Seeds that a broken rule may take to be noticed. */
const NOTICED_WITHIN = 400

/** Tells a story for all its seeds, or for the one of `SEED`. @throws Error with the first seed that fails. */
export async function tell(name: string): Promise<void> {
  const { SEED } = process.env
  const [first, last] = SEED === undefined ? [1, TALES[name]?.seeds ?? 0] : [Number(SEED), Number(SEED)]
  const failure = await inThread({ kind: 'tale', name, first, last })
  if (failure === undefined) return
  const error = new Error(`seed ${failure.seed}: ${failure.message} (again: SEED=${failure.seed})`)
  if (failure.stack !== undefined) error.stack = `${error.message}\n${failure.stack}`
  throw error
}

/** @throws Error when a broken rule goes unnoticed, or ends the simulation in another way than by what it asserts. */
export async function notice(name: string): Promise<void> {
  const failure = await inThread({ kind: 'broken', name, first: 1, last: NOTICED_WITHIN })
  if (failure === undefined) throw new Error(`${NOTICED_WITHIN} seeds did not notice ${name}`)
  if (!failure.asserted) throw new Error(`seed ${failure.seed}: ${failure.message}\n${failure.stack}`)
}

function inThread(task: Task): Promise<Failure | undefined> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL(import.meta.url), { workerData: task })
    let told: Failure | null | undefined
    worker.once('message', (failure: Failure | null) => {
      told = failure
    })
    worker.once('error', reject)
    worker.once('exit', (code) => {
      if (told === undefined) reject(new Error(`the thread ended with ${code} and told nothing`))
      else resolve(told ?? undefined)
    })
  })
}

async function work({ kind, name, first, last }: Task): Promise<Failure | null> {
  const broken = BROKEN.find((one) => one.name === name)
  for (let seed = first; seed <= last; seed += 1) {
    try {
      const story = kind === 'broken' ? broken?.story : TALES[name]?.story(seed)
      if (story === undefined) throw new Error(`no story is called ${name}`)
      await simulate({ seed, ...story, rules: { ...RULES, ...(kind === 'broken' ? broken?.rules : {}) } })
    } catch (error) {
      const { message, stack } = error instanceof Error ? error : new Error(String(error))
      return { seed, message, stack, asserted: error instanceof AssertionError }
    }
  }
  return null
}

if (!isMainThread) parentPort?.postMessage(await work(workerData as Task))
