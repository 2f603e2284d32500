import { join } from 'node:path'
import { fetchTimeoutMs } from '../../base/limits.ts'
import type { Packer } from './garbage.ts'
import { isOid } from './git-objects.ts'
import type { GitOptions, GitProgram } from './git-program.ts'
import { lines, readKinds } from './native-objects.ts'

/** Makes packs with the git program, durable and under their names when it ends. */
export class NativePacker implements Packer {
  readonly #git: GitProgram
  readonly #path: string
  readonly branches: Packer['branches']

  constructor(git: GitProgram, path: string, branches: Packer['branches']) {
    this.#git = git
    this.#path = path
    this.branches = branches
  }

  async packReached(keep: readonly string[], signal?: AbortSignal) {
    const roots = await this.#here(keep, signal)
    // With the bitmap a clone needs no walk through the history.
    const args = ['--all', '--write-bitmap-index']
    return { pack: await this.#pack(args, roots, signal), of: 'all' } as const
  }

  packListed(oids: readonly string[], signal?: AbortSignal): Promise<string | undefined> {
    return this.#pack([], oids, signal)
  }

  async closure(oids: readonly string[], keep: readonly string[], signal?: AbortSignal): Promise<string[]> {
    const known = (await this.#here(keep, signal)).map((oid) => `^${oid}`)
    const args = [`--git-dir=${this.#path}`, 'rev-list', '--objects', '--missing=allow-any', '--stdin']
    const input = [...oids, ...known, ''].join('\n')
    const output = await this.#git.run([...args, '--not', '--all'], { input, ...patient(signal) })
    return lines(output).map((line) => line.slice(0, 40))
  }

  async #pack(args: readonly string[], oids: readonly string[], signal?: AbortSignal) {
    const command = ['pack-objects', '--quiet', '--non-empty', '--delta-base-offset', ...args]
    const output = await this.#git.run(
      [`--git-dir=${this.#path}`, ...command, join(this.#path, 'objects', 'pack', 'pack')],
      { input: oids.map((oid) => `${oid}\n`).join(''), ...patient(signal) },
    )
    const [hash] = lines(output)
    return hash === undefined ? undefined : `pack-${hash}`
  }

  /** Those commits that are here. */
  async #here(oids: readonly string[], signal?: AbortSignal): Promise<string[]> {
    const kinds = await readKinds(this.#git, this.#path, oids.filter(isOid), signal)
    return oids.filter((oid) => kinds.get(oid)?.type === 'commit')
  }
}

function patient(signal: AbortSignal | undefined): GitOptions {
  return { timeoutMs: fetchTimeoutMs, ...(signal === undefined ? {} : { signal }) }
}
