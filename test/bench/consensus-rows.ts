/**
 * The result of ten heads with one large table each, row by row (method `rows`), in a process of its own whose memory is
 * watched. The anchor sorts and counts the same rows with coreutils, given as much memory; both have to find the same rows.
 */
import { execFile, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { createWriteStream, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { seededRandom } from '../support/seeded-random.ts'
import { type Counted, HEADS, repositoryWith } from './consensus-files.ts'
import type { RowsAnswer, RowsQuestion } from './consensus-rows-process.ts'
import { median, type Row, row } from './figures.ts'
import { inTurns, secondsOf, type Workplace } from './harness.ts'

const runProgram = promisify(execFile)
const PROCESS = join(import.meta.dirname, 'consensus-rows-process.ts')
const TIMEOUT_MS = 600_000
const MIB = 1024 ** 2
const FILE = 'measured.csv'
const HEADER = 'id,station,time,value'
const SEED = 20_260_102
/** One row in so many is another one in each head, and one in so many is missing. */
const [CHANGED, MISSING] = [1_000, 20_000]

/** Rows that are made at once. */
const CHUNK = 10_000

const BY_COREUTILS = `set -eu
half=$1; out=$2; shift 2
cat "$@" | LC_ALL=C sort --buffer-size=256M | uniq -c |
  awk -v half="$half" '$1 > half { sub(/^ *[0-9]+ /, ""); print }' >"$out"
`

export async function resultOfRows(work: Workplace): Promise<Row[]> {
  const count = work.size(1_000_000, 50_000)
  work.say(`result of ${HEADS} heads with ${count} rows: making them`)
  const tables = await tablesOf(work, count)
  const place = await repositoryWith(work, tables.map(contentOf))
  const answers: RowsAnswer[] = []
  const ours = async () => {
    const answer = await countApart(place)
    answers.push(answer)
    return answer.seconds
  }
  const counted = join(await work.directory(), 'counted')
  const anchor = () => secondsOf(() => byCoreutils(tables, counted))
  work.say(`result of ${HEADS} heads with ${count} rows`)
  const measured = await inTurns(work.size(3, 1), { ours, anchor })
  await checkRows(work, place, answers[0] as RowsAnswer, counted)
  const grown = Math.max(...answers.map(({ baseBytes, peakBytes }) => peakBytes - baseBytes)) / MIB
  const what = `${HEADS} heads with a CSV of ${count} rows`
  return [
    row({
      name: `result commit of ${what} (anchor: sort and uniq -c of the same rows)`,
      ours: median(measured.ours),
      anchor: median(measured.anchor),
      unit: 's',
      aim: '<= 3.00x',
    }),
    row({
      name: `memory growth of the counting node, ${what}`,
      ours: grown,
      anchor: null,
      unit: 'MB',
      aim: '<= 256 MB',
    }),
  ]
}

/** A table of each head as a file, some 50 bytes a row. */
async function tablesOf(work: Workplace, count: number): Promise<string[]> {
  const directory = await work.directory()
  const paths = Array.from({ length: HEADS }, (_, head) => join(directory, `head-${head}.csv`))
  const files = paths.map((path) => createWriteStream(path))
  const random = paths.map((_, head) => seededRandom(SEED + head))
  for (let from = 0; from < count; from += CHUNK) {
    const rows = Array.from({ length: Math.min(CHUNK, count - from) }, (_, n) => rowOf(from + n))
    for (const [head, file] of files.entries()) {
      const own = rows.flatMap((found) => {
        const roll = (random[head] as () => number)()
        if (roll < 1 / MISSING) return []
        return [`${found}${roll < 1 / CHANGED ? `9${head}` : ''}\n`]
      })
      if (!file.write(`${from === 0 ? `${HEADER}\n` : ''}${own.join('')}`)) await once(file, 'drain')
    }
  }
  for (const file of files) {
    file.end()
    await once(file, 'close')
  }
  return paths
}

function rowOf(index: number): string {
  const time = new Date(1_700_000_000_000 + index * 1_000).toISOString().slice(0, 19)
  return `${String(index).padStart(7, '0')},station-${String(index % 1_000).padStart(4, '0')},${time}Z,${10 + (index % 80)}.5`
}

/** Read when it is its turn, since all together are half a gigabyte. */
function* contentOf(path: string): Generator<readonly [string, Buffer]> {
  yield [FILE, readFileSync(path)]
}

async function countApart({ repository, heads }: Counted): Promise<RowsAnswer> {
  const question: RowsQuestion = { path: repository.path, heads, key: 'id' }
  const args = ['--expose-gc', PROCESS, JSON.stringify(question)]
  const { stdout } = await runProgram(process.execPath, args, { timeout: TIMEOUT_MS })
  return JSON.parse(stdout) as RowsAnswer
}

async function byCoreutils(tables: readonly string[], out: string): Promise<void> {
  const args = ['-c', BY_COREUTILS, 'sh', String(tables.length / 2), out, ...tables]
  await runProgram('sh', args, { timeout: TIMEOUT_MS })
}

/** Sorts what we found as the anchor sorts. */
async function checkRows(work: Workplace, { repository }: Counted, { commit }: RowsAnswer, counted: string) {
  const script = 'git cat-file blob "$1:$2" | LC_ALL=C sort | cmp - "$3"'
  const env = { ...process.env, GIT_DIR: repository.path, TMPDIR: await work.directory() }
  const { status, stdout, stderr } = spawnSync('sh', ['-c', script, 'sh', String(commit), FILE, counted], {
    env,
  })
  if (status !== 0) throw new Error(`We counted other rows than sort and uniq: ${stdout}${stderr}`)
}
