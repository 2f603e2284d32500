/**
 * A founder's node in a process of its own, with its data in the directory of the first argument; it does what its
 * parent asks (far-node.ts) and ends with it.
 */
import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { messageOf } from '../../src/base/errors.ts'
import { silentLogger } from '../../src/base/logger.ts'
import { EtcdSurface } from '../../src/etcd/surface.ts'
import { startDatasetNode } from '../support/dataset-node.ts'
import type { DatasetShape, FarAnswer, FarCommands, FarQuestion, Greeting } from './far-node.ts'
import { callsPerSecond, Workplace } from './harness.ts'

/** A step's directory changes so many files from one commit to the next. */
const CHANGED_FILES = 10
const FILL_CALLERS = 64
const RECORD_BYTES = 300
const NOISE_BYTES = 4 * 1024 * 1024
const TIDY_AGE_MS = 3_600_000

const [directory = ''] = process.argv.slice(2)
const work = new Workplace({
  root: directory,
  quick: false,
  say: (text) => process.stderr.write(`${text}\n`),
})
const node = await startDatasetNode(work.test, { directory: await work.directory() })
const { registry, members, datasets, identity } = node
const where = { self: identity.peerId, host: '127.0.0.1', port: 0, log: silentLogger }
const surface = new EtcdSurface({ registry, members, ...where })
await surface.start()
work.after(() => surface.stop())

const announced = new Map<string, number>()
registry.watch('/heads/small/', ({ entry }) => {
  if (entry === undefined) return
  const { branches } = JSON.parse(Buffer.from(entry.value).toString()) as { branches: Record<string, string> }
  for (const commit of Object.values(branches)) {
    if (!announced.has(commit)) announced.set(commit, performance.timeOrigin + performance.now())
  }
})

/** Where the files of each dataset that was made lie, and how many of its commits were made so far. */
const made = new Map<string, DatasetShape & { at: string; rounds: number }>()

async function writeNoise(at: string, from: number, to: number, bytes: number): Promise<void> {
  for (let index = from; index < to; index += 1) {
    const folder = join(at, String(index % 100))
    await mkdir(folder, { recursive: true })
    await writeFile(join(folder, `${index}.bin`), noise(bytes))
  }
}

/** Random bytes, a piece at a time. */
function* noise(bytes: number): Generator<Buffer> {
  for (let left = bytes; left > 0; left -= NOISE_BYTES) yield randomBytes(Math.min(left, NOISE_BYTES))
}

/** The next commit of a dataset that was made: a few of its files are others then. */
async function grow(name: string): Promise<string> {
  const shape = made.get(name)
  if (shape === undefined) throw new Error(`The dataset ${name} was never made`)
  const { at, files, fileBytes, rounds } = shape
  const changed = Math.min(CHANGED_FILES, files)
  const from = (rounds * changed) % files
  await writeNoise(at, from, Math.min(from + changed, files), fileBytes)
  shape.rounds += 1
  const message = `Round ${shape.rounds}\n`
  return (await datasets.commitDirectory({ dataset: name, step: 'grow', directory: at, message })).commit
}

/** A long history with few files, which git makes in a moment and a node would announce commit by commit. */
async function importHistory(name: string, commits: number): Promise<string[]> {
  const at = await work.directory()
  const { truth = '' } = await datasets.importDirectory(name, at)
  const { path } = await datasets.repository(name)
  const branch = `refs/heads/grow-${members.self().name}`
  const lines: string[] = []
  for (let index = 0; index < commits; index += 1) {
    const content = `${index},${randomBytes(32).toString('hex')}\n`
    const message = `Commit ${index}\n`
    lines.push(`commit ${branch}`, `committer far <far@example.invalid> ${1_700_000_000 + index} +0000`)
    lines.push(`data ${message.length}`, message)
    if (index === 0) lines.push(`from ${truth}`)
    lines.push(`M 100644 inline ${index % 50}/${index % 10}.csv`, `data ${content.length}`, content)
  }
  const git = spawnSync('git', [`--git-dir=${path}`, 'fast-import', '--quiet'], {
    input: `${lines.join('\n')}\n`,
  })
  if (git.status !== 0) throw new Error(`git fast-import: ${git.stderr}`)
  const tip = spawnSync('git', [`--git-dir=${path}`, 'rev-parse', branch])
    .stdout.toString()
    .trim()
  return [truth, tip]
}

const commands: FarCommands = {
  async admit(peer, name) {
    await members.admit(peer, name, 'member')
  },

  async fill(count) {
    const value = randomBytes(RECORD_BYTES)
    await callsPerSecond(count, FILL_CALLERS, (index) => registry.put(`/tools/filled-${index}`, value))
  },

  async memoryBytes() {
    globalThis.gc?.()
    return process.memoryUsage().rss
  },

  async makeDataset(shape) {
    const { name, files, fileBytes, commits } = shape
    if (files === 0) return importHistory(name, commits)
    const at = await work.directory()
    await writeNoise(at, 0, files, fileBytes)
    made.set(name, { ...shape, at, rounds: 0 })
    const { truth } = await datasets.importDirectory(name, at)
    let tip: string | undefined
    for (let index = 1; index < commits; index += 1) tip = await grow(name)
    return [truth, tip].filter((commit) => commit !== undefined)
  },

  async tidy(name) {
    const repository = await datasets.repository(name)
    await repository.collectGarbage({ pruneOlderThanMs: TIDY_AGE_MS, keep: [] })
  },

  grow,

  async commitSmall(index) {
    const at = await work.directory()
    await writeFile(join(at, 'result.csv'), `${index},${randomBytes(16).toString('hex')}\n`)
    const message = `Result ${index}\n`
    const request = { dataset: 'small', step: 'collect', directory: at, message }
    const { commit } = await datasets.commitDirectory(request)
    const announcedMs = announced.get(commit)
    if (announcedMs === undefined) throw new Error(`The commit ${commit} was never announced`)
    return { commit, announcedMs }
  },
}

const send = (message: Greeting | FarAnswer) => process.send?.(message)

process.on('message', (message) => {
  const { id, command, args } = message as FarQuestion
  const act = commands[command] as (...given: unknown[]) => Promise<unknown>
  act(...args).then(
    (result) => send({ id, result }),
    (error: unknown) => send({ id, error: messageOf(error) }),
  )
})
process.once('disconnect', () => {
  work.end().then(
    () => process.exit(0),
    (error: unknown) => {
      process.stderr.write(`${messageOf(error)}\n`)
      process.exit(1)
    },
  )
})

send({
  genesis: node.genesis,
  peer: identity.peerId,
  addresses: node.network.addresses(),
  etcd: surface.address(),
  repositories: join(node.directory, 'datasets'),
})
