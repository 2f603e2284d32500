/** A pack of a gigabyte: how long it takes, by how much the node grows, and that every byte of it is what was sent. */
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { cloneOurs, cloneStock, git, MIB, remove, type Side, withMemory } from './datasets-side.ts'
import { type Row, row } from './figures.ts'
import { secondsOf } from './harness.ts'

const SHAPE = { name: 'gigabyte', files: 4, fileBytes: 256 * MIB, commits: 1 }

export async function largePack(side: Side): Promise<Row[]> {
  const { work, far, member } = side
  work.say('a pack of 1 GB: making it')
  const wants = await far.makeDataset(SHAPE)
  await far.tidy(SHAPE.name)
  work.say('a pack of 1 GB')
  let path = ''
  const { result: seconds, grownBytes } = await withMemory(() =>
    secondsOf(async () => {
      path = (await cloneOurs(side, SHAPE.name, wants, member)).path
    }),
  )
  let stock = ''
  const gitSeconds = await secondsOf(async () => {
    stock = await cloneStock(side, SHAPE.name)
  })
  const commit = wants[0] as string
  const [sent, came] = [
    await contentHash(join(far.repositories, `${SHAPE.name}.git`), commit),
    await contentHash(path, commit),
  ]
  if (sent !== came) throw new Error(`What came is ${came}, what was sent ${sent}`)
  const faults = await git(`--git-dir=${path}`, 'fsck', '--full', '--strict', '--no-dangling')
  work.say(`1 GB intact: SHA-256 over all contents ${came} on both sides, git fsck: ${faults || 'clean'}`)
  await remove(path)
  await remove(stock)
  const what = `a pack of 1 GB`
  return [
    row({
      name: `clone, ${what}, intact`,
      ours: seconds,
      anchor: gitSeconds,
      unit: 's',
      aim: '<= 1.10x git://',
    }),
    row({
      name: `memory growth of the cloning node, ${what}`,
      ours: grownBytes / MIB,
      anchor: null,
      unit: 'MB',
      aim: '<= 64 MB',
    }),
  ]
}

/** Over every file of a commit, in the order of their paths. */
async function contentHash(path: string, commit: string): Promise<string> {
  const lines = (await git(`--git-dir=${path}`, 'ls-tree', '-r', commit)).split('\n')
  const hash = createHash('sha256')
  for (const line of lines) {
    const [, , oid = ''] = line.split(/[ \t]/)
    const child = spawn('git', [`--git-dir=${path}`, 'cat-file', 'blob', oid], {
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    for await (const chunk of child.stdout) hash.update(chunk as Buffer)
  }
  return hash.digest('hex')
}
