import assert from 'node:assert/strict'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { test } from 'node:test'
import type { Command } from 'commander'
import { kindOfArgument } from '../../src/cli/completion-words.ts'
import { commandTree } from '../../src/cli/program.ts'
import type { Act } from '../../src/cli/session.ts'

const SOURCES = join(import.meta.dirname, '../../src')

/** The whole tree, without doing anything. */
function tree(): Command {
  const [stdin, stdout, stderr] = [new PassThrough(), new PassThrough(), new PassThrough()]
  const idle: Act = () => async () => undefined
  return commandTree({ stdin, stdout, stderr, environment: {} }, idle)
}

function all(command: Command): Command[] {
  return [command, ...command.commands.flatMap(all)]
}

function pathOf(command: Command): string {
  return command.parent === null ? '' : `${pathOf(command.parent)} ${command.name()}`.trim()
}

const program = tree()
const commands = all(program).slice(1)
const leaves = commands.filter((command) => command.commands.length === 0)

test('every command and every option says what it is', () => {
  assert.ok(commands.length > 100, `only ${commands.length} commands were found`)
  for (const command of commands) {
    assert.notEqual(command.description(), '', `maoctl ${pathOf(command)}`)
    for (const { flags, description } of command.options) {
      assert.notEqual(description, '', `maoctl ${pathOf(command)} ${flags}`)
    }
  }
})

test('no command takes an option of all commands for its own', () => {
  const globals = program.options.map(({ long }) => long)
  for (const command of commands) {
    for (const { long } of command.options) {
      assert.ok(!globals.includes(long), `maoctl ${pathOf(command)} ${long}`)
    }
  }
})

test('every noun that is added to can be listed, and most that are listed can be shown', () => {
  const nouns = program.commands.filter((command) => command.commands.length > 0)
  // Made by this machine for others to read elsewhere, or listed by another noun.
  const unlisted = new Set(['repo', 'instance', 'registry'])
  for (const noun of nouns) {
    const verbs = noun.commands.flatMap((verb) => [verb.name(), ...verb.aliases()])
    if (!unlisted.has(noun.name()))
      assert.ok(verbs.includes('list'), `maoctl ${noun.name()} has ${verbs.join(', ')}`)
  }
})

/** What writes to standard output itself, and why. */
const WRITES_ITSELF: Readonly<Record<string, string>> = {
  'program.ts': 'help',
  'dataset-browse.ts':
    'dataset cat: the bytes of a file, which JSON would only wrap; with --json it wants --output',
  'run-results.ts': 'run get: likewise',
  'install/owner-questions.ts': 'reads what git prints',
  'install/facts.ts': 'looks whether a person is there',
}

test('every command tells its result through the session, and so as JSON and with --quiet', async () => {
  for (const { file, text } of await sourcesOf('cli')) {
    assert.doesNotMatch(text, /console\.log|process\.stdout\.write/, file)
    if (/\bterminal\.stdout|stdout\.write|\{ stdout \}/.test(text) && !file.includes('output')) {
      assert.ok(WRITES_ITSELF[file] !== undefined, `${file} writes past the session`)
    }
  }
})

test('an argument that names a thing is completed with such names', () => {
  const named = leaves.filter(({ registeredArguments: [first] }) =>
    ['name', 'id'].includes(first?.name() ?? ''),
  )
  assert.ok(named.length > 30)
  // The name is one to be made, or of what no list tells.
  const unknown = /^(?:\w+ )*(?:add|create|import|install|set|history)$/
  for (const leaf of named) {
    const [first] = leaf.registeredArguments
    if (first === undefined || unknown.test(pathOf(leaf))) continue
    assert.ok(
      UNLISTED.has(pathOf(leaf)) || kindOfArgument(first, leaf) !== undefined,
      `maoctl ${pathOf(leaf)}`,
    )
  }
})

/** Names of things that only their own list knows, or that are given once. */
const UNLISTED: ReadonlySet<string> = new Set(['image build-show', 'image build-cancel', 'repo add'])

