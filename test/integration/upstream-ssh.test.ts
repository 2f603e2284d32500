import assert from 'node:assert/strict'
import { chmod, readdir, readFile, writeFile } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { isNodeError } from '../../src/base/errors.ts'
import { runProgram, spawnProgram } from '../support/child-process.ts'
import { type DatasetNode, joinDatasetNode, startDatasetNode } from '../support/dataset-node.ts'
import { eventually } from '../support/eventually.ts'
import { type SshServer, startSshServer } from '../support/ssh-server.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { agreeOn, type UpstreamRepository, upstreamRepository } from '../support/upstream-repository.ts'

interface Story {
  readonly repository: UpstreamRepository
  readonly server: SshServer
  readonly alice: DatasetNode
  readonly url: string
}

/** A git host that is reached over ssh, and a node whose dataset `data` names it. */
async function story(t: TestContext): Promise<Story> {
  const repository = await upstreamRepository(t)
  const server = await startSshServer(t)
  const alice = await startDatasetNode(t, { gossip: false })
  await alice.datasets.add('data')
  const url = `ssh://${server.user}@127.0.0.1:${server.port}${repository.path}`
  await alice.datasets.upstreams.set('data', { url, branch: 'main' })
  return { repository, server, alice, url }
}

/** The same, with the node let in and the host's key trusted. */
async function trustedStory(t: TestContext): Promise<Story> {
  const told = await story(t)
  const { upstreams } = told.alice.datasets
  await told.server.admit(await upstreams.makeKey())
  await upstreams.trust('data', await told.server.fingerprint())
  return told
}

async function refuses(call: Promise<unknown>, code: string, words: RegExp): Promise<string> {
  let message = ''
  await assert.rejects(call, (error) => {
    assert(isNodeError(error), String(error))
    assert.equal(error.code, code, error.message)
    assert.match(error.message, words)
    message = error.message
    return true
  })
  return message
}

test('from the first key to commits in both directions', async (t) => {
  const { repository, server, alice, url } = await story(t)
  const { upstreams } = alice.datasets
  const first = await repository.commit({ 'table.csv': 'a,b\n' })

  await refuses(upstreams.pull('data'), 'FORBIDDEN', /no private key.*dataset upstream key/)
  const key = await upstreams.makeKey()
  assert.match(key, /^ssh-ed25519 \S+ mao-alice$/)
  assert.equal(await upstreams.publicKey(), key)
  assert.equal(await upstreams.makeKey(), key, 'a key that is there stays')

  // The host is unknown: nothing is sent to it, and its fingerprint is told with the way to accept it.
  const fingerprint = await server.fingerprint()
  const refusal = await refuses(
    upstreams.pull('data'),
    'UPSTREAM_FAILED',
    /does not know the key of \[127\.0\.0\.1\]/,
  )
  assert(refusal.includes(`maoctl dataset upstream trust data --fingerprint ${fingerprint}`), refusal)
  assert.deepEqual(
    (await upstreams.hostKeys('data')).map(({ type, fingerprint: shown, trusted }) => [type, shown, trusted]),
    [['ssh-ed25519', fingerprint, 'no']],
  )
  await refuses(
    upstreams.trust('data', 'SHA256:something'),
    'CONFLICT',
    /shows no key SHA256:something; it shows SHA256:/,
  )
  assert.equal((await upstreams.trust('data', fingerprint))[0]?.trusted, 'yes')

  // The host does not know this node.
  await refuses(
    upstreams.pull('data'),
    'UPSTREAM_FAILED',
    /lets none of this node's keys in.*Permission denied/,
  )
  await server.admit(key)
  const pulled = await upstreams.pull('data')
  assert.deepEqual(pulled, { url, branch: 'upstream-alice', commit: first, changed: true, initial: true })
  assert.equal((await alice.datasets.show('data')).truth, first)

  const commit = await agreeOn(alice, await temporaryDirectory(t))
  const pushed = await upstreams.push('data')
  assert.deepEqual(pushed.branches, [{ commit, branch: 'main', outcome: 'moved' }])
  assert.equal(await repository.tip(), commit)
})

test('a key that others can read, or a list of hosts that others can write, is not used', async (t) => {
  const { alice, repository, server } = await trustedStory(t)
  await repository.commit({ a: '1' })
  const [key, hosts] = [
    join(alice.directory, 'ssh', 'id_ed25519'),
    join(alice.directory, 'ssh', 'known_hosts'),
  ]
  const before = server.log()
  await chmod(key, 0o640)
  await refuses(alice.datasets.upstreams.pull('data'), 'FORBIDDEN', /Others can read.*chmod 600/)
  await chmod(key, 0o600)
  await chmod(hosts, 0o666)
  await refuses(alice.datasets.upstreams.pull('data'), 'FORBIDDEN', /Others can write.*chmod 600/)
  assert.equal(server.log(), before, 'nobody was called')
  await chmod(hosts, 0o600)
  await alice.datasets.upstreams.pull('data')
})

