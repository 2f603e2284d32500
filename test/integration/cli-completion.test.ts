import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { chmod, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { before, describe, type TestContext, test } from 'node:test'
import { promisify } from 'node:util'
import { SOURCES } from '../../src/cli/completion-names.ts'
import { startTestApi } from '../support/api.ts'
import { maoctlHere } from '../support/maoctl.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

const run = promisify(execFile)
const MAIN = join(import.meta.dirname, '../../src/cli/main.ts')

/** What names are asked from answers with a list, else a kind of them would be offered by nobody, and nobody would say so. */
async function everyListIsThere(url: string, token: string): Promise<void> {
  for (const [kind, { path }] of Object.entries(SOURCES)) {
    const response = await fetch(`${url}/api/v1${path}`, { headers: { authorization: `Bearer ${token}` } })
    assert.ok(Array.isArray(await response.json()), `${kind}: ${path}`)
  }
}

/** The words that maoctl offers for what was typed; the last may be unfinished. */
async function offered(words: string[], environment: Record<string, string> = {}): Promise<string[]> {
  const { stdout, exit, stderr } = await maoctlHere(['__complete', '--', ...words], { environment })
  assert.deepEqual([exit, stderr], [0, ''])
  const [, ...lines] = stdout.trimEnd().split('\n')
  return lines.map((line) => line.split('\t')[0] ?? '')
}

test('nouns, verbs, options and choices are offered from the tree of commands itself', async () => {
  assert.deepEqual(await offered(['data']), ['dataset'])
  assert.ok((await offered(['dataset', ''])).includes('import'))
  assert.ok(!(await offered([''])).includes('__complete'))
  assert.deepEqual(await offered(['completion', '']), ['bash', 'zsh', 'fish'])
  assert.deepEqual(await offered(['run', 'submit', '--dry']), ['--dry-run'])
  assert.deepEqual(await offered(['--json', 'sta']), ['status'])
  const listing = await maoctlHere(['__complete', '--', 'pipeline', 'add', '--file', ''])
  assert.equal(listing.stdout.split('\n')[0], 'files')
})

describe('names that the node knows', () => {
  test('are offered where they fit, and nothing where the node is silent or gone', async (t) => {
    const { node, url, token, ask } = await startTestApi(t, 'alice')
    await node.createFederation({ name: 'lab' })
    for (const name of ['apples', 'pears']) await ask('POST', '/api/v1/datasets', { name })
    await ask('POST', '/api/v1/tools', { name: 'count', image: 'busybox' })
    const environment = { MAO_URL: url, MAO_TOKEN: token, XDG_CONFIG_HOME: await temporaryDirectory(t) }
    assert.deepEqual((await offered(['dataset', 'show', ''], environment)).sort(), ['apples', 'pears'])
    assert.deepEqual(await offered(['dataset', 'upstream', 'show', 'p'], environment), ['pears'])
    assert.deepEqual(await offered(['tool', 'show', ''], environment), ['count'])
    assert.deepEqual(await offered(['round', 'open', 'a'], environment), ['apples'])
    assert.deepEqual(await offered(['run', 'submit', 'x', '--on', ''], environment), ['alice'])
    await everyListIsThere(url, token)
    assert.deepEqual(await offered(['image', 'build', '--dataset=p'], environment), ['--dataset=pears'])
    assert.deepEqual(await offered(['image', 'build', '--dataset', '=', 'p'], environment), ['pears'])
    await maoctlHere(['profile', 'add', 'far', url], { environment, input: token })
    assert.deepEqual(await offered(['--profile', ''], environment), ['far'])
    assert.deepEqual(await offered(['--profile', 'far', 'tool', 'show', ''], environment), ['count'])
    assert.deepEqual(
      await offered(['dataset', 'show', ''], { ...environment, MAO_URL: 'http://127.0.0.1:1' }),
      [],
    )

    // A node that takes the call and says nothing.
    const silent = createServer(() => undefined)
    t.after(() => {
      silent.closeAllConnections()
      silent.close()
    })
    await new Promise<void>((done) => silent.listen(0, '127.0.0.1', done))
    const { port } = silent.address() as AddressInfo
    const startedMs = Date.now()
    const at = { ...environment, MAO_URL: `http://127.0.0.1:${port}` }
    assert.deepEqual(await offered(['dataset', 'show', ''], at), [])
    assert.ok(Date.now() - startedMs < 3_000, 'a shell waited for a silent node')
  })
})

test('a node cannot put a command on the line of whoever presses the key', async (t) => {
  const evil = ['$(id)', '`id`', 'a;id', "it's", 'a\\b', '-rf', 'a b', 'x'.repeat(201)]
  const names = [...evil, 'mao:2-lab_x@12D3.y/z+1'].map((name) => ({ name }))
  const server = createServer((_request, response) => {
    response.setHeader('content-type', 'application/json').end(JSON.stringify(names))
  })
  t.after(() => server.close())
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  const { port } = server.address() as AddressInfo
  const environment = { MAO_URL: `http://127.0.0.1:${port}`, MAO_TOKEN: 'x' }
  assert.deepEqual(await offered(['dataset', 'show', ''], environment), ['mao:2-lab_x@12D3.y/z+1'])
})

describe('in a real shell', () => {
  let scripts: Record<string, string> = {}
  before(async () => {
    for (const shell of ['bash', 'zsh', 'fish']) {
      scripts = { ...scripts, [shell]: (await maoctlHere(['completion', shell])).stdout }
    }
  })

  /** A directory whose `maoctl` is ours, and the script of the shell in it. */
  async function place(t: TestContext, shell: string) {
    const directory = await temporaryDirectory(t)
    await writeFile(join(directory, 'maoctl'), `#!/bin/sh\nexec "${process.execPath}" "${MAIN}" "$@"\n`)
    await chmod(join(directory, 'maoctl'), 0o755)
    await writeFile(join(directory, 'script'), scripts[shell] ?? '')
    const env = { PATH: `${directory}:${process.env.PATH}`, HOME: directory, TERM: 'dumb' }
    return { script: join(directory, 'script'), options: { env, timeout: 20_000, cwd: directory } }
  }

  test('bash', async (t) => {
    const { script, options } = await place(t, 'bash')
    const ask = `source ${script}; COMP_WORDS=(maoctl dataset im); COMP_CWORD=2; _maoctl; printf '%s\\n' "\${COMPREPLY[@]}"; complete -p maoctl`
    const { stdout } = await run('bash', ['--norc', '--noprofile', '-c', ask], options)
    assert.equal(stdout, 'import\ncomplete -F _maoctl maoctl\n')
  })

  test('fish', async (t) => {
    const { script, options } = await place(t, 'fish')
    const ask = `source ${script}; complete -C 'maoctl dataset im'`
    const { stdout } = await run('fish', ['--no-config', '-c', ask], options)
    assert.match(stdout, /^import\t.+\n$/)
  })

  test('zsh', async (t) => {
    const { script, options } = await place(t, 'zsh')
    // Its completion works on a terminal alone; what our function hands to it is seen in place of the builtin.
    const ask = `function compadd { print -l -- $names }; words=(maoctl dataset im); CURRENT=3; compdef() { }; source ${script}; _maoctl`
    const { stdout } = await run('zsh', ['-f', '-c', ask], options)
    assert.equal(stdout, 'import\n')
  })
})
