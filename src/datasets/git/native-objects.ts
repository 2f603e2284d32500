import { NodeError } from '../../base/errors.ts'
import { ChunkReader } from './chunk-reader.ts'
import type { GitProgram } from './git-program.ts'

export type OnObject = (oid: string, type: string, content: AsyncIterable<Uint8Array>) => Promise<void>

/** Type and size of those of `oids` that are in the repository at `path`. */
export async function readKinds(
  git: GitProgram,
  path: string,
  oids: readonly string[],
  signal?: AbortSignal,
) {
  const kinds = new Map<string, { type: string; size: number }>()
  if (oids.length === 0) return kinds
  const input = oids.map((oid) => `${oid}\n`).join('')
  const args = [`--git-dir=${path}`, 'cat-file', '--batch-check']
  const output = await git.run(args, { input, ...(signal === undefined ? {} : { signal }) })
  for (const line of lines(output)) {
    const [oid, type, size] = line.split(' ') as [string, string, string | undefined]
    if (size !== undefined) kinds.set(oid, { type, size: Number(size) })
  }
  return kinds
}

/** Reads objects one after another; contents flow through and are never held whole. @throws NodeError NOT_FOUND */
export async function readObjects(
  git: GitProgram,
  path: string,
  oids: readonly string[],
  onObject: OnObject,
  signal?: AbortSignal,
): Promise<void> {
  if (oids.length === 0) return
  const input = oids.map((oid) => `${oid}\n`).join('')
  const options = { input, ...(signal === undefined ? {} : { signal }) }
  await git.read([`--git-dir=${path}`, 'cat-file', '--batch', '--buffer'], options, async (stdout) => {
    const reader = new ChunkReader(stdout)
    for (const oid of oids) {
      const [, type, size] = ((await reader.line(200)) ?? '').split(' ')
      if (type === undefined || size === undefined) {
        throw new NodeError('NOT_FOUND', `There is no object ${oid} here`, { oid })
      }
      await onObject(oid, type, reader.pieces(Number(size)))
      await reader.bytes(1)
    }
  })
}

/** The one object that a name of git's leads to, whole; undefined when there is none. */
export async function readNamed(
  git: GitProgram,
  path: string,
  name: string,
): Promise<{ oid: string; type: string; bytes: Buffer } | undefined> {
  const args = [`--git-dir=${path}`, 'cat-file', '--batch', '--buffer']
  const output = await git.run(args, { input: `${name}\n` })
  const end = output.indexOf(0x0a)
  const found = /^([0-9a-f]{40}) (\w+) (\d+)$/.exec(output.toString('latin1', 0, Math.max(0, end)))
  if (found === null) return undefined
  const [, oid, type, size] = found as unknown as [string, string, string, string]
  return { oid, type, bytes: output.subarray(end + 1, end + 1 + Number(size)) }
}

export function lines(output: Buffer): string[] {
  return output
    .toString('utf8')
    .split('\n')
    .filter((line) => line !== '')
}
