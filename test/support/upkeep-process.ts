/**
 * A process of its own that does all at once what writes to the disk of datasets (imports, fetches, collections,
 * checkouts, staging) in the directory of its first argument with the backend of its second, until it is killed.
 */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { systemClock } from '../../src/base/clock.ts'
import { HOUR_MS } from '../../src/base/limits.ts'
import { silentLogger } from '../../src/base/logger.ts'
import type { PackRepository } from '../../src/datasets/git/repository.ts'
import { chooseBackend } from '../../src/datasets/shelf.ts'
import { newRun } from '../../src/execution/runs/run-machine.ts'
import { type StagedDatasets, Staging } from '../../src/execution/steps/staging.ts'
import { noise } from './dataset-node.ts'
import { type BackendKind, PERSON } from './git-backends.ts'
import { openUpkeepRoom } from './upkeep-room.ts'

const [directory = '', kind = 'native'] = process.argv.slice(2)
const { air, checkouts } = await openUpkeepRoom(directory, kind as BackendKind)
const scratch = join(directory, 'scratch')
await rm(scratch, { recursive: true, force: true })
await mkdir(scratch)
const source = await (await chooseBackend('native')).open(join(scratch, 'source.git'))
const signal = new AbortController().signal
let turns = 0

async function commitInto(repository: PackRepository, parents: string[]): Promise<string> {
  const place = await mkdtemp(join(scratch, 'files-'))
  for (let n = 0; n < 20; n += 1) await writeFile(join(place, `${n}.bin`), noise(20_000))
  const tree = await repository.writeTreeFromDirectory(place)
  await rm(place, { recursive: true })
  return repository.writeCommit({ tree, parents, message: 'm\n', author: PERSON, timeMs: Date.now() })
}

async function extend(branch: string, make: (parents: string[]) => Promise<string>): Promise<void> {
  const from = (await air.branches()).get(branch)
  await air.moveBranch(branch, await make(from === undefined ? [] : [from]), from)
}

async function fetched(): Promise<string> {
  const commit = await commitInto(source, [])
  const quarantine = await air.quarantine()
  try {
    await quarantine.receive(source.packObjects([commit], [], signal), signal)
    await quarantine.admit([commit], signal)
  } finally {
    await quarantine.discard()
  }
  return commit
}

const datasets = { repository: async () => air, show: async () => ({ branches: [] }) }
const staging = new Staging({
  ...{ datasets: datasets as unknown as StagedDatasets, checkouts, directory: join(directory, 'staging') },
  ...{ freeBytesMin: () => 0, clock: systemClock, log: silentLogger },
})
await staging.clear()

async function stage(): Promise<void> {
  const plan = [{ name: 'a', tool: 't', cmd: null, env: null, docker_socket: false }].map((step) => {
    return { ...step, input_dataset: 'air', output_dataset: 'air' }
  })
  turns += 1
  const run = newRun({ id: `r${turns}`, pipeline: 'p', plan, trigger: { kind: 'request' }, timeMs: 1 })
  const [step] = run.steps
  const commit = (await air.branches()).get('own-alice')
  if (step === undefined || commit === undefined) return
  const input = { commit, from: 'ground-truth' as const }
  const staged = await staging.prepare({ run, step, input, branch: 'own-alice', user: '0:0', signal })
  await staged.remove()
}

async function forEver(work: () => Promise<unknown>): Promise<never> {
  for (;;) await work()
}

process.stdout.write('ready\n')
await Promise.all([
  forEver(() => extend('own-alice', (parents) => commitInto(air, parents))),
  forEver(async () =>
    air.moveBranch('theirs-bob', await fetched(), (await air.branches()).get('theirs-bob')),
  ),
  forEver(() => air.collectGarbage({ pruneOlderThanMs: HOUR_MS, keep: [] })),
  forEver(stage),
])
