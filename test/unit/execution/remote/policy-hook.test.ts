import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { suite, test } from 'node:test'
import { silentLogger } from '../../../../src/base/logger.ts'
import { PolicyHook } from '../../../../src/execution/remote/policy-hook.ts'
import { remoteSettingsSchema } from '../../../../src/execution/remote/settings.ts'

const question = {
  dry: false,
  member: { peer: 'P', name: 'alice', role: 'member' },
  request: { request: 'r-1', pipeline: 'p', steps: [], tools: {} },
}

function hook(settings: {
  command?: string[]
  url?: string
  failMode?: 'deny' | 'allow'
  timeoutMs?: number
}) {
  const { hook: parsed } = remoteSettingsSchema.parse({ hook: { timeoutMs: 2_000, ...settings } })
  return new PolicyHook(parsed, silentLogger).ask(question)
}
const sh = (script: string) => ({ command: ['sh', '-c', script] })
const unavailable = { code: 'POLICY_UNAVAILABLE' }

suite('the hook of a host', () => {
  test('where there is none, it says yes; there is either a program or an address', async () => {
    assert.deepEqual(await hook({}), { allow: true })
    assert.equal(
      remoteSettingsSchema.safeParse({ hook: { url: 'http://x/', command: ['y'] } }).success,
      false,
    )
    assert.equal(remoteSettingsSchema.safeParse({ hook: { url: 'file:///etc/passwd' } }).success, false)
  })

  test('a program reads the request and answers, with limits or a reason', async () => {
    const limits = `grep -q '"name":"alice"' && echo '{"allow": true, "limits": {"cpus": 0.5}}'`
    assert.deepEqual(await hook(sh(limits)), { allow: true, limits: { cpus: 0.5 } })
    assert.deepEqual(await hook(sh(`echo '{"allow": false, "reason": "no"}'`)), {
      allow: false,
      reason: 'no',
    })
    // Of the node's environment, which may hold secrets, it gets nothing but where programs are.
    process.env.MAO_SECRET_TEST = 'x'
    const leaks = `test -z "$MAO_SECRET_TEST" && echo '{"allow": true}'`
    assert.deepEqual(await hook(sh(leaks)), { allow: true })
    delete process.env.MAO_SECRET_TEST
  })

  test('one that ends badly has not answered, which counts as the settings say', async () => {
    const script = `echo '{"allow": true}'; exit 1`
    await assert.rejects(hook(sh(script)), unavailable)
    assert.deepEqual(await hook({ ...sh(script), failMode: 'allow' }), { allow: true })
  })

  for (const [what, script] of [
    ['talks nonsense', 'echo yes'],
    ['forgets to answer', `echo '{"reason": "x"}'`],
    ['asks for limits that are none', `echo '{"allow": true, "limits": {"cpus": -1}}'`],
    ['asks for limits that are not known', `echo '{"allow": true, "limits": {"memory": 1}}'`],
    ['talks without end', 'yes'],
  ] as const) {
    test(`what one says that ${what} is no yes, whatever the settings say of silence`, async () => {
      await assert.rejects(hook({ ...sh(script), failMode: 'allow' }), unavailable)
    })
  }

  for (const [what, script] of [
    ['a reason that is too long', `printf '{"allow": false, "reason": "%01500d"}' 0`],
    ['a reason that is none', `echo '{"allow": false, "reason": null}'`],
    ['limits that are none', `echo '{"allow": false, "limits": {"cpus": 0}}'`],
    ['a bad end', `echo '{"allow": false}'; exit 1`],
    ['no end', `echo '{"allow": false}'; exec sleep 30`],
  ] as const) {
    test(`a no with ${what} is a no`, async () => {
      const answer = await hook({ ...sh(script), failMode: 'allow', timeoutMs: 500 })
      assert.equal(answer.allow, false)
      assert((answer.reason ?? '').length <= 1_000)
    })
  }

  test('one that is late is ended, and one that is not there is none', async () => {
    await assert.rejects(hook({ ...sh('exec sleep 30'), timeoutMs: 100 }), unavailable)
    await assert.rejects(hook({ command: ['/nonexistent/hook'] }), unavailable)
  })

  test('an address is asked once, and wherever it would send us we do not go', async (t) => {
    const paths: string[] = []
    const server = createServer((request, response) => {
      paths.push(request.url ?? '')
      if (request.url === '/moved') response.writeHead(302, { location: '/secret' }).end()
      else if (request.url === '/broken') response.writeHead(500).end()
      else if (request.url === '/forbidden') response.writeHead(403).end('{"allow": true}')
      else if (request.url === '/refused') response.writeHead(500).end('{"allow": false, "reason": "no"}')
      else response.end('{"allow": true}')
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    t.after(() => server.close())
    const at = (path: string) => `http://127.0.0.1:${(server.address() as AddressInfo).port}${path}`
    assert.deepEqual(await hook({ url: at('/ask') }), { allow: true })
    await assert.rejects(hook({ url: at('/moved') }), unavailable)
    await assert.rejects(hook({ url: at('/broken') }), unavailable)
    const failMode = 'allow' as const
    assert.deepEqual(await hook({ url: at('/broken'), failMode }), { allow: true })
    await assert.rejects(hook({ url: at('/moved'), failMode }), unavailable)
    assert.deepEqual(await hook({ url: at('/forbidden'), failMode }), { allow: false })
    assert.deepEqual(await hook({ url: at('/refused'), failMode }), { allow: false, reason: 'no' })
    assert.equal(paths.includes('/secret'), false)
  })
})
