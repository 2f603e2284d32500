/** What comes after the first copy: small commits as they are announced, fetches of what is new, several followers. */
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { startDatasetNode } from '../support/dataset-node.ts'
import { eventually } from '../support/eventually.ts'
import { toldShape } from './datasets-clones.ts'
import { cloneOurs, cloneStock, fetchInto, git, joined, remove, type Side } from './datasets-side.ts'
import type { DatasetShape } from './far-node.ts'
import { median, type Row, row } from './figures.ts'
import { inTurns, START_TIMEOUT_MS, secondsOf } from './harness.ts'

const SMALL = 'small'
const FOLLOWERS = ['dave', 'erin', 'frank']

/** From the announcement, which is durable then, until the branch stands in a replica; a fetch of the same by git. */
export async function smallCommits({ work, far, url }: Side): Promise<Row> {
  const replica = await startDatasetNode(work.test, {
    genesis: far.genesis,
    directory: await work.directory(),
  })
  await far.admit(replica.identity.peerId, 'carol')
  await replica.network.dial(far.addresses)
  await replica.sync.pullNow(far.peer)
  await far.makeDataset({ name: SMALL, files: 10, fileBytes: 2 * 1024, commits: 1 })
  const known = () => replica.datasets.list().some(({ name, replicated }) => name === SMALL && replicated)
  await eventually(known, 'The replica never had the dataset', START_TIMEOUT_MS)
  const arrived = new Map<string, number>()
  const deaf = replica.datasets.onEvent((event) => {
    if (event.type === 'replicated') arrived.set(event.commit, performance.timeOrigin + performance.now())
  })
  work.after(deaf)
  const mirror = join(await work.directory(), `${SMALL}.git`)
  await git('clone', '--quiet', '--mirror', `${url}/${SMALL}.git`, mirror)
  work.say('small commits')
  const [ours, anchor]: [number[], number[]] = [[], []]
  for (let index = 0; index < work.size(50, 15); index += 1) {
    const { commit, announcedMs } = await far.commitSmall(index)
    await eventually(() => arrived.has(commit), 'A small commit did not arrive', START_TIMEOUT_MS)
    ours.push((arrived.get(commit) as number) - announcedMs)
    anchor.push((await secondsOf(() => git(`--git-dir=${mirror}`, 'fetch', '--quiet', 'origin'))) * 1_000)
    // Each commit stands alone: none rides on the fetch of the one before.
    await sleep(50)
  }
  await replica.stop()
  return row({
    name: 'small commit, announced to replicated p50 (anchor: git fetch of the same)',
    ours: median(ours),
    anchor: median(anchor),
    unit: 'ms',
    aim: '<= 150 ms',
  })
}

/** One commit more of a dataset whose copy is here already. */
export async function increments(side: Side, shape: DatasetShape): Promise<Row> {
  const { work, far, member, url } = side
  const { name } = shape
  const first = await far.grow(name)
  const repository = await cloneOurs(side, name, [first], member)
  const mirror = join(await work.directory(), `${name}.git`)
  await git('clone', '--quiet', '--mirror', `${url}/${name}.git`, mirror)
  work.say('incremental fetch')
  let held = first
  let next = first
  const ours = () => secondsOf(() => fetchInto({ far, member }, repository, name, [next], [held]))
  const anchor = () => secondsOf(() => git(`--git-dir=${mirror}`, 'fetch', '--quiet', 'origin'))
  const seconds: { ours: number[]; anchor: number[] } = { ours: [], anchor: [] }
  for (let round = 0; round < work.size(15, 5); round += 1) {
    next = await far.grow(name)
    const measured = await inTurns(1, round % 2 === 0 ? { ours, anchor } : { anchor, ours })
    seconds.ours.push(...measured.ours)
    seconds.anchor.push(...measured.anchor)
    held = next
  }
  await remove(repository.path)
  await remove(mirror)
  return row({
    name: `fetch of one commit more, ${toldShape(shape)} (anchor: git fetch)`,
    ours: median(seconds.ours) * 1_000,
    anchor: median(seconds.anchor) * 1_000,
    unit: 'ms',
    aim: '<= 1.10x git fetch',
  })
}

/** Three members copy a dataset from one, all at once; three clones by git from one daemon. */
export async function followers(side: Side, shape: DatasetShape): Promise<Row> {
  const { work, far } = side
  const { name } = shape
  const wants = [await far.grow(name)]
  await far.tidy(name)
  const nodes = await Promise.all(FOLLOWERS.map((follower) => joined(work, far, follower)))
  work.say('three followers at once')
  const timed = async (clone: (index: number) => Promise<string>) => {
    let paths: string[] = []
    const seconds = await secondsOf(async () => {
      paths = await Promise.all(FOLLOWERS.map((_, index) => clone(index)))
    })
    for (const path of paths) await remove(path)
    return seconds
  }
  const measured = await inTurns(work.size(5, 3), {
    ours: () =>
      timed(async (index) => {
        const node = nodes[index]
        if (node === undefined) throw new Error('A follower is missing')
        return (await cloneOurs(side, name, wants, node)).path
      }),
    anchor: () => timed(() => cloneStock(side, name)),
  })
  return row({
    name: `three followers at once, ${toldShape(shape)} (anchor: three git clones at once)`,
    ours: median(measured.ours),
    anchor: median(measured.anchor),
    unit: 's',
    aim: '<= 1.10x git://',
  })
}
