/**
 * Publications into a Renku project (renkulab.io), as the predecessor made them: results go to `data/input` of the
 * project, are committed and pushed, `renku update` does again whatever depends on them, and what that committed is
 * pushed too. Git reaches the project as it reaches upstreams, by the keys and credentials of this node
 * (protocols/upstreams.md); `renku` is the program of this machine.
 */
import { mkdir, mkdtemp } from 'node:fs/promises'
import { join } from 'node:path'
import { NodeError } from '../../../base/errors.ts'
import { removeTree } from '../../../base/remove-tree.ts'
import { GitProgram } from '../../../datasets/git/git-program.ts'
import type { Upstreams } from '../../../datasets/upstream/upstreams.ts'
import type { Destination, Outgoing, Placed } from '../destination.ts'
import type { RenkuSettings } from '../settings.ts'
import { ProjectClone } from './project-clone.ts'
import { runRenku } from './renku-program.ts'

export interface RenkuParts {
  readonly settings: RenkuSettings
  readonly upstreams: Pick<Upstreams, 'callTo'>
  /** Where projects are laid out for the time of a publication. */
  readonly directory: string
  /** Who commits. */
  readonly self: () => { readonly peer: string; readonly name: string }
}

export class RenkuDestination implements Destination {
  readonly kind = 'renku'
  readonly #parts: RenkuParts

  constructor(parts: RenkuParts) {
    this.#parts = parts
  }

  get target(): string {
    const { repository, branch } = this.#parts.settings
    return `${repository}#${branch}`
  }

  placeOf(): string {
    return this.#parts.settings.directory
  }

  /** Files of earlier publications stay where they are, as tools write new files beside old ones. */
  async publish({ name, files, signal }: Outgoing): Promise<Placed> {
    const { repository, directory } = this.#parts.settings
    await this.#inProject(signal, async (project, update) => {
      await project.write(directory, files)
      if (!(await project.commit(directory, `Results of ${name}`))) return
      await project.push()
      const before = await project.head()
      await update()
      const left = await project.leftovers()
      if (left !== '') {
        const message = `renku left changes behind that it did not commit: ${left.split('\n').slice(0, 3).join('; ')}`
        throw new NodeError('PUBLISH_FAILED', message)
      }
      if ((await project.head()) !== before) await project.push()
    })
    // The manifest is not put into somebody's workflow; what was published is in the project's history.
    return { place: directory, address: `${repository}#${directory}` }
  }

  /** A project's history is kept: taking files back is for its own people. */
  async remove(): Promise<void> {
    const { repository, directory } = this.#parts.settings
    const message = `What was published to ${repository} is in its history; remove it from ${directory} there, where it is wanted no more`
    throw new NodeError('UNSUPPORTED', message)
  }

  async #inProject(
    signal: AbortSignal,
    work: (project: ProjectClone, update: () => Promise<void>) => Promise<void>,
  ): Promise<void> {
    const { settings, upstreams, directory, self } = this.#parts
    const git = await GitProgram.find()
    if (git === undefined)
      throw new NodeError('UNSUPPORTED', 'A Renku project needs the git program: install it')
    const { address, call } = await upstreams.callTo(settings.repository)
    await mkdir(directory, { recursive: true, mode: 0o700 })
    const place = await mkdtemp(join(directory, 'renku-'))
    const { peer, name } = self()
    const author = { name, email: `${peer}@mao.invalid` }
    const tree = join(place, 'project')
    try {
      const project = new ProjectClone({
        ...{ git, address, call, branch: settings.branch, place: tree, author, signal },
      })
      await project.fetch()
      const { program, arguments: args } = settings
      await work(project, () => runRenku({ program, args, project: tree, home: place, author, signal }))
    } finally {
      await git.stop()
      await removeTree(place)
    }
  }
}
