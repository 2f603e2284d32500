/**
 * Datasets over /mao/git/1.0.0 against git's own protocol, both from the same repositories on loopback: the member that
 * serves and `git daemon` each have a process of their own. Both end with a bare repository. Ours has checked every
 * object and path by then, which a stock clone does not do.
 */
import { execFile } from 'node:child_process'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { fetchCommits } from '../../src/datasets/exchange/pack-client.ts'
import type { GitBackend } from '../../src/datasets/git/repository.ts'
import { startDatasetNode } from '../support/dataset-node.ts'
import { eventually } from '../support/eventually.ts'
import { freePort } from '../support/free-port.ts'
import { gitBackend } from '../support/git-backends.ts'
import { type RegistryNode, startRegistryNode } from '../support/registry-node.ts'
import { type DatasetShape, type FarNode, startFarNode } from './far-node.ts'
import { median, type Row, row } from './figures.ts'
import { type Bench, inTurns, START_TIMEOUT_MS, secondsOf, startProgram, type Workplace } from './harness.ts'

const runProgram = promisify(execFile)
const MIB = 1024 ** 2
const GIT_TIMEOUT_MS = 120_000
const MEMORY_SAMPLE_MS = 20
const SMALL = 'small'

export const datasets: Bench = {
  about: 'clone and replication, against git clone git:// and git fetch',
  async run(work) {
    const far = await startFarNode(work)
    const url = await startDaemon(work, far.repositories)
    const member = await joined(work, far)
    const backend = await gitBackend(work.test, 'native')
    const side = { work, far, url, member, backend }
    const small = { files: work.size(5_000, 500), fileBytes: 2 * 1024, commits: work.size(50, 5) }
    const big = { files: work.size(10, 3), fileBytes: work.size(20, 5) * MIB, commits: 1 }
    return [
      // First, so that the replica has nothing else to follow.
      await smallCommits(work, far, url),
      ...(await clones(side, { name: 'many', ...small })),
      ...(await clones(side, { name: 'big', ...big })),
    ]
  },
}

interface Side {
  readonly work: Workplace
  readonly far: FarNode
  readonly url: string
  readonly member: RegistryNode
  readonly backend: GitBackend
}

/** A member that follows no heads, so that it fetches when it is told to. */
async function joined(work: Workplace, far: FarNode): Promise<RegistryNode> {
  const member = await startRegistryNode(work.test, {
    genesis: far.genesis,
    directory: await work.directory(),
  })
  await far.admit(member.identity.peerId, 'bob')
  await member.network.dial(far.addresses)
  return member
}

async function startDaemon(work: Workplace, directory: string): Promise<string> {
  const port = await freePort()
  const place = ['--listen=127.0.0.1', `--port=${port}`, `--base-path=${directory}`]
  startProgram(work, 'git', ['daemon', '--export-all', '--reuseaddr', ...place, directory])
  return `git://127.0.0.1:${port}`
}

async function git(args: readonly string[]): Promise<void> {
  const env = {
    ...process.env,
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_CONFIG_GLOBAL: '/dev/null',
    GIT_TERMINAL_PROMPT: '0',
  }
  await runProgram('git', [...args], { env, timeout: GIT_TIMEOUT_MS })
}

