/**
 * Three nodes on this machine form a federation, run a pipeline on the manifests of this project's own dependencies,
 * copy each other's results, and agree on the ground truth, although one of them has a faulty collector.
 * See README.md in this directory; `npm run demo` sets everything up and calls this.
 */
import { readFile, rm } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import { messageOf } from '../../src/base/errors.ts'
import { engineSettings, removeContainersOf } from './containers.ts'
import { holdEngine, newDemoDirectory, stopKept, writeNote } from './kept.ts'
import { NodeProcess } from './node-process.ts'
import { check } from './outcome.ts'
import { jsonOf, lookFurther, reportOf } from './report.ts'
import { RUNS, Story } from './story.ts'

const FAULTY = 'carol'
/** Her collector loses every seventh package from her last run on; see docker/tools/collect/collect.sh. */
const FAULT = { collect: { LOSE_EVERY: '7', LOSE_FROM: String(RUNS) } }

const USAGE = `usage: npm run demo -- [--json] [--keep] [--stop]
  --json  print one JSON object on standard output, and nothing else there
  --keep  leave the nodes running, and say how to look at them and how to stop them
  --stop  stop what --keep left running
`

interface Options {
  json: boolean
  keep: boolean
}

async function demo({ json, keep }: Options, signal: AbortSignal): Promise<void> {
  const started = performance.now()
  const say = (text: string) => {
    const seconds = ((performance.now() - started) / 1_000).toFixed(1).padStart(5)
    process.stderr.write(`${seconds} s  ${text}\n`)
  }
  const directory = await newDemoDirectory()
  const node = (name: string, settings: Record<string, string> = {}) => {
    return new NodeProcess({ name, directory, settings: { ...engineSettings(), ...settings } })
  }
  const faulty = node(FAULTY, { MAO_EXECUTION_ENVIRONMENT: JSON.stringify(FAULT) })
  const nodes = [node('alice'), node('bob'), faulty] as const
  let kept = false
  try {
    await Promise.all(nodes.map((each) => each.start(signal)))
    const note = {
      demo: process.pid,
      kept: false,
      nodes: nodes.map(({ name, pid = 0, data }) => ({ name, pid, data })),
    }
    await writeNote(directory, note)
    say(`three nodes run: ${nodes.map(({ name, api }) => `${name} at ${api.url}`).join(', ')}`)
    say(`the collector of ${FAULTY} will lose packages in run ${RUNS}`)

    const outcome = await new Story({ nodes, directory, say, signal }).tell()
    check(outcome, FAULTY)
    const seconds = Math.round((performance.now() - started) / 100) / 10
    const result = json ? `${JSON.stringify(jsonOf(outcome, seconds))}\n` : reportOf(outcome, seconds)
    process.stdout.write(result)
    if (keep) {
      await writeNote(directory, { ...note, kept: true })
      await holdEngine(note)
      for (const each of nodes) each.release()
      kept = true
    }
    const words = lookFurther(outcome, kept)
    if (json) process.stderr.write(words)
    else process.stdout.write(words)
  } catch (error) {
    if (!signal.aborted) for (const each of nodes) await tellLog(each)
    throw error
  } finally {
    if (!kept) {
      say('stopping the nodes')
      const left = await stopAll(nodes)
      if (left > 0) say(`${left} containers were left behind, and are removed`)
      await rm(directory, { recursive: true, force: true })
    }
  }
}

async function stopAll(nodes: readonly NodeProcess[]): Promise<number> {
  await Promise.all(nodes.map((node) => node.stop()))
  return removeContainersOf(nodes.flatMap(({ peerId }) => peerId ?? []))
}

/** The logs go with the directory, so that their ends are shown while there is something to learn from them. */
async function tellLog(node: NodeProcess): Promise<void> {
  const text = await readFile(node.log, 'utf8').catch((error: unknown) => messageOf(error))
  const end = text.trimEnd().split('\n').slice(-8).join('\n')
  process.stderr.write(`--- the log of ${node.name} ends so:\n${end}\n`)
}

async function main(words: string[]): Promise<number> {
  const flag = { type: 'boolean', default: false } as const
  let options: Options & { stop: boolean; help: boolean }
  try {
    options = parseArgs({ args: words, options: { json: flag, keep: flag, stop: flag, help: flag } }).values
  } catch (error) {
    process.stderr.write(`${messageOf(error)}\n${USAGE}`)
    return 2
  }
  if (options.help) {
    process.stdout.write(USAGE)
    return 0
  }
  if (options.stop) {
    const stopped = await stopKept()
    process.stderr.write(
      stopped.length === 0 ? 'no demo was kept running\n' : `stopped ${stopped.join(', ')}\n`,
    )
    return 0
  }
  const interruption = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    // Set once and never taken back: further signals must not cut the clearing up short.
    process.on(name, () => interruption.abort(new Error(`interrupted by ${name}`)))
  }
  try {
    await demo(options, interruption.signal)
    return 0
  } catch (error) {
    process.stderr.write(`demo: ${messageOf(error)}\n`)
    return interruption.signal.aborted ? 130 : 1
  }
}

process.exitCode = await main(process.argv.slice(2))
