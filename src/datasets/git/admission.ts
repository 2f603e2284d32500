/**
 * What is let into a repository, whatever backend has received it. Pure: it is told of objects and directories, and
 * throws at the first that breaks a bound or a rule (dataset-fetch.md D9, D10). git has proven formats and links
 * before; what git does not know are our rules on names, and how deep and how wide the directories are together.
 */
import { NodeError } from '../../base/errors.ts'
import {
  commitBytesMax,
  fileBytesMax,
  packBytesMax,
  packObjectsMax,
  packWorkFirstMs,
  packWorkPerMibMs,
  pathBytesMax,
  pathDepthMax,
  treeBytesMax,
  treeEntriesMax,
  treeShapesKeptMax,
  unpackedBytesMax,
} from '../../base/limits.ts'
import { MIB } from '../../base/units.ts'
import { unsafePath } from './path-rules.ts'
import { nameOf, oidBehind, scanTree } from './tree-scan.ts'

export interface AdmissionBounds {
  /** Bytes of the pack as it is sent. */
  readonly bytesMax: number
  readonly objectsMax: number
  /** Bytes of all objects unpacked. */
  readonly unpackedBytesMax: number
  /** Bytes of one file. */
  readonly fileBytesMax: number
  /** Time that git may work on any pack, ms; and in addition for each MiB of it. */
  readonly workFirstMs: number
  readonly workPerMibMs: number
}

export const ADMISSION_BOUNDS: AdmissionBounds = {
  bytesMax: packBytesMax,
  objectsMax: packObjectsMax,
  unpackedBytesMax,
  fileBytesMax,
  workFirstMs: packWorkFirstMs,
  workPerMibMs: packWorkPerMibMs,
}

/** How long git may work on a pack of so many bytes, ms. */
export function workMaxMs(
  { workFirstMs, workPerMibMs }: Pick<AdmissionBounds, 'workFirstMs' | 'workPerMibMs'>,
  packBytes: number,
): number {
  return Math.ceil(workFirstMs + (workPerMibMs * packBytes) / MIB)
}

/** What a quarantine is made of. */
export interface QuarantineParts {
  /** The real repository. */
  readonly path: string
  /** Where the quarantine lies, already laid out. */
  readonly place: string
  readonly shapes: TreeShapes
  readonly bounds: Partial<AdmissionBounds>
  /** Tells that nothing rests on the repository's objects any more; may be called twice. */
  readonly release: () => void
}

/** What lies below a directory: levels, bytes of the longest path, files. */
interface Shape {
  readonly depth: number
  readonly pathBytes: number
  readonly files: number
}

/** A directory before its subdirectories are known. */
interface OpenShape {
  /** Of its files alone. */
  readonly files: number
  readonly nameBytes: number
  readonly subtrees: readonly { readonly oid: string; readonly name: string; readonly nameBytes: number }[]
}

/** Shapes by tree id; what they tell never changes. The oldest are forgotten first. */
export class TreeShapes {
  readonly #shapes = new Map<string, Shape>()

  get(oid: string): Shape | undefined {
    return this.#shapes.get(oid)
  }

  set(oid: string, shape: Shape): void {
    if (this.#shapes.size >= treeShapesKeptMax) {
      const [oldest] = this.#shapes.keys()
      this.#shapes.delete(oldest as string)
    }
    this.#shapes.set(oid, shape)
  }
}

/** The way to a directory, from the last name to the first. */
interface Above {
  readonly depth: number
  readonly name: string
  readonly above: Above | undefined
}

const TOP: Above = { depth: 0, name: '', above: undefined }
const inside = (above: Above, name: string): Above => ({ depth: above.depth + 1, name, above })

function pathOf(way: Above): string {
  const names: string[] = []
  for (let at: Above | undefined = way; at !== undefined && at !== TOP; at = at.above) names.unshift(at.name)
  return names.join('/')
}

export class Admission {
  readonly #bounds: AdmissionBounds
  readonly #known: TreeShapes
  readonly #open = new Map<string, OpenShape>()
  readonly #shapes = new Map<string, Shape>()
  /** Directories that others lead to, each once, until `needed` has looked at them. */
  readonly #named = new Set<string>()
  #objects = 0
  #bytes = 0

  constructor(bounds: AdmissionBounds, known: TreeShapes) {
    this.#bounds = bounds
    this.#known = known
  }

