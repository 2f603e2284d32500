import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readdir, readFile, stat } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { promisify } from 'node:util'
import { parse } from 'yaml'
import { loadConfig } from '../../src/config.ts'
import { startTestApi } from '../support/api.ts'
import { eventually } from '../support/eventually.ts'
import { freePorts } from '../support/free-port.ts'
import { maoctl, maoctlHere, startInstance } from '../support/maoctl.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { KEY, typedSession } from '../support/terminal.ts'

const run = promisify(execFile)

/** A home that is nobody's, with free ports for a node. */
async function newHome(t: TestContext) {
  const home = await temporaryDirectory(t)
  const [listen = 0, api = 0, etcd = 0] = await freePorts(3)
  const ports = ['--listen-port', `${listen}`, '--api-port', `${api}`, '--etcd-port', `${etcd}`]
  const environment = { HOME: home, NO_COLOR: '1' }
  return { home, data: join(home, '.mao'), ports, api, listen, environment }
}

async function filesBelow(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true })
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
}

test('a person is asked, sees what is looked at, and gets three files and the commands that follow', async (t) => {
  const { home, data, ports, listen, environment } = await newHome(t)
  const typed = typedSession(t, ['instance', 'install', ...ports], environment)
  assert.match(await typed.shows(/Directory for the data of the node \(.*\)/), /~\/\.mao/)
  typed.press(KEY.enter)
  await typed.shows('How is this node to take part?')
  typed.press(KEY.down, KEY.down, KEY.enter)
  await typed.shows('Name of the federation')
  typed.press('Bad Name', KEY.enter)
  await typed.shows('lower-case letters')
  typed.press('\b'.repeat(8), 'observatory', KEY.enter)
  await typed.shows('What it is for')
  typed.press('Artefacts, weekly', KEY.enter)
  await typed.shows('Name of this node')
  typed.press('alice', KEY.enter)
  await typed.shows('Address at which others reach')
  typed.press('node.example.org', KEY.enter)
  await typed.shows("Name in this node's commits")
  typed.press('Alice A.', KEY.enter)
  await typed.shows('E-mail there')
  typed.press('alice@example.org', KEY.enter)
  await typed.shows('Make an SSH key')
  typed.press(KEY.enter)
  await typed.shows('How is it to run?')
  typed.press(KEY.enter)
  const looked = await typed.shows('Write these files?')
  assert.match(looked, /^✓ Node\.js/m)
  assert.match(looked, /^✓ Docker engine .* answers/m)
  assert.match(looked, new RegExp(`^✓ port ${listen} \\(peers\\) +free$`, 'm'))
  assert.match(looked, /reachable at +\/dns4\/node\.example\.org\/tcp\//)
  assert.deepEqual(await filesBelow(home), [], 'something was written before it was agreed to')
  typed.press(KEY.enter)
  await typed.shows('The node alice is set up')
  assert.equal(await typed.ends(), 0)
  // What starts it on this machine, with systemd or without.
  assert.match(
    typed.text(),
    /systemctl --user enable --now mao\.service|maoctl instance start {4}# in a terminal of its own/,
  )
  assert.match(typed.text(), /maoctl federation create --name observatory --description 'Artefacts, weekly'/)
  assert.match(typed.text(), /ssh-ed25519 \S+ mao-alice/)
  // biome-ignore lint/suspicious/noControlCharactersInRegex: colours are control sequences
  assert.doesNotMatch(typed.raw(), /\u001b\[[0-9;]*3[0-9]m/, 'NO_COLOR is not respected')

  // The node reads what was written, and means by it what was typed.
  assert.equal((await stat(join(data, 'config.yaml'))).mode & 0o777, 0o600)
  assert.equal((await stat(data)).mode & 0o777, 0o700)
  const config = await loadConfig({ flags: { dataDirectory: data } })
  assert.equal(config.name, 'alice')
  assert.deepEqual(config.listen, [`/ip4/0.0.0.0/tcp/${listen}`])
  assert.deepEqual(config.announce, [`/dns4/node.example.org/tcp/${listen}`])
  assert.deepEqual(config.datasets.author, { name: 'Alice A.', email: 'alice@example.org' })
})

test('whoever thinks better of it leaves nothing behind', async (t) => {
  const { home, environment } = await newHome(t)
  for (const key of [KEY.ctrlC, KEY.ctrlD]) {
    const typed = typedSession(t, ['instance', 'install'], environment)
    await typed.shows('Directory for the data')
    typed.press(key)
    assert.equal(await typed.ends(), 130)
    assert.match(typed.text(), /\(CANCELLED\)/)
  }
  assert.deepEqual(await filesBelow(home), [])
})

test('without a terminal the missing flag is named, at once', async (t) => {
  const { environment } = await newHome(t)
  const missing = async (...words: string[]) => {
    const ended = await maoctlHere(['instance', 'install', '--data', '/nonexistent/mao', ...words], {
      environment,
    })
    assert.equal(ended.exit, 2, ended.stderr)
    return ended.stderr
  }
  assert.match(await missing(), /add one of --alone, --create NAME, --join TOKEN, --request NAME and --later/)
  assert.match(await missing('--request', 'lab'), /add --message TEXT/)
  assert.match(await missing('--request', 'lab', '--message', 'x'), /add --contact ADDRESS/)
  assert.match(await missing('--request'), /--request NAME/)
  assert.match(await missing('--alone', '--create', 'x'), /Choose one of/)
  // What is no invitation is told before anything is looked at or written.
  assert.match(await missing('--join', 'garbage'), /This is no invitation.*\(INVITATION_INVALID\)/)
  assert.match(await missing('--create', 'Bad Name'), /INVALID_NAME/)
  assert.match(
    await missing('--create', 'x', '--reachable', '1.2.3'),
    /--reachable 1\.2\.3: expected a host name/,
  )
})

test('by flags alone: three files that their programs accept, and again without a change', async (t) => {
  const { data, home, ports, api, environment } = await newHome(t)
  const words = [
    'instance',
    'install',
    '--create',
    'lab',
    '--name',
    'bob',
    '--reachable',
    '192.0.2.7',
    ...ports,
  ]
  const dry = await maoctlHere(['--json', ...words, '--dry-run'], { environment })
  assert.deepEqual(await filesBelow(home), [])
  const planned = dry.json<{ files: { path: string; state: string; text: string }[] }>().files
  assert.deepEqual(
    planned.map(({ state }) => state),
    ['new', 'new', 'new'],
  )

  const done = await maoctlHere(['--json', ...words], { environment })
  assert.equal(done.exit, 0, done.stderr)
  for (const { path, text } of planned) assert.equal(await readFile(path, 'utf8'), text)
  const unit = join(home, '.config/systemd/user/mao.service')
  const verified = await run('systemd-analyze', ['verify', '--user', unit], {
    env: { ...process.env, XDG_RUNTIME_DIR: home },
  })
  assert.equal(verified.stderr, '')
  const compose = parse(await readFile(join(data, 'compose.yaml'), 'utf8'))
  assert.equal(compose.services.node.environment.MAO_DATA, data)
  assert.equal(compose.services.node.environment.MAO_API_PORT, String(api))
  assert.deepEqual(
    compose.services.node.volumes.map((each: { target: string }) => each.target),
    [data, '/var/run/docker.sock'],
  )

  const again = await maoctlHere(['--json', ...words], { environment })
  assert.deepEqual(again.json<{ written: string[] }>().written, [])
  assert.match(again.stderr, /just as they would be written/)

  // What differs is shown, and stays as it is until somebody says so.
  const other = ['instance', 'install', '--later', '--name', 'carol', ...ports]
  const asked = await maoctlHere(other, { environment })
  assert.equal(asked.exit, 2)
  assert.match(asked.stderr, /^-name: bob\n\+name: carol$/m)
  assert.match(asked.stderr, /Replace what differs\? Nobody is there to answer; add --yes/)
  assert.equal((await loadConfig({ flags: { dataDirectory: data } })).name, 'bob')
  assert.equal((await maoctlHere(['--yes', ...other], { environment })).exit, 0)
  const config = await loadConfig({ flags: { dataDirectory: data } })
  assert.equal(config.name, 'carol')
  assert.equal(config.announce.length, 1, 'what was not asked anew has changed')
})

test('a port that is taken, or a place that cannot be, is told before anything is written', async (t) => {
  const { home, listen, ports, environment } = await newHome(t)
  const other = createServer().listen(listen, '0.0.0.0')
  t.after(() => other.close())
  await new Promise((listening) => other.once('listening', listening))
  const refused = await maoctlHere(['instance', 'install', '--later', ...ports], { environment })
  assert.equal(refused.exit, 6)
  assert.match(refused.stderr, new RegExp(`^✗ port ${listen} \\(peers\\) +taken on 0\\.0\\.0\\.0$`, 'm'))
  assert.match(refused.stderr, /Nothing was written\..*--listen-port.*\(CHECK_FAILED\)/)
  const nowhere = await maoctlHere(['instance', 'install', '--later', '--data', '/dev/null/mao'], {
    environment,
  })
  assert.equal(nowhere.exit, 6)
  assert.match(nowhere.stderr, /✗ data directory/)
  const dry = await maoctlHere(['instance', 'install', '--later', '--dry-run', ...ports], { environment })
  assert.equal(dry.exit, 6)
  assert.match(dry.stdout, /── .*config\.yaml/)
  assert.deepEqual(await filesBelow(home), [])
})

test('with --start the node is waited for, and comes into the federation of an invitation', async (t) => {
  const { node: alice } = await startTestApi(t, 'alice')
  await alice.createFederation({ name: 'lab' })
  const { token } = await alice.invite()
  const { data, home, ports, environment } = await newHome(t)
  const words = [
    '--json',
    'instance',
    'install',
    '--join',
    '-',
    '--name',
    'bob',
    '--run-with',
    'hand',
    '--start',
  ]
  let started: Promise<unknown> = Promise.resolve()
  const installed = await maoctl([...words, ...ports], {
    environment,
    input: `${token}\n`,
    // The very command that is told.
    onStderr: (said) => {
      if (said.includes('maoctl instance start'))
        started = startInstance(t, data, ['--listen', '/ip4/127.0.0.1/tcp/0'], { HOME: home })
    },
  })
  await started
  assert.equal(installed.exit, 0, installed.stderr)
  const { state, federation, words: told } = installed.json<Record<string, string>>()
  assert.deepEqual([state, federation], ['member', 'lab'])
  assert.match(told ?? '', /member of lab, with 1 other\./)
  assert.ok(!installed.stderr.includes(token) && !installed.stdout.includes(token))
  for (const file of await filesBelow(home)) {
    assert.ok(!(await readFile(file)).includes(token), `the invitation stands in ${file}`)
  }
})

test('a person chooses a federation of the marketplace, asks to be let in, and sees what comes of it', async (t) => {
  const alice = await startTestApi(t, 'alice')
  await alice.ask('POST', '/api/v1/federation', {
    name: 'lab',
    join: 'request',
    contacts: ['lab@example.org'],
  })
  const bob = await startTestApi(t, 'bob')
  const { federation } = alice.node.federation.genesis
  const addresses = alice.node.addresses()
  for (const [name, body] of [
    ['lab', { federation, addresses, contacts: ['lab@example.org'] }],
    ['other', { contacts: ['other@example.org'] }],
  ] as const) {
    const listed = await bob.ask('POST', '/api/v1/market', { kind: 'federation', name, body })
    assert.equal(listed.status, 201, listed.body)
  }
  const { environment, ports } = await newHome(t)
  const words = ['--data', bob.node.config.dataDirectory, 'instance', 'install', '--start', ...ports]
  const asking = ['--message', 'Group B', '--contact', 'b@example.org', '--wait', '60s', '--no-ssh-key']
  const typed = typedSession(t, ['--yes', ...words, ...asking, '--request'], environment)
  const list = await typed.shows('Which federation?').then(() => typed.shows('navigate'))
  assert.match(list, /lab[\s\S]*other[\s\S]*lab@example\.org/)
  typed.press(KEY.enter)
  await typed.shows('has been asked')
  const path = `/api/v1/federation/requests/${bob.node.peerId}/approve`
  await eventually(async () => (await alice.ask('POST', path, {})).status === 201, 'alice was never asked')
  await typed.shows('This node is a member of lab, with 1 other.')
  assert.equal(await typed.ends(), 0)

  const again = await maoctlHere(['--json', '--yes', ...words, '--request', 'lab', ...asking], {
    environment,
  })
  assert.equal(again.json<{ state: string }>().state, 'member', again.stderr)
})
