import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import type { UpstreamView } from '../../src/api/upstream-views.ts'
import { problemIn, startTestApi } from '../support/api.ts'
import { maoctlHere, tellJson } from '../support/maoctl.ts'
import { startSshServer } from '../support/ssh-server.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { upstreamRepository } from '../support/upstream-repository.ts'

test('a person sets an upstream up, looks at the key of its host, and works with it', async (t) => {
  const repository = await upstreamRepository(t)
  const server = await startSshServer(t)
  const first = await repository.commit({ 'a.txt': '1\n' })
  const { node, ask } = await startTestApi(t, 'alice')
  await node.createFederation({ name: 'lab' })
  const data = node.config.dataDirectory
  const tell = <T>(...words: string[]) => tellJson<T>(data, 'dataset', 'upstream', ...words)
  const say = (...words: string[]) => maoctlHere(['--data', data, 'dataset', 'upstream', ...words])

  await tellJson(data, 'dataset', 'add', '--name', 'data')
  assert.equal((await say('show', 'data')).exit, 3)
  const url = `ssh://${server.user}@127.0.0.1:${server.port}${repository.path}`
  const refused = await say('set', 'data', url.replace('@', ':s3cret@'))
  assert.equal(refused.exit, 2)
  assert.doesNotMatch(refused.stderr, /s3cret/)
  assert.match(refused.stderr, /git\.credentialsFile/)
  assert.equal((await tell<UpstreamView>('set', 'data', url)).agreed, true)

  const { publicKey } = await tell<{ publicKey: string }>('key')
  await server.admit(publicKey)
  const fingerprint = await server.fingerprint()
  const unknown = await say('pull', 'data')
  assert.equal(unknown.exit, 6)
  assert.match(
    unknown.stderr,
    new RegExp(`upstream trust data --fingerprint ${fingerprint.replaceAll('+', '\\+')}`),
  )
  const blind = await say('--yes', 'trust', 'data')
  assert.equal(blind.exit, 2, 'nobody has looked at the key')
  assert(blind.stderr.includes(fingerprint))
  const unattended = await say('trust', 'data')
  assert.match(unattended.stderr, /Nobody has compared the key; add --fingerprint SHA256:/)
  const other = await say('trust', 'data', '--fingerprint', `SHA256:${'a'.repeat(43)}`)
  assert.equal(other.exit, 4)
  const [, printed = ''] = /accept it with "maoctl dataset upstream ([^"]*)"/.exec(unknown.stderr) ?? []
  const trusted = await say(...printed.split(' '))
  assert.equal(trusted.exit, 0, trusted.stderr)

  const pulled = await tell<{ commit: string; initial: boolean }>('pull', 'data')
  assert.deepEqual([pulled.commit, pulled.initial], [first, true])
  const pushed = await say('push', 'data')
  assert.match(pushed.stdout, /main .* up-to-date/)
  assert.equal((await say('follow', 'data', '--every', '1h', '--push')).exit, 0)
  const shown = await say('show', 'data')
  for (const words of [url, '127.0.0.1', 'upstream-alice', 'every 1 h 0 min, with a push']) {
    assert(shown.stdout.includes(words), `${words} is not in ${shown.stdout}`)
  }
  assert.equal((await say('unfollow', 'data')).exit, 0)
  assert.equal((await say('--yes', 'remove', 'data')).exit, 0)
  assert.equal(problemIn(await ask('POST', '/api/v1/datasets/data/upstream/pull', {})).code, 'NOT_FOUND')
})

test('the settings of the node say where keys and credentials are', async (t) => {
  const directory = await temporaryDirectory(t)
  const credentialsFile = join(directory, 'credentials')
  await writeFile(credentialsFile, 'https://me:s3cret@127.0.0.1:9\n', { mode: 0o644 })
  const sshDirectory = join(directory, 'keys')
  const { node, ask } = await startTestApi(t, 'alice', { git: { sshDirectory, credentialsFile } })
  await node.createFederation({ name: 'lab' })
  assert.equal(problemIn(await ask('GET', '/api/v1/upstream-key')).code, 'NOT_FOUND')
  const { publicKey } = JSON.parse((await ask('POST', '/api/v1/upstream-key', {})).body) as {
    publicKey: string
  }
  assert.match(publicKey, /^ssh-ed25519 \S+ mao-alice$/)
  assert.equal(JSON.parse((await ask('GET', '/api/v1/upstream-key')).body).publicKey, publicKey)
  await ask('POST', '/api/v1/datasets', { name: 'data' })
  const named = await ask('PUT', '/api/v1/datasets/data/upstream', { url: 'https://127.0.0.1:9/data.git' })
  assert.equal(named.status, 200, named.body)
  const problem = problemIn(await ask('POST', '/api/v1/datasets/data/upstream/pull', {}))
  assert.equal(problem.code, 'FORBIDDEN')
  assert.match(problem.detail, /chmod 600/)
  for (const url of [
    'file:///etc/passwd',
    'ext::sh -c true',
    'ssh://-oProxyCommand=x/y',
    'http://example.org/data',
  ]) {
    const { status } = await ask('PUT', '/api/v1/datasets/data/upstream', { url })
    assert([400, 403].includes(status), url)
  }
  const tooOften = await ask('POST', '/api/v1/datasets/data/upstream/follow', { everyMs: 1 })
  assert.equal(problemIn(tooOften).code, 'INVALID_INPUT')
})
