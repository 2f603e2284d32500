/**
 * The remote helper for `mao://<federation>/<dataset>` (gitremote-helpers(7); protocols/stock-git.md §6): finds the local
 * node, makes sure that it is the right one, and hands git's dialogue over to git's own helper for HTTP.
 */
import { spawn } from 'node:child_process'
import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import { z } from 'zod'
import { statusSchema } from '../api/views.ts'
import { isNodeError, messageOf, NodeError } from '../base/errors.ts'
import { nearestName } from '../base/nearest-name.ts'
import { printable } from '../base/strangers-words.ts'
import { ApiClient, findNode } from './client.ts'
import { type DatasetAddress, parseAddress } from './git-remote-mao-address.ts'
import { gitSurroundings } from './stock-git.ts'

/** What git itself ends with when it cannot go on. */
const FATAL = 128

type Environment = Readonly<Record<string, string | undefined>>

/**
 * @param words the name of the remote and its address, as git gives them.
 * @returns what the process ends with; what is wrong is one line on standard error (stock-git.md P22).
 */
export async function runRemoteHelper(words: readonly string[], environment: Environment): Promise<number> {
  try {
    const [remote, url] = words
    if (remote === undefined || url === undefined || remote.startsWith('-')) {
      throw new NodeError('INVALID_INPUT', 'This is run by git, for addresses that begin with mao://')
    }
    const address = parseAddress(url)
    const client = await nodeOf(environment)
    await checkFederation(client, address)
    const dataset = await findDataset(client, address)
    return await talk(remote, `${client.url}/git/${dataset}.git`, gitSurroundings(environment, client))
  } catch (error) {
    const { code, message } = error instanceof NodeError ? error : new NodeError('INTERNAL', messageOf(error))
    process.stderr.write(`git-remote-mao: ${printable(message, '', ' ')} (${code})\n`)
    return FATAL
  }
}

async function nodeOf({ MAO_DATA, MAO_URL, MAO_TOKEN, MAO_CA_FILE }: Environment): Promise<ApiClient> {
  const data = resolve(MAO_DATA ?? join(homedir(), '.mao'))
  const naming = 'with MAO_DATA or MAO_URL'
  return new ApiClient(await findNode({ data, url: MAO_URL, token: MAO_TOKEN, caFile: MAO_CA_FILE, naming }))
}

async function checkFederation(client: ApiClient, { federation: wanted }: DatasetAddress): Promise<void> {
  const { federation } = await client.get('/federation', statusSchema)
  if (federation === null) {
    const message = `The node at ${client.url} is in no federation yet; "maoctl federation join" takes it into one`
    throw new NodeError('NO_FEDERATION', message)
  }
  if (wanted === undefined || wanted === federation.name || wanted === federation.id) return
  const message = `The node at ${client.url} is in the federation ${federation.name}, not in ${wanted}; name a node of that one with MAO_DATA or MAO_URL, or write mao://${federation.name}/<dataset>`
  throw new NodeError('NOT_FOUND', message)
}

async function findDataset(client: ApiClient, { datasets }: DatasetAddress): Promise<string> {
  for (const name of datasets) {
    try {
      await client.get(`/datasets/${name}`, z.object({ name: z.string() }))
      return name
    } catch (error) {
      if (!isNodeError(error, 'DATASET_NOT_FOUND')) throw error
    }
  }
  const known = await client.get('/datasets', z.array(z.object({ name: z.string() })))
  const names = known.map(({ name }) => name)
  const near = datasets.map((name) => nearestName(name, names)).find((name) => name !== undefined)
  const wayOut = near === undefined ? '"maoctl dataset list" tells which there are' : `did you mean ${near}?`
  throw new NodeError('DATASET_NOT_FOUND', `No dataset is named ${datasets.at(-1)}; ${wayOut}`)
}

/** git's own words pass between git and its helper for HTTP, which inherits what we were started with. */
function talk(remote: string, url: string, surroundings: Environment): Promise<number> {
  // Whether git may use mao:// at all was asked before it ran us (P21); what carries it is not for the user to allow.
  const env = { ...surroundings, GIT_ALLOW_PROTOCOL: 'http:https' }
  const scheme = url.startsWith('https:') ? 'https' : 'http'
  return new Promise((done, fail) => {
    const child = spawn('git', [`remote-${scheme}`, remote, url], { env, stdio: 'inherit' })
    child.once('error', (cause) => {
      const message = `git does not start (${messageOf(cause)}); git runs this with itself on PATH`
      fail(new NodeError('UNSUPPORTED', message, {}, { cause }))
    })
    for (const signal of ['SIGTERM', 'SIGHUP'] as const) process.once(signal, () => child.kill(signal))
    child.once('close', (code) => done(code ?? FATAL))
  })
}
