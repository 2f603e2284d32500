import assert from 'node:assert/strict'
import { readdir, readFile } from 'node:fs/promises'
import { dirname, join, relative } from 'node:path'
import { test } from 'node:test'

/**
 * The corridor: a room may import rooms on lower floors, and on one floor those further left (a lower place). Rooms
 * that share a place know nothing of each other.
 */
const PLACES: Record<string, number> = {
  base: 0,
  identity: 10,
  network: 10,
  registry: 20,
  federation: 31,
  datasets: 32,
  execution: 33,
  monitoring: 33,
  consensus: 33,
  provenance: 34,
  marketplace: 34,
  etcd: 35,
  'config.ts': 40,
  'bridges.ts': 41,
  'deciding.ts': 42,
  'key-rotation.ts': 41,
  'foundation.ts': 41,
  'node.ts': 43,
  api: 50,
  web: 50,
  cli: 51,
}
/** Within one place these may look at their neighbour, one way. */
const NEIGHBOURS: readonly (readonly [from: string, to: string])[] = [
  ['network', 'identity'],
  ['execution', 'monitoring'],
  ['api', 'web'],
]

const LINES_MAX = 400
const root = join(import.meta.dirname, '..')
const source = join(root, 'src')

interface Import {
  readonly from: string
  readonly to: string
}

async function sourceFiles(): Promise<string[]> {
  const entries = await readdir(source, { recursive: true, withFileTypes: true })
  return entries
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => relative(source, join(entry.parentPath, entry.name)))
}

async function imports(file: string): Promise<Import[]> {
  const text = await readFile(join(source, file), 'utf8')
  const found = text.matchAll(/(?:from|import)\s*\(?\s*'(\.[^']+)'/g)
  return [...found].map(([, target = '']) => ({ from: file, to: join(dirname(file), target) }))
}

const roomOf = (file: string) => file.split('/')[0] as string

test('every file stands in a room of the corridor', async () => {
  for (const file of await sourceFiles()) assert(roomOf(file) in PLACES, `${file} stands in no room`)
})

test('imports only go down the corridor', async () => {
  const upward: string[] = []
  for (const file of await sourceFiles()) {
    for (const { from, to } of await imports(file)) {
      const [here, there] = [roomOf(from), roomOf(to)]
      if (here === there) continue
      const down = (PLACES[there] as number) < (PLACES[here] as number)
      const neighbours = NEIGHBOURS.some(([a, b]) => a === here && b === there)
      if (!down && !neighbours) upward.push(`${from} imports ${to}`)
    }
  }
  assert.deepEqual(upward, [])
})

test('no file imports itself through others', async () => {
  const graph = new Map<string, string[]>()
  for (const file of await sourceFiles())
    graph.set(
      file,
      (await imports(file)).map((i) => i.to),
    )
  const done = new Set<string>()
  const visit = (file: string, path: readonly string[]): void => {
    assert(!path.includes(file), `a circle: ${[...path, file].join(' → ')}`)
    if (done.has(file)) return
    for (const next of graph.get(file) ?? []) visit(next, [...path, file])
    done.add(file)
  }
  for (const file of graph.keys()) visit(file, [])
})

test(`no file outgrows ${LINES_MAX} lines`, async () => {
  for (const file of await sourceFiles()) {
    const lines = (await readFile(join(source, file), 'utf8')).split('\n').length
    assert(lines <= LINES_MAX, `${file} has ${lines} lines: it has two ideas`)
  }
})

/** Where the policy alone is meant: what stays where it is, and whether there is something to vote on. */
const POLICY_ALONE = ['data-policy.ts', 'told.ts', 'trust.ts', 'timetable.ts']

test('whoever tells members what was made of a dataset asks who may have it, not for its policy alone', async () => {
  const asking: string[] = []
  for (const file of await sourceFiles()) {
    if (
      !['execution', 'monitoring'].includes(roomOf(file)) ||
      POLICY_ALONE.some((name) => file.endsWith(name))
    )
      continue
    if (/[!=]== 'shared'/.test(await readFile(join(source, file), 'utf8'))) asking.push(file)
  }
  assert.deepEqual(asking, [], 'withheldAs (datasets/policies.ts) decides this')
})

test('the top level holds what the design names and nothing else', async () => {
  const allowed = new Set([
    'package.json',
    'package-lock.json',
    'tsconfig.json',
    'tsconfig.build.json',
    'biome.json',
    'LICENSE',
    'README.md',
    'src',
    'protocols',
    'docker',
    'test',
    'examples',
    'node_modules',
    'dist',
  ])
  const entries = (await readdir(root)).filter((name) => !name.startsWith('.'))
  assert.deepEqual(
    entries.filter((name) => !allowed.has(name)),
    [],
  )
})
