import { type IncomingHttpHeaders, request } from 'node:http'
import { text } from 'node:stream/consumers'
import type { TestContext } from 'node:test'
import { type Problem, problemSchema } from '../../src/api/problems.ts'
import { ApiServer } from '../../src/api/server.ts'
import { silentLogger } from '../../src/base/logger.ts'
import type { ConfigInput } from '../../src/config.ts'
import { openToken } from '../../src/identity/access-token.ts'
import type { Node } from '../../src/node.ts'
import { startTestNode } from './quiet-node.ts'

export interface Asked {
  method?: string
  headers?: Record<string, string>
  body?: string | Buffer
}

export interface Answer {
  status: number
  headers: IncomingHttpHeaders
  body: string
}

/** A whole node with its API on a free port. */
export interface TestApi {
  node: Node
  api: ApiServer
  url: string
  token: string
  /** Asks with the token; `value` becomes a JSON body. */
  ask(method: string, path: string, value?: unknown): Promise<Answer>
}

export async function startTestApi(t: TestContext, name: string, config: ConfigInput = {}): Promise<TestApi> {
  const node = await startTestNode(t, name, { config })
  const api = new ApiServer({ node, log: silentLogger })
  t.after(() => api.stop())
  await api.start()
  const { url } = api
  const token = await openToken(node.config.dataDirectory)
  const ask = (method: string, path: string, value?: unknown) => {
    const headers: Record<string, string> = { authorization: `Bearer ${token}` }
    if (value === undefined) return askRaw(url + path, { method, headers })
    headers['content-type'] = 'application/json'
    return askRaw(url + path, { method, headers, body: JSON.stringify(value) })
  }
  return { node, api, url, token, ask }
}

/** A request exactly as it is written here: no header and no spelling of the path is mended on the way. */
export function askRaw(url: string, { method = 'GET', headers = {}, body }: Asked = {}): Promise<Answer> {
  const { origin, hostname, port } = new URL(url)
  const path = url.slice(origin.length)
  return new Promise((resolve, reject) => {
    const asking = request({ hostname, port, path, method, headers, timeout: 20_000 }, (response) => {
      const { statusCode: status = 0 } = response
      text(response).then((said) => resolve({ status, headers: response.headers, body: said }), reject)
    })
    asking.once('timeout', () => asking.destroy(new Error(`${method} ${url} was not answered in 20 s`)))
    asking.once('error', reject)
    asking.end(body)
  })
}

/** The problem that an answer tells; fails when it tells none, or another status than its own. */
export function problemIn(answer: Answer): Problem {
  if (answer.headers['content-type'] !== 'application/problem+json') {
    throw new Error(`${answer.status} ${answer.headers['content-type']}: ${answer.body}`)
  }
  const problem = problemSchema.parse(JSON.parse(answer.body))
  if (problem.status !== answer.status) throw new Error(`${answer.status} tells of ${problem.status}`)
  return problem
}
