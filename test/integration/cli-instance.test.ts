import assert from 'node:assert/strict'
import { readFile, stat, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import type { MemberView, Status } from '../../src/api/views.ts'
import { withDeadline } from '../../src/base/wait.ts'
import { eventually } from '../support/eventually.ts'
import { maoctl, maoctlHere, startInstance, tellJson } from '../support/maoctl.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

test('a node starts on a bare directory, is found by it, and stops clean when it is asked to', async (t) => {
  const data = join(await temporaryDirectory(t), 'node')
  const { ready, stop, stderr } = await startInstance(t, data, ['--name', 'alice'])
  assert.equal(ready.name, 'alice')
  assert.equal((await stat(ready.tokenFile)).mode & 0o777, 0o600)

  const status = await tellJson<Status>(data, 'federation', 'show')
  assert.equal(status.node.peer, ready.peerId)
  assert.equal(status.federation, null)
  const people = await maoctl(['--data', data, 'federation', 'show'])
  assert.match(people.stdout, /^federation: none yet$/m)

  assert.equal(await stop(), 0)
  for (const line of stderr().trim().split('\n')) {
    assert.doesNotMatch(line, /"level":(?:40|50)/, 'a clean stop has nothing to complain of')
    assert.ok(!line.includes(await readFile(ready.tokenFile, 'utf8').then((token) => token.trim())))
  }
  const gone = await maoctlHere(['--data', data, 'federation', 'show'])
  assert.equal(gone.exit, 6)
  assert.match(
    gone.stderr,
    /^maoctl: No node runs on .*maoctl instance start --data .* \(NODE_UNREACHABLE\)$/m,
  )

  const again = await startInstance(t, data)
  assert.equal(again.ready.peerId, ready.peerId, 'the key has changed')
  assert.equal(await again.stop('SIGINT'), 0)
})

test('a killed node leaves whereabouts behind that mislead nobody', async (t) => {
  const data = await temporaryDirectory(t)
  const { stop } = await startInstance(t, data)
  await stop('SIGKILL')
  const asked = await maoctlHere(['--data', data, 'federation', 'show'])
  assert.equal(asked.exit, 6)
  assert.match(asked.stderr, /NODE_UNREACHABLE/)
  await startInstance(t, data)
  assert.equal((await maoctlHere(['--data', data, 'federation', 'show'])).exit, 0)
})

test('a second start on the same data is refused, and the first goes on', async (t) => {
  const data = await temporaryDirectory(t)
  await startInstance(t, data)
  const second = await maoctl(['--data', data, 'instance', 'start', '--port', '0', '--log-level', 'silent'])
  assert.equal(second.exit, 4)
  assert.match(second.stderr, /^maoctl: Another node already runs on .* \(DATA_IN_USE\)\n$/)
  assert.equal(second.stdout, '')
  assert.equal((await maoctlHere(['--data', data, 'federation', 'show'])).exit, 0)
})

test('a port that is taken is told in one line, and nothing of the node is left running', async (t) => {
  const other = createServer().listen(0, '127.0.0.1')
  t.after(() => other.close())
  await new Promise((listening) => other.once('listening', listening))
  const { port } = other.address() as AddressInfo
  const data = await temporaryDirectory(t)
  const start = await maoctl([
    '--data',
    data,
    'instance',
    'start',
    '--port',
    String(port),
    '--log-level',
    'silent',
  ])
  assert.equal(start.exit, 4)
  assert.equal(
    start.stderr,
    `maoctl: Port ${port} of 127.0.0.1 is taken; stop what listens there, or choose another with --port (PORT_IN_USE)\n`,
  )
  await startInstance(t, data)
})

test('settings come from the file, the environment and the flags, and wrong ones are all told at once', async (t) => {
  const data = await temporaryDirectory(t)
  await writeFile(join(data, 'config.yaml'), 'name: from-file\nlog: { level: warn }\n')
  const { ready, stop } = await startInstance(t, data, [], { MAO_NAME: 'from-environment' })
  assert.equal(ready.name, 'from-environment')
  await stop()
  await writeFile(join(data, 'config.yaml'), 'nam: x\napi: { port: -1 }\n')
  const wrong = await maoctlHere(['--data', data, 'instance', 'start'])
  assert.equal(wrong.exit, 2)
  assert.match(wrong.stderr, /nam: no such setting, did you mean name\?/)
  assert.match(wrong.stderr, /api\.port: /)
  assert.match(wrong.stderr, /\(INVALID_CONFIG\)\n$/)
})

test('two nodes form a federation by typed commands alone', async (t) => {
  const [alice, bob] = await Promise.all([temporaryDirectory(t), temporaryDirectory(t)])
  await Promise.all([startInstance(t, alice, ['--name', 'alice']), startInstance(t, bob, ['--name', 'bob'])])

  const early = await maoctlHere(['--data', bob, 'federation', 'members'])
  assert.equal(early.exit, 4)
  assert.match(early.stderr, /maoctl federation create .*\(NO_FEDERATION\)/)

  await tellJson(alice, 'federation', 'create', '--name', 'lab', '--description', 'artefacts')
  const invited = await maoctl(['--data', alice, 'federation', 'invite', '--expires', '1h'])
  assert.equal(invited.stdout.split('\n').length, 2, 'standard output holds the token and nothing else')
  const token = invited.stdout.trim()
  // Who else is on the machine sees no invitation in a list of processes.
  const joined = await maoctlHere(['--data', bob, 'federation', 'join'], { input: `${token}\n` })
  assert.equal(joined.exit, 0, joined.stderr)
  assert.match(joined.stdout, /This node is a member of lab/)
  const complete = async () => {
    const members = await tellJson<MemberView[]>(bob, 'federation', 'members')
    return members.map(({ name, role }) => `${name} ${role}`).join() === 'alice operator,bob member'
  }
  await eventually(complete, 'bob never saw both members')

  const again = await maoctlHere(['--data', bob, '--json', 'federation', 'join', token])
  assert.equal(again.exit, 4)
  assert.equal(again.stdout, '')
  assert.equal(JSON.parse(again.stderr).code, 'ALREADY_FEDERATED')
  const notOperator = await maoctlHere(['--data', bob, 'federation', 'invite'])
  assert.equal(notOperator.exit, 5)
  assert.match(notOperator.stderr, /\(NOT_OPERATOR\)/)

  // The same registry on both, whoever is asked.
  const digest = (data: string) => tellJson<{ digest: string }>(data, 'registry', 'digest')
  const same = async () => (await digest(alice)).digest === (await digest(bob)).digest
  await eventually(same, 'the registries never became the same')
})

test('what happens is followed from another terminal', async (t) => {
  const data = await temporaryDirectory(t)
  await startInstance(t, data, ['--name', 'alice'])
  const { promise: following, resolve } = Promise.withResolvers<void>()
  const onStderr = (text: string) => text.includes('Following') && resolve()
  const words = ['--data', data, '--json', 'events', '--types', 'federation', '--count', '1']
  const events = maoctl(words, { onStderr })
  await withDeadline(following, 30_000, 'The first word of the events')
  await tellJson(data, 'federation', 'create', '--name', 'lab')
  const { exit, stdout } = await events
  assert.equal(exit, 0)
  const happening = JSON.parse(stdout) as { type: string; name: string }
  assert.deepEqual([happening.type, happening.name], ['federation', 'lab'])
})

test('an older Node is told what is needed, and no stack', async () => {
  const pretend =
    "Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '20.11.0' } })"
  const nodeArguments = ['--import', `data:text/javascript,${encodeURIComponent(pretend)}`]
  const { exit, stdout, stderr } = await maoctl(['--help'], { nodeArguments })
  assert.equal(exit, 1)
  assert.equal(stdout, '')
  assert.match(stderr, /^maoctl: needs Node\.js 22\.18 or later, and this is 20\.11\.0.*\(UNSUPPORTED\)\n$/)
})

test('a slip of the pen is told with what was meant, and ends with 2', async () => {
  const wrong = await maoctl(['federaton', 'show'])
  assert.equal(wrong.exit, 2)
  assert.match(wrong.stderr, /unknown command 'federaton'.*Did you mean federation/)
  const option = await maoctlHere(['tool', 'add', 'x', '--imag', 'y'])
  assert.equal(option.exit, 2)
  assert.match(option.stderr, /--image/)
  const bare = await maoctlHere(['tool', 'add', 'x'])
  assert.match(bare.stderr, /has a name and --image REFERENCE, or --service REFERENCE/)
  const windowless = await maoctlHere(['round', 'open', 'd'])
  assert.match(windowless.stderr, /'--step <name>' not specified; "maoctl round open --help" tells how/)
  const lost = await maoctlHere(['pipeline', 'add', '-f', '/nonexistent'], {
    environment: { MAO_URL: 'http://127.0.0.1:9', MAO_TOKEN: 'x' },
  })
  assert.match(lost.stderr, /\/nonexistent cannot be read: it does not exist/)
  assert.equal((await maoctlHere(['round', 'open', 'd', '--step', 's', '--window', 'soon'])).exit, 2)
  assert.equal((await maoctlHere(['--help'])).exit, 0)
})
