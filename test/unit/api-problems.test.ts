import assert from 'node:assert/strict'
import { Writable } from 'node:stream'
import { test } from 'node:test'
import { Hono } from 'hono'
import { problemResponse, problemSchema, STATUS_OF } from '../../src/api/problems.ts'
import { type ErrorCode, NodeError } from '../../src/base/errors.ts'
import { createLogger, silentLogger } from '../../src/base/logger.ts'
import { EXIT_OF } from '../../src/cli/exit-codes.ts'

/** An app in which every request ends with `error`. */
function failing(error: unknown, log = silentLogger): Hono {
  const app = new Hono()
  app.onError((thrown, c) => problemResponse(thrown, c, log))
  app.get('*', () => {
    throw error
  })
  return app
}

test('every code is told as a problem with its status and its data', async () => {
  for (const [code, status] of Object.entries(STATUS_OF) as [ErrorCode, number][]) {
    if (code === 'INTERNAL') continue
    const cause = new Error('the cause stays in the log')
    const error = new NodeError(code, 'A sentence for people', { name: 'x' }, { cause })
    const response = await failing(error).request('/a')
    assert.equal(response.status, status, code)
    assert.equal(response.headers.get('content-type'), 'application/problem+json')
    const text = await response.text()
    assert.doesNotMatch(text, /the cause|\.ts:/)
    const problem = problemSchema.parse(JSON.parse(text))
    assert.deepEqual(
      { code: problem.code, status: problem.status, detail: problem.detail, data: problem.data },
      { code, status, detail: 'A sentence for people', data: { name: 'x' } },
    )
    assert.match(problem.type, /^urn:mao:problem:[a-z-]+$/)
  }
})

test('a defect is told by a number that stands in the log, and never by its stack', async () => {
  const lines: string[] = []
  const sink = new Writable({
    write(chunk, _encoding, done) {
      lines.push(String(chunk))
      done()
    },
  })
  const secret = new Error('a path of the machine, /root/secret')
  const response = await failing(secret, createLogger('error', sink)).request('/a')
  assert.equal(response.status, 500)
  const text = await response.text()
  assert.doesNotMatch(text, /secret|\.ts:/)
  const { code, data } = problemSchema.parse(JSON.parse(text))
  assert.equal(code, 'INTERNAL')
  const logged = lines.find((line) => line.includes(String(data?.incident)))
  assert.match(logged ?? '', /root\/secret/)
})

test('the same codes have an exit code, and no failure ends with 0', () => {
  assert.deepEqual(Object.keys(EXIT_OF).sort(), Object.keys(STATUS_OF).sort())
  for (const [code, exit] of Object.entries(EXIT_OF)) assert.ok(exit > 0 && exit < 256, code)
  for (const [code, status] of Object.entries(STATUS_OF)) assert.ok(status >= 400 && status < 600, code)
})
