import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { Etcd3 } from 'etcd3'
import { silentLogger } from '../../src/base/logger.ts'
import { EtcdSurface, type EtcdSurfaceParts } from '../../src/etcd/surface.ts'
import { openToken, tokenCheck } from '../../src/identity/access-token.ts'
import { runProgram } from '../support/child-process.ts'
import { RawEtcd } from '../support/etcd-raw.ts'
import { startKeyValueNode } from '../support/key-value-node.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

type Door = Partial<Pick<EtcdSurfaceParts, 'host' | 'requireToken' | 'tls'>>

async function serve(t: TestContext, door: Door) {
  const { registry, members, identity } = await startKeyValueNode(t)
  const token = await openToken(await temporaryDirectory(t))
  const where = { host: '127.0.0.1', port: 0, authenticate: tokenCheck(token), ...door }
  const surface = new EtcdSurface({ registry, members, self: identity.peerId, ...where, log: silentLogger })
  await surface.start()
  t.after(() => surface.stop())
  const port = surface.address().split(':').at(-1)
  const ctl = (...args: string[]) => {
    return runProgram(t, 'etcdctl', [`--endpoints=127.0.0.1:${port}`, ...args], { env: { ETCDCTL_API: '3' } })
  }
  return { token, port, ctl, registry }
}

/** A certificate for loopback. @returns where it stands, and what is in it */
async function certificate(t: TestContext) {
  const directory = await temporaryDirectory(t)
  const [certFile, keyFile] = [join(directory, 'cert.pem'), join(directory, 'key.pem')]
  const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  const names = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1']
  const files = ['-keyout', keyFile, '-out', certFile]
  execFileSync('openssl', ['req', '-x509', ...kind, ...names, ...files], { stdio: 'ignore' })
  return { certFile, tls: { cert: await readFile(certFile), key: await readFile(keyFile) } }
}

test('on loopback nobody is asked who they are, and logging in is told to be needless', async (t) => {
  const { ctl, token, port, registry } = await serve(t, {})
  assert.equal((await ctl('put', '/tools/a', 'one')).stdout, 'OK\n')
  assert(registry.get('/tools/a'))
  const etcd = new RawEtcd(`127.0.0.1:${port}`)
  t.after(() => etcd.close())
  const logIn = etcd.call('Auth', 'Authenticate', { name: 'me', password: token })
  await assert.rejects(logIn, { code: 9, details: 'etcdserver: authentication is not enabled' })
  // etcdctl takes that for an answer and goes on without.
  assert.equal((await ctl('--user', `me:${token}`, 'get', '/tools/a')).stdout, '/tools/a\none\n')
})

test('where a token is asked for, it opens every method, and without it none', async (t) => {
  const { ctl, token, port, registry } = await serve(t, { requireToken: true })
  const refused = async (words: RegExp, ...args: string[]) => {
    const { code, stderr } = await ctl(...args)
    assert.notEqual(code, 0)
    assert.match(stderr, words)
  }
  await refused(/etcdserver: user name is empty/, 'get', '/tools/a')
  await refused(
    /etcdserver: user name is empty/,
    'snapshot',
    'save',
    join(await temporaryDirectory(t), 'x.db'),
  )
  const failed = /etcdserver: authentication failed, invalid user ID or password/
  await refused(failed, '--user', 'me:guess', 'put', '/tools/a', 'one')
  assert.deepEqual(registry.list('/tools/'), [])
  assert.equal((await ctl('--user', `me:${token}`, 'put', '/tools/a', 'one')).stdout, 'OK\n')

  const etcd = new Etcd3({ hosts: `127.0.0.1:${port}`, auth: { username: 'me', password: token } })
  t.after(() => etcd.close())
  assert.equal(await etcd.get('/tools/a').string(), 'one')
  const watcher = await etcd.watch().key('/tools/a').create()
  await watcher.cancel()

  const ask = async (headers: Record<string, string>) => {
    const body = JSON.stringify({ key: Buffer.from('/tools/a').toString('base64') })
    const answer = await fetch(`http://127.0.0.1:${port}/v3/kv/range`, { method: 'POST', body, headers })
    return { status: answer.status, body: (await answer.json()) as { error?: string; count?: string } }
  }
  assert.equal((await ask({ authorization: token })).body.count, '1')
  assert.match((await ask({})).body.error ?? '', /user name is empty/)
  assert.match((await ask({ authorization: 'guess' })).body.error ?? '', /invalid auth token/)
})

test('beyond loopback there is TLS, and the token is asked for without a word', async (t) => {
  const { certFile, tls } = await certificate(t)
  const { ctl, token, port } = await serve(t, { host: '0.0.0.0', tls })
  const secure = [`--cacert=${certFile}`, '--user', `me:${token}`]
  assert.equal((await ctl(...secure, 'put', '/tools/a', 'one')).stdout, 'OK\n')
  assert.equal((await ctl(...secure, 'get', '/tools/a')).stdout, '/tools/a\none\n')
  assert.match((await ctl(`--cacert=${certFile}`, 'get', '/tools/a')).stderr, /user name is empty/)
  // Which of its addresses a client can reach the node does not know, and 0.0.0.0 is none.
  const members = (await ctl(...secure, 'member', 'list')).stdout
  assert.match(members, /alice/)
  assert.doesNotMatch(members, /0\.0\.0\.0/)
  assert.notEqual((await ctl('--dial-timeout=1s', '--command-timeout=2s', 'get', '/tools/a')).code, 0)
  await assert.rejects(fetch(`http://127.0.0.1:${port}/health`))
})

test('a web page can neither ask under a name of its own nor from its own origin', async (t) => {
  const { port } = await serve(t, {})
  const { request } = await import('node:http')
  const status = (headers: Record<string, string>) =>
    new Promise<number | undefined>((resolve, reject) => {
      const asked = request({ port, host: '127.0.0.1', path: '/health', headers }, (answer) => {
        answer.resume()
        resolve(answer.statusCode)
      })
      asked.on('error', reject)
      asked.end()
    })
  assert.equal(await status({}), 200)
  assert.equal(await status({ host: `localhost:${port}` }), 200)
  assert.equal(await status({ host: 'page.example' }), 403)
  assert.equal(await status({ host: `127.0.0.1.page.example:${port}` }), 403)
  assert.equal(await status({ origin: 'http://page.example' }), 403)
})
