/** What the benches of datasets share: a far member that serves, a `git daemon` beside it, and clones of either kind. */
import { execFile } from 'node:child_process'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { fetchCommits } from '../../src/datasets/exchange/pack-client.ts'
import type { GitBackend, PackRepository } from '../../src/datasets/git/repository.ts'
import { freePort } from '../support/free-port.ts'
import { gitBackend } from '../support/git-backends.ts'
import { type RegistryNode, startRegistryNode } from '../support/registry-node.ts'
import { type FarNode, startFarNode } from './far-node.ts'
import { startProgram, type Workplace } from './harness.ts'

const runProgram = promisify(execFile)
const GIT_TIMEOUT_MS = 300_000
const MEMORY_SAMPLE_MS = 20
const GIT_OUTPUT_BYTES_MAX = 64 * 1024 ** 2
export const MIB = 1024 ** 2

export interface Side {
  readonly work: Workplace
  readonly far: FarNode
  /** `git://…` of the far member's repositories. */
  readonly url: string
  readonly backend: GitBackend
  /** A member that follows no heads, so that it fetches when it is told to. */
  readonly member: RegistryNode
}

export async function openSide(work: Workplace): Promise<Side> {
  const far = await startFarNode(work)
  const url = await startDaemon(work, far.repositories)
  const member = await joined(work, far, 'bob')
  return { work, far, url, member, backend: await gitBackend(work.test, 'native') }
}

export async function joined(work: Workplace, far: FarNode, name: string): Promise<RegistryNode> {
  const member = await startRegistryNode(work.test, {
    genesis: far.genesis,
    directory: await work.directory(),
  })
  await far.admit(member.identity.peerId, name)
  await member.network.dial(far.addresses)
  return member
}

/** Stock git, without the settings of whoever runs it. @returns what it wrote. */
export async function git(...args: readonly string[]): Promise<string> {
  const env = {
    ...process.env,
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_CONFIG_GLOBAL: '/dev/null',
    GIT_TERMINAL_PROMPT: '0',
  }
  const options = { env, timeout: GIT_TIMEOUT_MS, maxBuffer: GIT_OUTPUT_BYTES_MAX }
  return (await runProgram('git', [...args], options)).stdout.trim()
}

/** A clone over /mao/git/1.0.0 into a new repository, its branches set as a replica sets them. */
export async function cloneOurs(
  { work, far, backend }: Side,
  name: string,
  wants: readonly string[],
  member: Pick<RegistryNode, 'network'>,
): Promise<PackRepository> {
  const repository = await backend.open(join(await work.directory(), `${name}.git`))
  await fetchInto({ far, member }, repository, name, wants, [])
  return repository
}

export async function fetchInto(
  { far, member }: { far: FarNode; member: Pick<RegistryNode, 'network'> },
  repository: PackRepository,
  dataset: string,
  wants: readonly string[],
  haves: readonly string[],
): Promise<void> {
  await fetchCommits(member.network, { dataset, repository, peer: far.peer, wants, haves })
  for (const [index, commit] of wants.entries()) {
    await repository.moveBranch(`b${index}`, commit, haves[index])
  }
}

/** @returns where the clone lies. */
export async function cloneStock({ work, url }: Side, name: string): Promise<string> {
  const to = join(await work.directory(), `${name}.git`)
  await git('clone', '--quiet', '--bare', `${url}/${name}.git`, to)
  return to
}

export const remove = (path: string) => rm(path, { recursive: true, force: true })

/** Also by how much this process grew at most meanwhile, bytes. */
export async function withMemory<T>(work: () => Promise<T>): Promise<{ result: T; grownBytes: number }> {
  const before = process.memoryUsage.rss()
  let highest = before
  const sample = setInterval(() => {
    highest = Math.max(highest, process.memoryUsage.rss())
  }, MEMORY_SAMPLE_MS)
  try {
    const result = await work()
    return { result, grownBytes: Math.max(highest, process.memoryUsage.rss()) - before }
  } finally {
    clearInterval(sample)
  }
}

async function startDaemon(work: Workplace, directory: string): Promise<string> {
  const port = await freePort()
  const place = ['--listen=127.0.0.1', `--port=${port}`, `--base-path=${directory}`]
  startProgram(work, 'git', ['daemon', '--export-all', '--reuseaddr', ...place, directory])
  return `git://127.0.0.1:${port}`
}
