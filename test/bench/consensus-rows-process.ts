/** Counts heads of one repository in a process of its own, and tells by how much it grew meanwhile. */
import { readFile, writeFile } from 'node:fs/promises'
import { GitProgram } from '../../src/datasets/git/git-program.ts'
import { NativeBackend } from '../../src/datasets/git/native-repository.ts'
import { countOf } from './consensus-files.ts'

export interface RowsQuestion {
  readonly path: string
  readonly heads: readonly string[]
  readonly key: string
}

export interface RowsAnswer {
  readonly seconds: number
  readonly baseBytes: number
  /** The most that was resident, as the kernel has it; git's own processes are not in it. */
  readonly peakBytes: number
  readonly commit: string | null
}

const { path, heads, key } = JSON.parse(process.argv[2] ?? '') as RowsQuestion
const git = await GitProgram.find()
if (git === undefined) throw new Error('This needs the git program')
const backend = new NativeBackend(git)
const repository = await backend.open(path)
const count = await countOf({ repository, heads }, { name: 'rows', key: [key] })
globalThis.gc?.()
// The kernel forgets the highest so far.
await writeFile('/proc/self/clear_refs', '5')
const baseBytes = process.memoryUsage.rss()
const begunMs = performance.now()
const commit = await count()
const seconds = (performance.now() - begunMs) / 1_000
const [, peak] = /VmHWM:\s+(\d+) kB/.exec(await readFile('/proc/self/status', 'utf8')) ?? []
const answer: RowsAnswer = { seconds, baseBytes, peakBytes: Number(peak) * 1024, commit }
process.stdout.write(JSON.stringify(answer))
await backend.stop()
