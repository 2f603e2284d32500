/** `npm run bench -- NAME [--json] [--quick]`: measures this node against what people would use in its place. */
import { loadavg } from 'node:os'
import { messageOf } from '../../src/base/errors.ts'
import { parseArguments } from './arguments.ts'
import { consensus } from './consensus.ts'
import { datasets } from './datasets.ts'
import { execution } from './execution.ts'
import { federation } from './federation.ts'
import { table } from './figures.ts'
import { type Bench, Workplace } from './harness.ts'
import { registry } from './registry.ts'

const BENCHES = { registry, datasets, execution, federation, consensus } satisfies Record<string, Bench>
const NAMES = Object.keys(BENCHES) as (keyof typeof BENCHES)[]

const USAGE = `usage: npm run bench -- NAME [--json] [--quick]

${NAMES.map((name) => `  ${name.padEnd(10)}  ${BENCHES[name].about}`).join('\n')}

  --quick     smaller and shorter
  --json      the rows as JSON, alone on standard output
`

const EXIT_USAGE = 2

const say = (text: string) => process.stderr.write(`${text}\n`)
const load = () =>
  `load average ${loadavg()
    .map((value) => value.toFixed(2))
    .join(' ')}`

async function main(): Promise<number> {
  const asked = parseArguments(process.argv.slice(2), NAMES)
  if ('problem' in asked) {
    say(`bench: ${asked.problem}\n\n${USAGE}`)
    return EXIT_USAGE
  }
  const work = await Workplace.open(asked.quick, say)
  endWhenInterrupted(work)
  try {
    say(`${asked.name}: ${load()}`)
    const rows = await BENCHES[asked.name].run(work)
    say(`${asked.name}: ${load()}`)
    process.stdout.write(asked.json ? `${JSON.stringify(rows, null, 2)}\n` : `${table(rows)}\n`)
    return 0
  } finally {
    await work.end()
  }
}

/** A bench that is interrupted, or that meets a defect outside of any call, leaves nothing running either. */
function endWhenInterrupted(work: Workplace): void {
  const end = (code: number) => {
    work
      .end()
      .catch((error: unknown) => say(`bench: ${messageOf(error)}`))
      .finally(() => process.exit(code))
  }
  process.once('SIGINT', () => end(130))
  process.once('SIGTERM', () => end(143))
  process.once('uncaughtException', (error) => {
    say(`bench: ${error.stack ?? error.message}`)
    end(1)
  })
}

try {
  process.exitCode = await main()
} catch (error) {
  say(`bench: ${error instanceof Error ? error.stack : String(error)}`)
  process.exitCode = 1
}
