import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { digestSchema, type EntryDetail, entryDetailSchema } from '../../src/api/registry-views.ts'
import { type Answer, startTestApi, type TestApi } from './api.ts'

/** What a tool's key holds. */
export const TOOL = { image: 'busybox:1' }

/** An API whose node has founded a federation. */
export async function founder(t: TestContext): Promise<TestApi> {
  const api = await startTestApi(t, 'alice')
  await api.node.createFederation({ name: 'lab' })
  return api
}

export function told<T>(schema: { parse(value: unknown): T }, answer: Answer): T {
  assert.equal(answer.status, 200, answer.body)
  return schema.parse(JSON.parse(answer.body))
}

export async function put(
  { ask }: TestApi,
  key: string,
  value: object,
  more: object = {},
): Promise<EntryDetail> {
  return told(entryDetailSchema, await ask('PUT', '/api/v1/registry/entry', { key, value, ...more }))
}

export async function get({ ask }: TestApi, key: string, query = ''): Promise<EntryDetail> {
  return told(
    entryDetailSchema,
    await ask('GET', `/api/v1/registry/entry?key=${encodeURIComponent(key)}${query}`),
  )
}

export async function digestOf({ ask }: TestApi, query = '') {
  return told(digestSchema, await ask('GET', `/api/v1/registry/digest${query}`))
}
