/** Walks through history without git, newest commits first, and no further than the question needs. */
import { decodeCommit } from './git-objects.ts'
import type { ObjectReader } from './isomorphic-objects.ts'
import type { CommitInfo } from './repository.ts'

interface Step {
  readonly commit: CommitInfo
  /** When it was committed: what git orders by, in seconds. */
  readonly time: number
}

/** Marks of a walk from two sides. */
const [LEFT, RIGHT] = [1, 2]
const BOTH = LEFT | RIGHT

/** The commit and its ancestors in the order of `git rev-list`: of those known so far the newest comes next. */
export async function* history(
  reader: ObjectReader,
  start: string,
): AsyncGenerator<CommitInfo, void, undefined> {
  const queue = [await read(reader, start)]
  const seen = new Set([start])
  for (let step = queue.shift(); step !== undefined; step = queue.shift()) {
    yield step.commit
    for (const parent of step.commit.parents) {
      if (seen.has(parent)) continue
      seen.add(parent)
      enqueue(queue, await read(reader, parent))
    }
  }
}

/** Walks from both until nothing is left that only one of them leads to, as `git merge-base --is-ancestor` does. */
export async function isAncestor(
  reader: ObjectReader,
  ancestor: string,
  descendant: string,
): Promise<boolean> {
  if (ancestor === descendant) return true
  for await (const { commit, marks } of paint(reader, [ancestor], [descendant])) {
    if (commit.oid === ancestor && marks === BOTH) return true
  }
  return false
}

/** Commits that `wants` lead to and `haves` do not, and those where the two meet. */
export async function between(
  reader: ObjectReader,
  wants: readonly string[],
  haves: readonly string[],
): Promise<{ readonly fresh: CommitInfo[]; readonly known: CommitInfo[] }> {
  const found = new Map<string, { commit: CommitInfo; marks: number }>()
  for await (const step of paint(reader, wants, haves)) found.set(step.commit.oid, step)
  const steps = [...found.values()]
  const fresh = steps.filter(({ marks }) => marks === LEFT).map(({ commit }) => commit)
  const edges = new Set([...haves, ...fresh.flatMap((commit) => commit.parents)])
  const known = steps.filter(({ commit, marks }) => marks !== LEFT && edges.has(commit.oid))
  return { fresh, known: known.map(({ commit }) => commit) }
}

/** Each commit with what leads to it; again when more turns out to do so. Ends where all that is left is common. */
async function* paint(
  reader: ObjectReader,
  left: readonly string[],
  right: readonly string[],
): AsyncGenerator<{ commit: CommitInfo; marks: number }, void, undefined> {
  const marks = new Map<string, number>()
  const queue: Step[] = []
  const add = async (oid: string, mark: number) => {
    const before = marks.get(oid) ?? 0
    if ((before | mark) === before) return
    marks.set(oid, before | mark)
    enqueue(queue, await read(reader, oid))
  }
  for (const oid of left) await add(oid, LEFT)
  for (const oid of right) await add(oid, RIGHT)
  while (queue.some(({ commit }) => marks.get(commit.oid) !== BOTH)) {
    const { commit } = queue.shift() as Step
    const mark = marks.get(commit.oid) as number
    yield { commit, marks: mark }
    for (const parent of commit.parents) await add(parent, mark)
  }
  for (const { commit } of queue) yield { commit, marks: marks.get(commit.oid) as number }
}

function enqueue(queue: Step[], step: Step): void {
  let at = queue.length
  // Most are older than all that waits; of one second, who came first goes first.
  while (at > 0 && (queue[at - 1] as Step).time < step.time) at -= 1
  queue.splice(at, 0, step)
}

async function read(reader: ObjectReader, oid: string): Promise<Step> {
  const bytes = await reader.read(oid, 'commit')
  const commit = decodeCommit(oid, bytes)
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1')
  const time = /^committer .*> (\d+) [+-]\d{4}$/m.exec(text)?.[1]
  return { commit, time: time === undefined ? commit.timeMs / 1_000 : Number(time) }
}
