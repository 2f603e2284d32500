import { mkdir, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { NodeError } from '../../src/base/errors.ts'
import { GitProgram } from '../../src/datasets/git-program.ts'
import { NativeBackend } from '../../src/datasets/native-repository.ts'
import type { Repository } from '../../src/datasets/repository.ts'
import type { ExecutionDatasets } from '../../src/execution/execution.ts'

const TRUTH = 'ground-truth'

/** Datasets of one node alone: real repositories, no records and no peers. */
export class GitDatasets implements ExecutionDatasets {
  readonly #directory: string
  readonly #node: string
  readonly #backend: NativeBackend
  #names = new Set<string>()

  private constructor(directory: string, node: string, backend: NativeBackend) {
    this.#directory = directory
    this.#node = node
    this.#backend = backend
  }

  static async open(directory: string, node: string): Promise<GitDatasets> {
    const git = await GitProgram.find()
    if (git === undefined) throw new Error('These tests need the git program')
    await mkdir(directory, { recursive: true })
    const datasets = new GitDatasets(directory, node, new NativeBackend(git))
    datasets.#names = new Set((await readdir(directory)).map((name) => name.replace(/\.git$/, '')))
    return datasets
  }

  stop(): Promise<void> {
    return this.#backend.stop()
  }

  has(name: string): boolean {
    return this.#names.has(name)
  }

  list(): { name: string }[] {
    return [...this.#names].map((name) => ({ name }))
  }

  async add(name: string): Promise<void> {
    this.#names.add(name)
    await this.repository(name)
  }

  async importDirectory(name: string, directory: string): Promise<string> {
    await this.add(name)
    const repository = await this.repository(name)
    const tree = await repository.writeTreeFromDirectory(directory)
    const author = { name: this.#node, email: 'test@example.invalid' }
    const commit = { tree, parents: [], message: 'import\n', author, timeMs: Date.now() }
    const oid = await repository.writeCommit(commit)
    await repository.moveBranch(TRUTH, oid, undefined)
    return oid
  }

  async repository(name: string): Promise<Repository> {
    if (!this.#names.has(name)) throw new NodeError('DATASET_NOT_FOUND', `No dataset is named ${name}`)
    return this.#backend.open(join(this.#directory, `${name}.git`))
  }

  async truth(name: string): Promise<string | undefined> {
    return (await this.repository(name)).resolve(TRUTH)
  }

  async ensureCommit(name: string, commit: string): Promise<void> {
    const here = await (await this.repository(name)).hasCommit(commit)
    if (!here) throw new NodeError('PEER_UNREACHABLE', `Nobody has ${commit}`)
  }

  async commitDirectory(p: { dataset: string; step: string; directory: string; message: string }) {
    const repository = await this.repository(p.dataset)
    const branch = `${p.step}-${this.#node}`
    const tree = await repository.writeTreeFromDirectory(p.directory)
    const parent = await repository.resolve(branch)
    if (parent !== undefined && (await repository.readCommit(parent)).tree === tree) {
      return { branch, commit: parent, changed: false }
    }
    const author = { name: this.#node, email: 'test@example.invalid' }
    const parents = parent === undefined ? [] : [parent]
    const commit = await repository.writeCommit({
      tree,
      parents,
      message: p.message,
      author,
      timeMs: Date.now(),
    })
    await repository.moveBranch(branch, commit, parent)
    return { branch, commit, changed: true }
  }
}
