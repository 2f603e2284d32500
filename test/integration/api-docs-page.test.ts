import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createContext, runInContext } from 'node:vm'
import { DOCS_PAGE, DOCS_SCRIPT } from '../../src/web/docs-page.ts'
import { askRaw, startTestApi } from '../support/api.ts'
import { eventually } from '../support/eventually.ts'
import { FakeDocument } from '../support/fake-document.ts'

test("the reference shows every route with its scope, from the node alone and with an observer's token", async (t) => {
  const { node, url, ask } = await startTestApi(t, 'alice')
  const { token } = await node.tokens.create({ name: 'reader', scope: 'observer' })
  const served = await askRaw(`${url}/docs`)
  assert.equal(served.status, 200)
  assert.match(String(served.headers['content-security-policy']), /default-src 'none'/)
  assert.doesNotMatch(DOCS_PAGE, /https?:|<style| style=| on\w+=/)

  const document = new FakeDocument(DOCS_PAGE)
  const stored = new Map<string, string>()
  const session = { getItem: (key: string) => stored.get(key) ?? null, setItem: stored.set.bind(stored) }
  const asked: string[] = []
  const world = {
    document,
    sessionStorage: session,
    AbortSignal,
    TextDecoder,
    fetch: (path: string, init: RequestInit) => {
      asked.push(path)
      const { cache: _, ...rest } = init
      return fetch(url + path, rest)
    },
  }
  runInContext(DOCS_SCRIPT, createContext(world))
  document.at('token').value = 'not-a-token'
  document.at('sign-in').fire('submit')
  await eventually(() => document.at('status').textContent.includes('not right'), 'the refusal is not shown')
  document.at('token').value = token
  document.at('sign-in').fire('submit')
  await eventually(() => document.at('reference').textContent !== '', 'the reference never came')

  const shown = document.at('reference').textContent
  const told = JSON.parse((await ask('GET', '/api/v1/openapi.json')).body) as {
    paths: Record<string, object>
  }
  for (const [path, operations] of Object.entries(told.paths)) {
    for (const method of Object.keys(operations))
      assert(shown.includes(`${method.toUpperCase()} ${path}`), path)
  }
  assert.match(shown, /POST \/api\/v1\/tokens .* · admin/)
  assert.match(shown, /GET \/healthz .* · no token/)
  const headings = [...document.at('reference').all()].flatMap(({ tag, textContent }) => {
    return tag === 'h2' ? [textContent] : []
  })
  assert.deepEqual(
    headings.filter((heading) => !/^[a-z-]+$/.test(heading)),
    ["The predecessor's routes", 'Schemas'],
  )
  assert.ok(
    ['health', 'hub', 'datasets'].every((heading) => headings.includes(heading)),
    headings.join(),
  )
  assert.deepEqual(new Set(asked), new Set(['/api/v1/openapi.json']))
})
