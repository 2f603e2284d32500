/**
 * A founder's node in a process of its own, with its data in the directory of the first argument; it does what its
 * parent asks (far-node.ts) and ends with it.
 */
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

async function writeNoise(at: string, from: number, to: number, bytes: number): Promise<void> {
  for (let index = from; index < to; index += 1) {
    const folder = join(at, String(index % 100))
    await mkdir(folder, { recursive: true })
    await writeFile(join(folder, `${index}.bin`), randomBytes(bytes))
  }
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

  async makeDataset({ name, files, fileBytes, commits }: DatasetShape) {
    const at = await work.directory()
    await writeNoise(at, 0, files, fileBytes)
    const { truth } = await datasets.importDirectory(name, at)
    let tip: string | undefined
    for (let made = 1; made < commits; made += 1) {
      const from = ((made - 1) * CHANGED_FILES) % files
      await writeNoise(at, from, Math.min(from + CHANGED_FILES, files), fileBytes)
      const message = `Round ${made}\n`
      tip = (await datasets.commitDirectory({ dataset: name, step: 'grow', directory: at, message })).commit
    }
    return [truth, tip].filter((commit) => commit !== undefined)
  },

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
