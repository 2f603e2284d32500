import assert from 'node:assert/strict'
import { chmod, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { test } from 'node:test'
import { STATUS_OF } from '../../src/api/problems.ts'
import type { ErrorCode } from '../../src/base/errors.ts'
import { briefOf } from '../../src/cli/brief.ts'
import { destinationOf } from '../../src/cli/destination.ts'
import { EXIT, EXIT_OF } from '../../src/cli/exit-codes.ts'
import { exitCodes } from '../../src/cli/help.ts'
import { Output } from '../../src/cli/output.ts'
import { checkedProfile, readProfiles } from '../../src/cli/profiles.ts'
import { fitted, widthOf } from '../../src/cli/table.ts'
import { WAYS_OUT, withWayOut } from '../../src/cli/ways-out.ts'
import { maoctlHere } from '../support/maoctl.ts'
import { startSourceServer } from '../support/source-server.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

const ESCAPE = '\u001b'

function quietOutput() {
  const [stdout, stderr] = [new PassThrough(), new PassThrough()]
  const out = new Output({ stdout, stderr, json: false, quiet: true, environment: {} })
  return { out, said: () => [String(stdout.read() ?? ''), String(stderr.read() ?? '')] }
}

test('--quiet leaves names and ids, and no word beside them', () => {
  const { out, said } = quietOutput()
  out.result(
    [
      { name: 'a', id: '1' },
      { name: 'b', id: '2' },
    ],
    () => 'a table',
  )
  out.note('by the way')
  out.result({ id: 'r-1', pipeline: 'p' }, () => 'The run r-1 waits.')
  out.result([], () => 'There is nothing.')
  out.result({ sound: true }, () => 'All is well.')
  assert.deepEqual(said(), ['a\nb\nr-1\nAll is well.\n', ''])
  // An answer around a list; what has no name at all is told as always.
  assert.equal(briefOf({ digest: '', peers: [{ peer: 'x', name: 'alice' }, { peer: 'y' }] }), 'alice\ny')
  assert.equal(briefOf([{ problem: 'x' }]), undefined)
})

test('on a terminal a table is no wider than it; elsewhere nothing is cut', () => {
  const rows = [
    ['alice', 'a'.repeat(60), 'short'],
    ['bob', 'b', '漢字'.repeat(20)],
  ]
  const shown = fitted(['name', 'address', 'said'], rows, 60)
  for (const row of shown)
    assert.ok(row.map(widthOf).reduce((sum, each) => sum + each, 0) + 6 <= 60, row.join('|'))
  assert.deepEqual(
    shown.map(([name]) => name),
    ['alice', 'bob'],
    'what is short stays whole',
  )
  assert.match(shown[0]?.[1] ?? '', /^a+…$/)
  const stdout = Object.assign(new PassThrough(), { isTTY: true, columns: 40 })
  const narrow = new Output({
    stdout,
    stderr: new PassThrough(),
    json: false,
    environment: { NO_COLOR: '1' },
  })
  for (const line of narrow.table(['name', 'address', 'said'], rows).split('\n'))
    assert.ok(widthOf(line) <= 40, line)
  const piped = new Output({ stdout: new PassThrough(), stderr: stdout, json: false, environment: {} })
  assert.ok(piped.table(['name', 'address', 'said'], rows).includes('a'.repeat(60)))
})

test('what was styled here stays so in a table, and what a peer styles does not', () => {
  const stdout = Object.assign(new PassThrough(), { isTTY: true })
  const out = new Output({ stdout, stderr: stdout, json: false, environment: {} })
  const table = out.table(['state'], [[out.state('failed')], [`${ESCAPE}[32mmine${ESCAPE}[39m`]])
  assert.ok(table.includes(`${ESCAPE}[31mfailed${ESCAPE}[39m`), JSON.stringify(table))
  assert.ok(!table.includes(`${ESCAPE}[32m`))
})

test('every error has a way out, an exit code and an HTTP status', () => {
  const codes = Object.keys(STATUS_OF) as ErrorCode[]
  assert.deepEqual(Object.keys(WAYS_OUT).sort(), [...codes].sort())
  assert.deepEqual(Object.keys(EXIT_OF).sort(), [...codes].sort())
  for (const code of codes) {
    assert.ok(WAYS_OUT[code].length > 10, code)
    assert.match(withWayOut(code, 'It went wrong'), /^It went wrong; .{10,}/, code)
  }
  // Whoever says what to do already is not told twice.
  const told = 'No dataset is named x; "maoctl dataset list" tells which there are'
  assert.equal(withWayOut('DATASET_NOT_FOUND', told), told)
  assert.equal(withWayOut('PORT_IN_USE', 'It is taken; choose another'), 'It is taken; choose another')
})

test('maoctl help exit-codes tells all numbers that commands end with', async () => {
  const told = await maoctlHere(['help', 'exit-codes'])
  assert.equal(told.exit, 0)
  for (const { code, meaning } of exitCodes()) assert.ok(told.stdout.includes(meaning), String(code))
  assert.deepEqual((await maoctlHere(['--json', 'help', 'exit-codes'])).json(), exitCodes())
  assert.deepEqual(
    exitCodes().map(({ code }) => code),
    Object.values(EXIT),
  )
  const dataset = await maoctlHere(['help', 'dataset', 'get'])
  assert.match(dataset.stdout, /^Usage: maoctl dataset show/)
  assert.equal((await maoctlHere(['help', 'nothing'])).exit, EXIT.INPUT)
})

test('what is nearer to the command says which node is meant', () => {
  const url = 'http://127.0.0.1:1'
  const all = { MAO_URL: url, MAO_TOKEN: 't', MAO_PROFILE: 'far', MAO_DATA: '/d' }
  const cases: [Parameters<typeof destinationOf>, object][] = [
    [[{ url: 'http://x' }, { MAO_TOKEN: 't' }, 'usual'], { kind: 'url', url: 'http://x', token: 't' }],
    // The token belongs to the node of MAO_URL.
    [[{ url: 'http://x' }, all, 'usual'], { kind: 'url', url: 'http://x', token: undefined }],
    [[{ url: 'http://x', token: 'u' }, all, undefined], { kind: 'url', url: 'http://x', token: 'u' }],
    [[{ url: `${url}/` }, all, 'usual'], { kind: 'url', url: `${url}/`, token: 't' }],
    [[{ data: '/e' }, all, 'usual'], { kind: 'data', token: undefined }],
    [[{ profile: 'lab' }, all, 'usual'], { kind: 'profile', name: 'lab', token: undefined }],
    [[{}, all, 'usual'], { kind: 'url', url, token: 't' }],
    [[{}, { ...all, MAO_URL: '' }, 'usual'], { kind: 'profile', name: 'far', token: undefined }],
    [[{}, { MAO_DATA: '/d', MAO_TOKEN: 't' }, 'usual'], { kind: 'data', token: 't' }],
    // The token of this machine's node does not go to another one.
    [[{}, { MAO_TOKEN: 't' }, 'usual'], { kind: 'profile', name: 'usual', token: undefined }],
    [[{ token: 'x' }, {}, 'usual'], { kind: 'profile', name: 'usual', token: 'x' }],
    [[{}, {}, undefined], { kind: 'data', token: undefined }],
  ]
  for (const [given, meant] of cases) assert.deepEqual(destinationOf(...given), meant, JSON.stringify(given))
  assert.throws(() => destinationOf({ profile: 'a', url }, {}, undefined), { code: 'INVALID_INPUT' })
})

test('a profile keeps its token where nobody else reads it, and sends it nowhere in the clear', async (t) => {
  const home = await temporaryDirectory(t)
  const environment = { XDG_CONFIG_HOME: home }
  const file = join(home, 'mao', 'profiles.yaml')
  const type = (words: string[], input = '') => maoctlHere(words, { environment, input })
  const added = await type(['profile', 'add', 'lab', 'https://lab.example.org:8080/', '--use'], 's3cret\n')
  assert.equal(added.exit, 0, added.stderr)
  assert.equal((await stat(file)).mode & 0o777, 0o600)
  assert.match(await readFile(file, 'utf8'), /token: s3cret/)
  for (const words of [['list'], ['show', 'lab'], ['list', '--json']]) {
    const told = await type(['profile', ...words])
    assert.match(told.stdout, /https:\/\/lab\.example\.org:8080/)
    assert.doesNotMatch(told.stdout + told.stderr, /s3cret/)
  }
  const clear = await type(['profile', 'add', 'far', 'http://far.example.org:8080'], 'x\n')
  assert.deepEqual([clear.exit, /could read the token.*--insecure/.test(clear.stderr)], [EXIT.INPUT, true])
  assert.equal((await type(['profile', 'add', 'far', 'http://far.example.org', '--insecure'], 'x')).exit, 0)
  const typed = await type(['--url', 'http://far.example.org:8080', '--token', 'x', 'status'])
  assert.deepEqual([typed.exit, /profile add .* --insecure/.test(typed.stderr)], [EXIT.INPUT, true])
  assert.equal((await type(['profile', 'add', 'lab', 'https://x.org'], 'x')).exit, EXIT.CONFLICT)
  assert.equal((await type(['profile', 'add', 'none', 'https://x.org'], '')).exit, EXIT.INPUT)
  assert.equal((await type(['--profile', 'nobody', 'status'])).exit, EXIT.NOT_FOUND)
  assert.equal((await type(['profile', 'remove', 'lab', '--yes'])).exit, 0)
  assert.deepEqual(Object.keys((await readProfiles(file)).profiles), ['far'])
  assert.equal((await readProfiles(file)).default, undefined, 'the default went with it')
  await chmod(file, 0o644)
  const open = await type(['profile', 'list'])
  assert.deepEqual([open.exit, /chmod 600/.test(open.stderr)], [EXIT.FORBIDDEN, true])
  await chmod(file, 0o600)
  await writeFile(file, 'profiles: [1]')
  assert.equal((await type(['profile', 'list'])).exit, EXIT_OF.INVALID_CONFIG)
  assert.equal(checkedProfile({ url: 'http://127.0.0.1:8080', token: 'x' }).url, 'http://127.0.0.1:8080')
})

test('a node behind TLS of its own is reached with the certificate of its profile, and not without', async (t) => {
  const front = await startSourceServer(t, true)
  front.at.set('/api/v1/tools', (response, { headers }) => {
    response.writeHead(headers.authorization === 'Bearer s3cret' ? 200 : 401, {
      'content-type': 'application/json',
    })
    response.end(
      JSON.stringify([{ name: 'count', value: { image: 'x' }, author: 'a', timeMs: 1, contested: false }]),
    )
  })
  const environment = { XDG_CONFIG_HOME: await temporaryDirectory(t) }
  const type = (...words: string[]) => maoctlHere(words, { environment, input: 's3cret' })
  await type('profile', 'add', 'lab', front.url, '--ca-file', front.caFile)
  await type('profile', 'add', 'bare', front.url)
  const listed = await type('--profile', 'lab', '-q', 'tool', 'list')
  assert.deepEqual([listed.exit, listed.stdout, listed.stderr], [0, 'count\n', ''])
  const refused = await type('--profile', 'bare', 'tool', 'list')
  assert.equal(refused.exit, EXIT.UNAVAILABLE)
  assert.match(refused.stderr, /certificate/)
  assert.equal(front.heard.length, 1, 'nothing was said to a node that proved nothing')
})
