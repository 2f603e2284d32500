import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { z } from 'zod'
import { NodeError } from '../../src/base/errors.ts'
import { ApiClient, findNode } from '../../src/cli/client.ts'
import { nodeProof } from '../../src/identity/access-token.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

async function serve(t: TestContext, answer: RequestListener): Promise<string> {
  const server = createServer(answer)
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
  t.after(() => server.close())
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** Listens where a node of this token would, and answers only what proves it; `heard` is all that it was ever sent. */
async function serveProof(t: TestContext, token: string | undefined) {
  const heard: string[] = []
  const url = await serve(t, (request, response) => {
    heard.push(JSON.stringify([request.url, request.headers]))
    const challenge = new URL(request.url ?? '', 'http://x').searchParams.get('challenge') ?? ''
    const proof =
      token === undefined ? {} : { proof: nodeProof(token, challenge, request.headers.host ?? '') }
    response.setHeader('content-type', 'application/json').end(JSON.stringify({ status: 'ok', ...proof }))
  })
  return { url, heard }
}

const clientOf = (url: string) => new ApiClient({ url, token: 'the-token', wayOut: 'start one' })

test('the node that runs on a data directory is found by it', async (t) => {
  const data = await temporaryDirectory(t)
  await assert.rejects(findNode({ data }), (error: NodeError) => {
    assert.equal(error.code, 'NODE_UNREACHABLE')
    assert.match(error.message, /maoctl instance start --data/)
    return true
  })
  const node = await serveProof(t, 'secret')
  await writeFile(join(data, 'api.json'), JSON.stringify({ url: node.url, pid: 1 }))
  await assert.rejects(findNode({ data }), { code: 'UNAUTHORIZED' })
  await writeFile(join(data, 'api-token'), 'secret\n')
  const { url, token } = await findNode({ data })
  assert.deepEqual({ url, token }, { url: node.url, token: 'secret' })
  await writeFile(join(data, 'api.json'), 'torn')
  await assert.rejects(findNode({ data }), { code: 'NODE_UNREACHABLE' })
})

test("the token of this machine's node never goes to another machine", async (t) => {
  const data = await temporaryDirectory(t)
  await writeFile(join(data, 'api-token'), 'secret\n')
  const own = await serveProof(t, 'secret')
  assert.equal((await findNode({ data, url: `${own.url}/` })).token, 'secret')
  for (const url of [
    'http://node.example.org:8080',
    'http://127.0.0.1.evil.com',
    'http://localhost@evil.com',
  ]) {
    await assert.rejects(findNode({ data, url }), { code: 'UNAUTHORIZED' }, url)
  }
  const given = await findNode({ data, url: 'http://node.example.org:8080', token: 'theirs' })
  assert.equal(given.token, 'theirs')
  for (const url of ['node.example.org', 'file:///etc/passwd', 'http://']) {
    await assert.rejects(findNode({ data, url, token: 'x' }), { code: 'INVALID_INPUT' }, url)
  }
})

test('who listens where a killed node did is sent no token', async (t) => {
  const data = await temporaryDirectory(t)
  await writeFile(join(data, 'api-token'), 'secret\n')
  const node = await serveProof(t, 'secret')
  for (const known of [undefined, 'another']) {
    const taker = await serveProof(t, known)
    await writeFile(join(data, 'api.json'), JSON.stringify({ url: taker.url, pid: 999_999 }))
    for (const wanted of [{ data }, { data, token: 'theirs' }, { data, url: taker.url }]) {
      await assert.rejects(findNode(wanted), { code: 'NODE_UNREACHABLE', message: /does not prove/ })
    }
    assert.equal(taker.heard.length, 3)
    assert.doesNotMatch(taker.heard.join(), /secret|theirs|authorization/i)
  }
  // Nor one who hands the challenge on: the node proves what it is under its own name alone.
  const relay = await serve(t, async (request, response) => {
    response.end(await (await fetch(node.url + (request.url ?? ''))).text())
  })
  await assert.rejects(findNode({ data, url: relay }), {
    code: 'NODE_UNREACHABLE',
    message: /does not prove/,
  })
})

test('a problem of the node is the same error here', async (t) => {
  const url = await serve(t, (_request, response) => {
    response.writeHead(404, { 'content-type': 'application/problem+json' })
    const problem = {
      type: 'x',
      title: 'x',
      status: 404,
      detail: 'No tool is named y',
      code: 'TOOL_NOT_FOUND',
    }
    response.end(JSON.stringify({ ...problem, data: { name: 'y' } }))
  })
  await assert.rejects(clientOf(url).get('/tools/y', z.unknown()), (error: NodeError) => {
    assert.ok(error instanceof NodeError)
    assert.deepEqual(
      [error.code, error.message, error.data],
      ['TOOL_NOT_FOUND', 'No tool is named y', { name: 'y' }],
    )
    return true
  })
})

test('what is no node, is gone, or speaks otherwise is told apart', async (t) => {
  const other = await serve(t, (_request, response) => response.writeHead(404).end('nginx'))
  await assert.rejects(clientOf(other).get('/x', z.unknown()), { code: 'NODE_UNREACHABLE' })
  await assert.rejects(clientOf('http://127.0.0.1:1').get('/x', z.unknown()), (error: NodeError) => {
    assert.equal(error.code, 'NODE_UNREACHABLE')
    assert.match(error.message, /start one/)
    return true
  })
  const newer = await serve(t, (_request, response) => response.end('{"a":"text"}'))
  await assert.rejects(clientOf(newer).get('/x', z.object({ a: z.number() })), { code: 'UNSUPPORTED' })
  const html = await serve(t, (_request, response) => response.end('<html>'))
  await assert.rejects(clientOf(html).get('/x', z.unknown()), { code: 'NODE_UNREACHABLE' })
})

test('a token is not carried along a redirect', async (t) => {
  const asked: (string | undefined)[] = []
  const target = await serve(t, (request, response) => {
    asked.push(request.headers.authorization)
    response.end('{}')
  })
  const url = await serve(t, (_request, response) => response.writeHead(302, { location: target }).end())
  await assert.rejects(clientOf(url).get('/x', z.unknown()), { code: 'NODE_UNREACHABLE' })
  assert.deepEqual(asked, [])
})

test('a stream that is cut is told as such, and letters are never torn', async (t) => {
  const bytes = Buffer.from('größer\n')
  const url = await serve(t, async (request, response) => {
    response.writeHead(200, { 'content-type': 'text/plain' })
    response.write(bytes.subarray(0, 3))
    await new Promise((passed) => setTimeout(passed, 20))
    response.write(bytes.subarray(3), () => {
      if (request.url?.endsWith('whole') === true) response.end()
      else response.destroy()
    })
  })
  let text = ''
  for await (const part of clientOf(url).stream('/whole')) text += part
  assert.equal(text, 'größer\n')
  const cut = async () => {
    for await (const part of clientOf(url).stream('/cut')) text += part
  }
  await assert.rejects(cut(), { code: 'STREAM_CLOSED' })
})
