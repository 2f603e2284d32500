/**
 * The result of ten heads with many small files each: counted by the node, and by what git and the shell have for it, from
 * the same commits in the same repository. Both have to come to the same tree.
 */
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { Counting } from '../../src/consensus/counting.ts'
import type { Ballot, Closing, Opening } from '../../src/consensus/records.ts'
import type { Repository } from '../../src/datasets/git/repository.ts'
import type { Method } from '../../src/datasets/truth-rule.ts'
import { gitBackend } from '../support/git-backends.ts'
import { seededRandom } from '../support/seeded-random.ts'
import { git } from './datasets-side.ts'
import { type Row, row } from './figures.ts'
import { mediansInTurns, secondsOf, type Workplace } from './harness.ts'

export const HEADS = 10
const DATASET = 'data'
const DIRECTORIES = 100
/** One file in so many is another one in each head of the second case. */
const DEPARTURE = 100
const SEED = 20_260_101

/** What more than half of the heads hold, with git and coreutils: listed, sorted, counted, put into an index, written. */
const BY_GIT = `set -eu
export GIT_INDEX_FILE="$1"; shift
for head in "$@"; do git ls-tree -r "$head"; done | LC_ALL=C sort | uniq -c |
  awk -v half=$(($# / 2)) '$1 > half { sub(/^ *[0-9]+ /, ""); print }' | git update-index --index-info
tree=$(git write-tree)
echo result | git -c user.name=x -c user.email=x@example.invalid commit-tree "$tree" >/dev/null
rm "$GIT_INDEX_FILE"
echo "$tree"
`

export async function resultOfFiles(work: Workplace): Promise<Row[]> {
  const files = work.size(10_000, 2_000)
  const rows: Row[] = []
  for (const [what, departs] of [
    ['identical', false],
    ['1 % of the files differ in each', true],
  ] as const) {
    work.say(`result of ${HEADS} heads with ${files} files, ${what}`)
    const heads = Array.from({ length: HEADS }, (_, head) => filesOf(files, departs ? head : -1))
    const place = await repositoryWith(work, heads)
    const count = await countOf(place, { name: 'identical' })
    const [ours, anchor] = [() => secondsOf(count), async () => secondsOf(async () => byGit(place))]
    await checkTrees(place, await count(), byGit(place))
    const medians = await mediansInTurns(work.size(9, 5), { ours, anchor })
    rows.push(
      row({
        name: `result commit of ${HEADS} heads with ${files} files, ${what} (anchor: git ls-tree, sort, uniq -c, git write-tree)`,
        ours: medians.ours * 1_000,
        anchor: medians.anchor * 1_000,
        unit: 'ms',
        aim: '<= 1.00x',
      }),
    )
  }
  return rows
}

/** A repository with the heads that are counted in it. */
export interface Counted {
  readonly repository: Repository
  readonly heads: readonly string[]
}

/** Made with git's own importer, which takes a moment for what would take minutes otherwise. */
export async function repositoryWith(
  work: Workplace,
  contents: readonly Iterable<readonly [path: string, content: string | Buffer]>[],
): Promise<Counted> {
  const backend = await gitBackend(work.test, 'native')
  const repository = await backend.open(join(await work.directory(), `${DATASET}.git`))
  const names = contents.map((_, head) => `refs/heads/collect-${head}`)
  for (const [head, files] of contents.entries()) {
    const parts = [`commit ${names[head]}\ncommitter head-${head} <head@example.invalid> 1700000000 +0000\n`]
    parts.push('data 5\nfound\n')
    const input: Buffer[] = []
    for (const [path, content] of files) {
      parts.push(`M 100644 inline ${path}\ndata ${content.length}\n`)
      if (typeof content === 'string') parts.push(content)
      else input.push(Buffer.from(parts.splice(0).join('')), content)
      parts.push('\n')
    }
    input.push(Buffer.from(parts.join('')))
    const program = ['--git-dir', repository.path, 'fast-import', '--quiet', '--force']
    const made = spawnSync('git', program, { input: Buffer.concat(input) })
    if (made.status !== 0) throw new Error(`git fast-import: ${made.stderr}`)
  }
  const commits = await git(`--git-dir=${repository.path}`, 'rev-parse', ...names)
  return { repository, heads: commits.split('\n') }
}

/** Counts a closing of all heads, anew each time. @returns the result's commit; null where nothing was agreed on. */
export async function countOf(
  { repository, heads }: Counted,
  method: Method,
): Promise<() => Promise<string | null>> {
  const ballots: Record<string, Ballot> = {}
  for (const [head, commit] of heads.entries()) {
    ballots[`peer${head}`] = { commit, tree: (await repository.readCommit(commit)).tree }
  }
  const electorate = Object.keys(ballots)
  const slot = 1_700_000_000_000
  const opening: Opening = {
    ...{ electorate, method, trigger: 'request', quorum: { ballots: 7, votes: 7 }, parent: null, height: 1 },
    ...{ openedMs: slot, cutoffMs: slot + 60_000, votesUntilMs: slot + 120_000, openedBy: 'peer0' },
  }
  const closing: Closing = { opening: '0'.repeat(64), ballots }
  // Counting reads, and fetches what is not here: everything is.
  const datasets = { repository: async () => repository, ensureCommit: async () => undefined }
  const round = { dataset: DATASET, step: 'collect', slot }
  return async () => {
    // A new one each time, since it keeps what it has listed.
    const counting = new Counting({ datasets: datasets as never })
    return (await counting.count(round, opening, closing, new AbortController().signal)).commit
  }
}

function byGit({ repository, heads }: Counted): string {
  const args = ['-c', BY_GIT, 'sh', join(repository.path, 'counting-index'), ...heads]
  const env = { ...process.env, GIT_DIR: repository.path, GIT_CONFIG_GLOBAL: '/dev/null' }
  const { status, stdout, stderr } = spawnSync('sh', args, { env, encoding: 'utf8' })
  if (status !== 0) throw new Error(`The anchor failed: ${stderr}`)
  return stdout.trim()
}

async function checkTrees({ repository }: Counted, commit: string | null, byShell: string): Promise<void> {
  const tree = commit === null ? 'none' : (await repository.readCommit(commit)).tree
  if (tree !== byShell) throw new Error(`We counted the tree ${tree}, git and the shell ${byShell}`)
}

/** Small files in a hundred directories; those of a head depart from the others' at random, those of head -1 nowhere. */
function* filesOf(files: number, head: number): Iterable<readonly [string, string]> {
  const random = seededRandom(SEED + head)
  for (let index = 0; index < files; index += 1) {
    const departs = head >= 0 && Math.floor(random() * DEPARTURE) === 0
    const content = `entry ${index}, ${departs ? `as head ${head} has it` : 'as it is'}\n`
    yield [`part-${index % DIRECTORIES}/file-${index}.txt`, content]
  }
}