async function clones(side: Side, shape: DatasetShape): Promise<Row[]> {
  const { work, far, url, member, backend } = side
  const { name, files, fileBytes, commits } = shape
  const size = fileBytes < MIB ? `${fileBytes / 1024} KB` : `${fileBytes / MIB} MB`
  const what = `${files} files of ${size}, ${commits} commit${commits === 1 ? '' : 's'}`
  work.say(`clone of ${what}: making it`)
  const wants = await far.makeDataset(shape)
  work.say(`clone of ${what}`)
  const grown: number[] = []
  const ours = async () => {
    const repository = await backend.open(join(await work.directory(), `${name}.git`))
    const request = { dataset: name, repository, peer: far.peer, wants }
    const { seconds, grownBytes } = await withMemory(() =>
      secondsOf(async () => {
        await fetchCommits(member.network, request)
        for (const [index, commit] of wants.entries())
          await repository.moveBranch(`b${index}`, commit, undefined)
      }),
    )
    grown.push(grownBytes / MIB)
    await rm(repository.path, { recursive: true, force: true })
    return seconds
  }
  const anchor = async () => {
    const to = join(await work.directory(), `${name}.git`)
    const seconds = await secondsOf(() => git(['clone', '--quiet', '--bare', `${url}/${name}.git`, to]))
    await rm(to, { recursive: true, force: true })
    return seconds
  }
  const measured = await inTurns(3, { ours, anchor })
  const [seconds, gitSeconds] = [median(measured.ours), median(measured.anchor)]
  work.say(`clone of ${what}: ${seconds.toFixed(2)} s, git ${gitSeconds.toFixed(2)} s`)
  return [
    row({
      name: `clone, ${what}`,
      ours: seconds,
      anchor: gitSeconds,
      unit: 's',
      aim: '<= 1.10x git://',
    }),
    row({
      name: `memory growth of the cloning node, ${what}`,
      ours: Math.max(...grown),
      anchor: null,
      unit: 'MB',
      aim: '<= 64 MB',
    }),
  ]
}

/** Also by how much this process grew at most meanwhile. */
async function withMemory(work: () => Promise<number>): Promise<{ seconds: number; grownBytes: number }> {
  const before = process.memoryUsage.rss()
  let highest = before
  const sample = setInterval(() => {
    highest = Math.max(highest, process.memoryUsage.rss())
  }, MEMORY_SAMPLE_MS)
  try {
    const seconds = await work()
    return { seconds, grownBytes: Math.max(highest, process.memoryUsage.rss()) - before }
  } finally {
    clearInterval(sample)
  }
}

/** From the announcement, which is durable then, until the branch stands in a replica; a fetch of the same by git. */
async function smallCommits(work: Workplace, far: FarNode, url: string): Promise<Row> {
  const options = { genesis: far.genesis, directory: await work.directory() }
  const replica = await startDatasetNode(work.test, options)
  await far.admit(replica.identity.peerId, 'carol')
  await replica.network.dial(far.addresses)
  await replica.sync.pullNow(far.peer)
  await far.makeDataset({ name: SMALL, files: 10, fileBytes: 2 * 1024, commits: 1 })
  const known = () => replica.datasets.list().some(({ name, replicated }) => name === SMALL && replicated)
  await eventually(known, 'The replica never had the dataset', START_TIMEOUT_MS)
  const arrived = new Map<string, number>()
  const deaf = replica.datasets.onEvent((event) => {
    if (event.type === 'replicated') arrived.set(event.commit, performance.timeOrigin + performance.now())
  })
  work.after(deaf)
  const mirror = join(await work.directory(), `${SMALL}.git`)
  await git(['clone', '--quiet', '--mirror', `${url}/${SMALL}.git`, mirror])
  work.say('small commits')
  const [ours, anchor]: [number[], number[]] = [[], []]
  for (let index = 0; index < work.size(50, 15); index += 1) {
    const { commit, announcedMs } = await far.commitSmall(index)
    await eventually(() => arrived.has(commit), 'A small commit did not arrive', START_TIMEOUT_MS)
    ours.push((arrived.get(commit) as number) - announcedMs)
    anchor.push((await secondsOf(() => git([`--git-dir=${mirror}`, 'fetch', '--quiet', 'origin']))) * 1_000)
    // Each commit stands alone: none rides on the fetch of the one before.
    await sleep(50)
  }
  await replica.stop()
  return row({
    name: 'small commit, announced to replicated p50 (anchor: git fetch of the same)',
    ours: median(ours),
    anchor: median(anchor),
    unit: 'ms',
    aim: '<= 150 ms',
  })
}