/** Routes that no verb asks for, and why. */
const WITHOUT_VERB: Readonly<Record<string, string>> = {
  'get /openapi.json': 'the description is for programs',
  'get /docs': 'a page, for browsers',
  'get /datasets/{name}/archive': 'whoever has maoctl has dataset clone, which brings the history too',
  'get /git/{repository}/info/refs': 'for stock git',
  'get /metrics': 'for Prometheus',
}

/** Routes whose path a command puts together of more pieces than this test can read, and which command that is. */
const PIECED_TOGETHER: Readonly<Record<string, string>> = {
  'delete /local-datasets/{name}': 'dataset remove-local',
  'get /notifications/deliveries': 'notification deliveries',
  'get /rounds/{dataset}/{step}/{slot}': 'round show',
  'get /rounds/{dataset}/{step}/{slot}/report': 'vote show',
  'post /rounds/{dataset}/{step}/{slot}/ballot': 'vote cast',
  'get /runs/{id}/files/{path}': 'run get',
  'get /runs/{id}/archive': 'run get',
  'post /datasets/{name}/upstream/pull': 'dataset upstream pull',
  'post /datasets/{name}/upstream/push': 'dataset upstream push',
  'post /datasets/{name}/upstream/follow': 'dataset upstream follow',
  'post /datasets/{name}/upstream/unfollow': 'dataset upstream unfollow',
  'post /datasets/{name}/upstream/trust': 'dataset upstream trust',
}

test('every route of the API is asked by some command', async () => {
  const routes = await routesOfApi()
  assert.ok(routes.length > 100, `only ${routes.length} routes were found`)
  const asked = await pathsOfCommands()
  const lonely = routes.filter(({ method, path }) => {
    const route = `${method} ${path}`
    const known = WITHOUT_VERB[route] ?? PIECED_TOGETHER[route]
    return known === undefined && !asked.some((pattern) => pattern.test(path))
  })
  assert.deepEqual(
    lonely.map(({ method, path, file }) => `${method} ${path} (${file})`),
    [],
  )
})

test('what is said of commands in this file is so', () => {
  const paths = new Set(leaves.map(pathOf))
  for (const path of [...Object.values(PIECED_TOGETHER), ...UNLISTED]) assert.ok(paths.has(path), path)
})

interface Source {
  readonly file: string
  readonly text: string
}

async function sourcesOf(room: string): Promise<Source[]> {
  const files = (await readdir(join(SOURCES, room), { recursive: true })).filter((file) =>
    file.endsWith('.ts'),
  )
  assert.ok(files.length > 20, `only ${files.length} files of ${room} were found`)
  return Promise.all(
    files.map(async (file) => ({ file, text: await readFile(join(SOURCES, room, file), 'utf8') })),
  )
}

/** Method and path of every route of /api/v1, as its source says them. */
async function routesOfApi(): Promise<{ method: string; path: string; file: string }[]> {
  const sources = (await sourcesOf('api')).filter(({ file }) => /^[\w-]+-routes\.ts$/.test(file))
  return sources.flatMap(({ file, text }) =>
    [...text.matchAll(/method: '(\w+)',\s+path: '([^']+)'/g)].map(([, method = '', path = '']) => {
      return { method, path, file }
    }),
  )
}

/** What the commands ask for, as patterns: whatever is filled in fits any part of a path. */
async function pathsOfCommands(): Promise<RegExp[]> {
  const sources = await sourcesOf('cli')
  return sources.flatMap(({ text }) =>
    [...text.matchAll(/['`]((?:\/|\$\{)[^'`\n]*)['`]/g)]
      .map(([, path = '']) => path.replaceAll(/\$\{[^}]*\}+/g, '«'))
      // What is filled in alone would fit every route.
      .filter((path) => /\/\w/.test(path) && !/[^\w«/.:-]/.test(path))
      .map((path) => {
        const begun = path.replace(/^«/, '»')
        const pattern = begun.replaceAll('.', '\\.').replaceAll('«', '[^/]+').replaceAll('»', '/.+')
        return new RegExp(`^${pattern}$`)
      }),
  )
}