  /** @throws NodeError PACK_REJECTED */
  object(oid: string, type: string, size: number): void {
    this.#objects += 1
    this.#bytes += size
    if (this.#objects > this.#bounds.objectsMax) {
      throw rejected(`More than ${this.#bounds.objectsMax} objects came`, {})
    }
    if (this.#bytes > this.#bounds.unpackedBytesMax) {
      throw rejected(`What came has more than ${this.#bounds.unpackedBytesMax} bytes unpacked`, {})
    }
    const most = { blob: this.#bounds.fileBytesMax, tree: treeBytesMax, commit: commitBytesMax }[type]
    if (most === undefined) throw rejected(`The object ${oid} is a ${type}; datasets hold none`, { oid })
    if (size > most) {
      throw rejected(`The ${type} ${oid} has ${size} bytes, at most ${most} are taken`, { oid, size })
    }
  }

  /**
   * A directory as it is stored, received or, when `needed` named it, already here.
   *
   * @throws NodeError PATH_UNSAFE, PACK_REJECTED
   */
  tree(oid: string, bytes: Buffer): void {
    const subtrees: OpenShape['subtrees'][number][] = []
    let [files, nameBytes] = [0, 0]
    try {
      scanTree(oid, bytes, (mode, start, end) => {
        if (mode === '40000') {
          const inner = oidBehind(bytes, end)
          this.#named.add(inner)
          subtrees.push({
            oid: inner,
            name: nameOf(bytes, start, end),
            nameBytes: end - start,
          })
        } else {
          files += 1
          nameBytes = Math.max(nameBytes, end - start)
        }
      })
    } catch (error) {
      if (error instanceof NodeError && error.code === 'GIT_FAILED') throw rejected(error.message, { oid })
      throw error
    }
    if (files + subtrees.length > treeEntriesMax) {
      throw rejected(`The directory ${oid} has more than ${treeEntriesMax} entries`, { oid })
    }
    this.#open.set(oid, { files, nameBytes, subtrees })
  }

  /** Directories that those told of lead to and that are not known yet: they have to be here already. */
  needed(): string[] {
    const found: string[] = []
    for (const oid of this.#named) {
      if (this.#open.has(oid) || this.#shapes.has(oid)) continue
      const known = this.#known.get(oid)
      // Taken over at once: it may be forgotten by the time that it is needed.
      if (known === undefined) found.push(oid)
      else this.#shapes.set(oid, known)
    }
    this.#named.clear()
    return found
  }

  /**
   * Judges each directory as if it were the top of a tree, which it may become.
   *
   * @throws NodeError PATH_UNSAFE naming the path.
   */
  shapes(): void {
    for (const oid of this.#open.keys()) this.#shape(oid, TOP)
    for (const [oid, shape] of this.#shapes) this.#known.set(oid, shape)
  }

  #shape(oid: string, above: Above): Shape {
    const known = this.#shapes.get(oid)
    if (known !== undefined) return known
    const open = this.#open.get(oid)
    if (open === undefined) throw rejected(`The directory ${oid} is needed and did not come`, { oid })
    if (above.depth >= pathDepthMax) {
      throw unsafePath(pathOf(above), `is deeper than ${pathDepthMax} directories`)
    }
    let [depth, pathBytes, files] = [open.files > 0 ? 1 : 0, open.nameBytes, open.files]
    for (const subtree of open.subtrees) {
      // A directory is told of by many others as a rule, and its way there is needed only if it is at fault.
      const below = this.#shapes.get(subtree.oid) ?? this.#shape(subtree.oid, inside(above, subtree.name))
      depth = Math.max(depth, 1 + below.depth)
      pathBytes = Math.max(pathBytes, subtree.nameBytes + (below.pathBytes > 0 ? 1 + below.pathBytes : 0))
      files += below.files
      if (depth > pathDepthMax) {
        throw unsafePath(pathOf(inside(above, subtree.name)), `leads deeper than ${pathDepthMax} directories`)
      }
      if (pathBytes > pathBytesMax) {
        throw unsafePath(
          pathOf(inside(above, subtree.name)),
          `leads to a path of more than ${pathBytesMax} bytes`,
        )
      }
      if (files > treeEntriesMax) {
        throw unsafePath(
          pathOf(inside(above, subtree.name)),
          `is in a tree of more than ${treeEntriesMax} files`,
        )
      }
    }
    const shape = { depth, pathBytes, files }
    this.#shapes.set(oid, shape)
    return shape
  }
}

function rejected(message: string, data: Record<string, unknown>): NodeError {
  return new NodeError('PACK_REJECTED', message, data)
}
