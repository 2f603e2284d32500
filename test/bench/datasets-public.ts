/**
 * Data of the kind that people publish: the npm packages that this project stands on, with their sources, declarations,
 * licences and notes, and, where these are too few, what this machine's own packages share. One whole node imports them in several commits, another one copies them over libp2p, and stock git
 * clones them from the second one's HTTP address and checks every object.
 */
import { copyFile, lstat, mkdir, opendir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Datasets } from '../../src/datasets/datasets.ts'
import { pathFault } from '../../src/datasets/git/path-rules.ts'
import { startTestApi } from '../support/api.ts'
import { eventually } from '../support/eventually.ts'
import { git, MIB } from './datasets-side.ts'
import { type Row, row } from './figures.ts'
import { secondsOf, type Workplace } from './harness.ts'

/** Where it is taken from, under which name it stands in the dataset. */
const SOURCES: readonly (readonly [name: string, place: string])[] = [
  ['npm', join(import.meta.dirname, '..', '..', 'node_modules')],
  ['share', '/usr/share'],
]
const NAME = 'packages'
const COMMITS = 4
const FILE_BYTES_MAX = 10 * MIB
const REPLICATION_TIMEOUT_MS = 300_000

export async function publicData(work: Workplace): Promise<Row[]> {
  const bytes = work.size(110, 15) * MIB
  work.say('public data: gathering it')
  const at = await work.directory()
  const parts = await gather(bytes / COMMITS)
  const alice = await startTestApi(work.test, 'alice')
  const bob = await startTestApi(work.test, 'bob')
  await alice.node.createFederation({ name: 'lab' })
  const { token } = await alice.node.invite()
  await bob.node.join(token)
  const [theirs, ours] = [alice.node.federation.datasets, bob.node.federation.datasets]
  let copied = 0
  let [files, copiedBytes] = [0, 0]
  for (const [index, part] of parts.entries()) {
    for (const { path, from, size } of part) {
      await mkdir(dirname(join(at, path)), { recursive: true })
      await copyFile(from, join(at, path))
      files += 1
      copiedBytes += size
    }
    const commit = await commitPart(theirs, at, index)
    work.say(`public data: commit ${index + 1} of ${COMMITS} stands, ${Math.round(copiedBytes / MIB)} MB`)
    const here = () => isReplicated(ours, commit)
    copied += await secondsOf(() =>
      eventually(here, `Commit ${index + 1} never came`, REPLICATION_TIMEOUT_MS),
    )
  }
  const whole = async () => (await ours.show(NAME)).replicated
  await eventually(whole, 'The follower never had all', REPLICATION_TIMEOUT_MS)
  const to = join(await work.directory(), 'clone')
  const from = `${bob.url.replace('http://', `http://x:${bob.token}@`)}/git/${NAME}.git`
  const seconds = await secondsOf(() => git('clone', '--quiet', '--mirror', from, to))
  const faults = await git('-C', to, 'fsck', '--full', '--strict', '--no-dangling')
  if (faults !== '') throw new Error(`git fsck: ${faults}`)
  const tip = (await git('-C', to, 'rev-list', '--all', '--max-count=1')).slice(0, 12)
  work.say(`public data: ${files} files, clone from the follower at ${tip}, git fsck --full --strict clean`)
  const what = `${files} files of public packages, ${Math.round(copiedBytes / MIB)} MB, ${COMMITS} commits`
  return [
    row({ name: `replicated over libp2p, ${what}`, ours: copied, anchor: null, unit: 's', aim: 'whole' }),
    row({
      name: `git clone of the follower's HTTP address, fsck clean, ${what}`,
      ours: seconds,
      anchor: null,
      unit: 's',
      aim: 'whole',
    }),
  ]
}

/** The first commit founds the dataset, the others are a member's work. */
async function commitPart(datasets: Datasets, at: string, index: number): Promise<string> {
  if (index === 0) {
    const { truth = '' } = await datasets.importDirectory(NAME, at)
    return truth
  }
  const message = `Part ${index + 1}\n`
  return (await datasets.commitDirectory({ dataset: NAME, step: 'gather', directory: at, message })).commit
}

async function isReplicated(datasets: Datasets, commit: string): Promise<boolean> {
  if (!datasets.list().some(({ name }) => name === NAME)) return false
  return (await datasets.repository(NAME)).hasCommit(commit)
}

interface Found {
  /** In the dataset. */
  readonly path: string
  readonly from: string
  readonly size: number
}

/** Files that a dataset may hold, in the order of their names, in as many parts as there are commits. */
async function gather(partBytes: number): Promise<Found[][]> {
  const parts: Found[][] = []
  let [part, bytes]: [Found[], number] = [[], 0]
  for (const [name, place] of SOURCES) {
    for await (const below of walk(place, '')) {
      const [path, from] = [`${name}/${below}`, join(place, below)]
      const { size } = await lstat(from)
      // A program would be half of all by itself.
      if (size > FILE_BYTES_MAX || pathFault(path) !== undefined) continue
      part.push({ path, from, size })
      bytes += size
      if (bytes < partBytes) continue
      parts.push(part)
      if (parts.length === COMMITS) return parts
      part = []
      bytes = 0
    }
  }
  throw new Error('The packages of this machine are fewer than they should be')
}

async function* walk(place: string, below: string): AsyncGenerator<string, void, undefined> {
  const entries = []
  for await (const entry of await opendir(join(place, below))) entries.push(entry)
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    if (entry.name.startsWith('.')) continue
    const path = below === '' ? entry.name : `${below}/${entry.name}`
    if (entry.isDirectory()) yield* walk(place, path)
    else if (entry.isFile()) yield path
  }
}
