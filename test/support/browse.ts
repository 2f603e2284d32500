import { execFileSync } from 'node:child_process'
import { chmod, mkdir, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { TestContext } from 'node:test'
import type { Node } from '../../src/node.ts'
import { type Answer, askRaw, startTestApi, type TestApi } from './api.ts'
import { temporaryDirectory } from './temporary-directory.ts'

/** Content of files by path; a value that begins with `-> ` is a link, one that begins with `#!` is executable. */
export type Files = Readonly<Record<string, string | Uint8Array>>

export async function directoryOf(t: TestContext, files: Files): Promise<string> {
  const directory = await temporaryDirectory(t)
  for (const [path, content] of Object.entries(files)) {
    const at = join(directory, path)
    await mkdir(dirname(at), { recursive: true })
    if (typeof content === 'string' && content.startsWith('-> ')) {
      await symlink(content.slice(3), at)
      continue
    }
    await writeFile(at, content)
    if (String(content.slice(0, 2)) === '#!') await chmod(at, 0o755)
  }
  return directory
}

/** Puts files on the node's own branch `<step>-<node>`, in place of what was there. @returns the commit. */
export async function commitFiles(t: TestContext, node: Node, dataset: string, step: string, files: Files) {
  const directory = await directoryOf(t, files)
  const { commit } = await node.federation.datasets.commitDirectory({
    dataset,
    step,
    directory,
    message: `${step}\n`,
  })
  return commit
}

export interface Browsing extends TestApi {
  /** What the dataset was founded with, and so its ground truth. */
  readonly founding: string
  /** A path below the API with the token and these headers. */
  get(path: string, headers?: Record<string, string>, method?: string): Promise<Answer>
}

/** A node of a federation of its own with its API, and a dataset `packages` of these files. */
export async function startBrowsing(t: TestContext, files: Files): Promise<Browsing> {
  const api = await startTestApi(t, 'alice')
  await api.node.createFederation({ name: 'lab' })
  const directory = await directoryOf(t, files)
  const { truth } = await api.node.federation.datasets.importDirectory('packages', directory)
  const get = (path: string, headers: Record<string, string> = {}, method = 'GET') => {
    const all = { authorization: `Bearer ${api.token}`, ...headers }
    return askRaw(`${api.url}/api/v1${path}`, { method, headers: all })
  }
  return { ...api, founding: truth as string, get }
}

/** How many git processes are reading a file of this node right now. */
export function gitReaders(dataDirectory: string): number {
  const processes = execFileSync('ps', ['-eo', 'args'], { encoding: 'utf8' }).split('\n')
  return processes.filter((line) => line.includes('cat-file') && line.includes(dataDirectory)).length
}
