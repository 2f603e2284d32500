/** A clone of a whole dataset, ours against `git clone git://`, and by how much the cloning node grows meanwhile. */
import { cloneOurs, cloneStock, MIB, remove, type Side, withMemory } from './datasets-side.ts'
import type { DatasetShape } from './far-node.ts'
import { median, type Row, row } from './figures.ts'
import { inTurns, secondsOf } from './harness.ts'

/** From a repository in one pack, which is how a node's upkeep keeps it. */
export async function clones(side: Side, shape: DatasetShape, rounds: number): Promise<Row[]> {
  const { work, far, member } = side
  const { name } = shape
  const what = toldShape(shape)
  work.say(`clone of ${what}: making it`)
  const wants = await far.makeDataset(shape)
  await far.tidy(name)
  work.say(`clone of ${what}`)
  const grown: number[] = []
  const ours = async () => {
    const { result, grownBytes } = await withMemory(async () => {
      let path = ''
      const seconds = await secondsOf(async () => {
        path = (await cloneOurs(side, name, wants, member)).path
      })
      return { seconds, path }
    })
    grown.push(grownBytes / MIB)
    await remove(result.path)
    return result.seconds
  }
  const anchor = async () => {
    let path = ''
    const seconds = await secondsOf(async () => {
      path = await cloneStock(side, name)
    })
    await remove(path)
    return seconds
  }
  const measured = await inTurns(rounds, { ours, anchor })
  const [seconds, gitSeconds] = [median(measured.ours), median(measured.anchor)]
  work.say(`clone of ${what}: ${seconds.toFixed(2)} s, git ${gitSeconds.toFixed(2)} s`)
  return [
    row({
      name: `clone, ${what}`,
      ours: seconds,
      anchor: gitSeconds,
      unit: 's',
      aim: '<= 1.10x git://',
    }),
    row({
      name: `memory growth of the cloning node, ${what}`,
      ours: Math.max(...grown),
      anchor: null,
      unit: 'MB',
      aim: '<= 64 MB',
    }),
  ]
}

export function toldShape({ files, fileBytes, commits }: DatasetShape): string {
  const history = `${commits} commit${commits === 1 ? '' : 's'}`
  if (files === 0) return `${history} of one small file each`
  const size = fileBytes < MIB ? `${fileBytes / 1024} KB` : `${fileBytes / MIB} MB`
  return `${files} files of ${size}, ${history}`
}