test('a host whose key has changed gets nothing until its owner says so', async (t) => {
  const { alice, repository, server } = await trustedStory(t)
  await repository.commit({ a: '1' })
  await alice.datasets.upstreams.pull('data')
  const second = await repository.commit({ a: '2' })
  await server.replaceHostKey()
  const fingerprint = await server.fingerprint()
  const refusal = await refuses(
    alice.datasets.upstreams.pull('data'),
    'UPSTREAM_FAILED',
    /is not the one that this node trusts/,
  )
  assert(refusal.includes(fingerprint), refusal)
  assert.equal((await alice.datasets.upstreams.hostKeys('data'))[0]?.trusted, 'other')
  await alice.datasets.upstreams.trust('data', fingerprint)
  assert.equal((await alice.datasets.upstreams.pull('data')).commit, second)
  const hosts = await readFile(join(alice.directory, 'ssh', 'known_hosts'), 'utf8')
  assert.equal(hosts.trim().split('\n').length, 1, 'the old key is trusted no longer')
})

test('nothing of the user is used: no agent, no programs, no settings of the environment', async (t) => {
  const { alice, server, repository } = await story(t)
  await repository.commit({ a: '1' })
  const { upstreams } = alice.datasets
  await upstreams.makeKey()
  await upstreams.trust('data', await server.fingerprint())
  const directory = await temporaryDirectory(t)
  const [agent, key, program] = ['agent', 'key', 'program'].map((name) => join(directory, name)) as [
    string,
    string,
    string,
  ]
  const running = spawnProgram(t, 'ssh-agent', ['-D', '-a', agent])
  await eventually(() => running.stdout().includes('SSH_AUTH_SOCK'), 'the agent never started')
  await runProgram(t, 'ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', key])
  await runProgram(t, 'ssh-add', ['-q', key], { env: { SSH_AUTH_SOCK: agent } })
  // The host would let in whoever comes with the agent's key.
  await server.admit(await readFile(`${key}.pub`, 'utf8'))
  await writeFile(program, `#!/bin/sh\ntouch ${directory}/called\nexec ssh "$@"\n`, { mode: 0o755 })
  const set = { SSH_AUTH_SOCK: agent, GIT_SSH: program, GIT_SSH_COMMAND: program, SSH_ASKPASS: program }
  const before = Object.keys(set).map((name) => [name, process.env[name]] as const)
  t.after(() => {
    for (const [name, value] of before) {
      if (value === undefined) delete process.env[name]
      else process.env[name] = value
    }
  })
  Object.assign(process.env, set)
  await refuses(upstreams.pull('data'), 'UPSTREAM_FAILED', /Permission denied/)
  assert(!(await readdir(directory)).includes('called'))
})

test('trees that break the rules of paths, and submodules, stay outside', async (t) => {
  const { alice, repository } = await trustedStory(t)
  const blob = async (text: string) => {
    const file = join(repository.root, 'blob')
    await writeFile(file, text)
    return repository.git('hash-object', '-w', file)
  }
  /** A commit whose one directory holds these entries, as no git client would make it. */
  const hostile = async (entries: readonly (readonly [mode: string, name: string, oid: string])[]) => {
    const bytes = entries.map(([mode, name, oid]) =>
      Buffer.concat([Buffer.from(`${mode} ${name}\0`), Buffer.from(oid, 'hex')]),
    )
    const file = join(repository.root, 'tree')
    await writeFile(file, Buffer.concat(bytes))
    const inner = await repository.git('hash-object', '-t', 'tree', '--literally', '-w', file)
    await writeFile(file, Buffer.concat([Buffer.from('40000 sub\0'), Buffer.from(inner, 'hex')]))
    const tree = await repository.git('hash-object', '-t', 'tree', '--literally', '-w', file)
    const commit = await repository.git('commit-tree', '-m', 'hostile', tree)
    await repository.git('update-ref', 'refs/heads/main', commit)
  }
  const content = await blob('#!/bin/sh\n')
  const pull = () => alice.datasets.upstreams.pull('data')
  await hostile([['100644', '.git', content]])
  await refuses(pull(), 'PACK_REJECTED', /hasDotgit/)
  await hostile([['100644', '..', content]])
  await refuses(pull(), 'PACK_REJECTED', /hasDotdot/)
  await hostile([['100644', 'con.txt', content]])
  await refuses(pull(), 'PATH_UNSAFE', /"con\.txt" names a device/)
  await hostile([['160000', 'other', 'a'.repeat(40)]])
  await refuses(pull(), 'PATH_UNSAFE', /"sub\/other" is a submodule/)
  assert.deepEqual((await alice.datasets.show('data')).branches, [])
  assert.deepEqual(await readdir(join(alice.directory, 'datasets', '.quarantine')), [])
  const repositoryHere = await alice.datasets.repository('data')
  assert.deepEqual(await readdir(join(repositoryHere.path, 'objects', 'pack')), [])
})

