import { createWriteStream } from 'node:fs'
import { lstat, mkdir } from 'node:fs/promises'
import { devNull } from 'node:os'
import { dirname, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { NodeError } from '../../../base/errors.ts'
import { upstreamTimeoutMs as remoteTimeoutMs } from '../../../base/limits.ts'
import { GitExit, type GitProgram } from '../../../datasets/git/git-program.ts'
import type { RemoteCall } from '../../../datasets/git/remote.ts'
import { diagnose } from '../../../datasets/upstream/remote-words.ts'
import type { UpstreamAddress } from '../../../datasets/upstream/upstream-address.ts'
import type { OutgoingFile } from '../destination.ts'

export interface ProjectCloneParts {
  readonly git: GitProgram
  readonly address: UpstreamAddress
  readonly call: RemoteCall
  readonly branch: string
  /** Where the working tree is laid out; not there yet. */
  readonly place: string
  readonly author: { readonly name: string; readonly email: string }
  readonly signal: AbortSignal
}

/** A Renku project as a working tree, for the time of one publication. */
export class ProjectClone {
  readonly #parts: ProjectCloneParts

  constructor(parts: ProjectCloneParts) {
    this.#parts = parts
  }

  /** @throws NodeError UPSTREAM_FAILED, NOT_FOUND, FORBIDDEN: what a call to an upstream throws. */
  async fetch(): Promise<void> {
    const { call, branch, place } = this.#parts
    const flags = ['--quiet', '--single-branch', '--no-tags', '--no-recurse-submodules', '--branch', branch]
    await this.#remote(['clone', ...flags, '--', call.url, place])
  }

  /**
   * Lays files into a directory of the project, replacing those of the same names.
   *
   * @throws NodeError PATH_UNSAFE where the project leads out of itself by a link.
   */
  async write(directory: string, files: readonly OutgoingFile[]): Promise<void> {
    const { place, signal } = this.#parts
    for (const file of files) {
      const path = join(directory, file.path)
      await this.#refuseLinks(path)
      await mkdir(dirname(join(place, path)), { recursive: true })
      await pipeline(file.open(), createWriteStream(join(place, path)), { signal })
    }
  }

  /** Commits what is in a directory. @returns false when it was all there before. */
  async commit(directory: string, message: string): Promise<boolean> {
    await this.#local(['add', '--all', '--', directory])
    const staged = (await this.#local(['diff', '--cached', '--name-only', '-z'])).length > 0
    if (!staged) return false
    const { author } = this.#parts
    const who = ['-c', `user.name=${author.name}`, '-c', `user.email=${author.email}`]
    await this.#local([...who, 'commit', '--quiet', '--no-verify', '--message', message])
    return true
  }

  async head(): Promise<string> {
    return (await this.#local(['rev-parse', 'HEAD'])).toString().trim()
  }

  /** What stands in the tree and in no commit, as git tells it. */
  async leftovers(): Promise<string> {
    return (await this.#local(['status', '--porcelain'])).toString().trim()
  }

  /** Only forward: whoever pushed meanwhile wins, and the whole is tried again. @throws as `fetch`, NOT_FAST_FORWARD. */
  async push(): Promise<void> {
    const { branch, call, address } = this.#parts
    try {
      await this.#remote(['push', '--quiet', '--no-verify', '--', call.url, `HEAD:refs/heads/${branch}`])
    } catch (error) {
      const said = error instanceof Error ? error.message : ''
      if (!/non-fast-forward|fetch first|rejected/.test(said)) throw error
      const message = `Somebody else pushed to ${address.url} meanwhile`
      throw new NodeError('SOURCE_UNAVAILABLE', message, { url: address.url }, { cause: error })
    }
  }

  /** A project is somebody's repository: a link in it must not have us write elsewhere. */
  async #refuseLinks(path: string): Promise<void> {
    const parts = path.split('/')
    for (let count = 1; count <= parts.length; count += 1) {
      const at = join(this.#parts.place, ...parts.slice(0, count))
      const found = await lstat(at).catch(() => undefined)
      if (found === undefined) return
      if (!found.isSymbolicLink()) continue
      const message = `The project has a link at ${parts.slice(0, count).join('/')}, which is not written through`
      throw new NodeError('PATH_UNSAFE', message, { path })
    }
  }

  #local(args: readonly string[]): Promise<Buffer> {
    const { git, place, signal } = this.#parts
    return git.run(['-C', place, ...args], { signal })
  }

  async #remote(args: readonly string[]): Promise<void> {
    const { git, call, address, branch, place, signal } = this.#parts
    const settings = [...call.settings]
    // The one protocol that the address names, and nobody's home: curl would read its .netrc (upstreams.md X22).
    const env = { ...call.env, GIT_ALLOW_PROTOCOL: call.protocol, HOME: devNull }
    const inside = args[0] === 'clone' ? [] : ['-C', place]
    const words = [...inside, ...settings.flatMap((setting) => ['-c', setting]), ...args]
    try {
      await git.run(words, { env, signal, timeoutMs: remoteTimeoutMs })
    } catch (error) {
      if (!(error instanceof GitExit)) throw error
      if (/non-fast-forward|fetch first|\[rejected\]/.test(error.stderr)) throw error
      const said = call.secrets.reduce((text, secret) => text.replaceAll(secret, '***'), error.stderr)
      throw diagnose(said, address, branch)
    }
  }
}