test('a rewritten upstream moves nothing until its branch here is reset, nor does one that is gone', async (t) => {
  const { alice, repository, url } = await trustedStory(t)
  const first = await repository.commit({ a: '1' })
  await alice.datasets.upstreams.pull('data')
  const other = await repository.rewrite({ a: '2' })
  const refusal = await refuses(alice.datasets.upstreams.pull('data'), 'NOT_FAST_FORWARD', /was rewritten/)
  assert(refusal.includes(`maoctl dataset reset data --step upstream --to ${other}`), refusal)
  const [branch] = (await alice.datasets.show('data')).branches
  assert.equal(branch?.commit, first)
  const { datasets } = alice
  await datasets.reset({ dataset: 'data', step: 'upstream', to: other, reason: 'the host said so' })
  assert.equal((await datasets.upstreams.pull('data')).commit, other)

  await alice.datasets.upstreams.set('data', { url: `${url}-gone`, branch: 'main' })
  await refuses(
    alice.datasets.upstreams.pull('data'),
    'UPSTREAM_FAILED',
    /does not appear to be a git repository/,
  )
})

test('a connection that is cut in the middle of the pack moves nothing', async (t) => {
  const { alice, repository, server, url } = await trustedStory(t)
  await repository.commit({ noise: Buffer.from(crypto.getRandomValues(new Uint8Array(60_000))) })
  // Between the node and the host stands somebody who hangs up.
  let left = 20_000
  const cutter = createServer((socket) => {
    const host = connect(server.port, '127.0.0.1')
    for (const end of [socket, host]) end.on('error', () => undefined)
    socket.pipe(host)
    host.on('data', (bytes) => {
      left -= bytes.length
      if (left > 0) socket.write(bytes)
      else socket.destroy()
    })
    socket.on('close', () => host.destroy())
    host.on('close', () => socket.destroy())
  })
  cutter.listen(0, '127.0.0.1')
  await eventually(() => cutter.listening, 'the cutter never listened')
  t.after(() => cutter.close())
  const { port } = cutter.address() as { port: number }
  const { upstreams } = alice.datasets
  await upstreams.set('data', { url: url.replace(`:${server.port}/`, `:${port}/`), branch: 'main' })
  await upstreams.trust('data', await server.fingerprint())
  await refuses(upstreams.pull('data'), 'UPSTREAM_FAILED', /was cut; nothing has moved/)
  assert.deepEqual((await alice.datasets.show('data')).branches, [])
  assert.deepEqual(await readdir(join(alice.directory, 'datasets', '.quarantine')), [])
  left = Number.POSITIVE_INFINITY
  await upstreams.pull('data')
})

test("another member's record opens no connection until this node's owner agrees to its very address", async (t) => {
  const { alice, repository, server } = await trustedStory(t)
  const first = await repository.commit({ a: '1' })
  await alice.datasets.upstreams.pull('data')
  const bob = await joinDatasetNode(t, alice, 'bob')
  await eventually(() => bob.datasets.list().length === 1, 'bob never heard of the dataset')
  const { upstreams } = bob.datasets
  const named = await upstreams.show('data', { resolve: true })
  assert.deepEqual([named.namedBy, named.agreed, named.addresses], ['alice', false, ['127.0.0.1']])
  const before = server.log()
  await refuses(upstreams.pull('data'), 'FORBIDDEN', /nobody on this node has agreed/)
  await refuses(upstreams.push('data'), 'FORBIDDEN', /upstream pull data/)
  await refuses(
    upstreams.pull('data', { url: 'ssh://git@example.org/x' }),
    'CONFLICT',
    /is ssh:\/\/.*127\.0\.0\.1/,
  )
  await refuses(
    upstreams.set('data', { url: 'https://example.org/x', branch: 'main' }),
    'FORBIDDEN',
    /alice's/,
  )
  assert.equal(server.log(), before, 'nobody was called')

  await server.admit(await upstreams.makeKey())
  await upstreams.trust('data', await server.fingerprint())
  const pulled = await upstreams.pull('data', { url: named.url })
  assert.deepEqual([pulled.branch, pulled.commit, pulled.initial], ['upstream-bob', first, false])
  await upstreams.follow('data', { everyMs: 10_000 })

  // The record moves to another branch or another place: the agreement was for the old one.
  await alice.datasets.upstreams.set('data', { url: named.url, branch: 'other' })
  await bob.sync.pullNow(alice.identity.peerId)
  const moved = await upstreams.show('data')
  assert.deepEqual(
    [moved.agreed, moved.agreedTo?.branch, moved.follow?.stopped !== undefined],
    [false, 'main', true],
  )
  await refuses(upstreams.pull('data'), 'FORBIDDEN', /the record names the branch other now/)
})
