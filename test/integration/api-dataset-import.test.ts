import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { type TestContext, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { sizeWarning } from '../../src/api/dataset-import-routes.ts'
import { importBytesMax, packBytesMax, unpackedBytesMax } from '../../src/base/limits.ts'
import { archiveOf } from '../../src/cli/archive.ts'
import { datasetsSettingsSchema } from '../../src/datasets/settings.ts'
import { askRaw, problemIn, startTestApi } from '../support/api.ts'
import { directoryOf, noise } from '../support/dataset-node.ts'
import { plainGit } from '../support/dataset-people.ts'
import { eventually } from '../support/eventually.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

const BUNDLE = 'application/x-git-bundle'

async function founded(t: TestContext, backend: 'native' | 'isomorphic' = 'native') {
  const api = await startTestApi(t, 'alice', { git: { backend } })
  await api.node.createFederation({ name: 'lab' })
  const send = (name: string, type: string, body: Buffer) => {
    const headers = { authorization: `Bearer ${api.token}`, 'content-type': type }
    return askRaw(`${api.url}/api/v1/datasets/import?name=${name}`, { method: 'POST', headers, body })
  }
  /** What is on the disk of a dataset that could not be founded. */
  const left = async () => {
    const [datasets, temporary] = await Promise.all(
      ['datasets', 'tmp'].map((name) => readdir(join(api.node.config.dataDirectory, name)).catch(() => [])),
    )
    return { repositories: datasets?.filter((name) => name.endsWith('.git')), temporary }
  }
  return { ...api, send, left }
}

/** A bundle of one commit with this tree, whatever git itself would say of it. */
async function bundleOf(t: TestContext, tree: (blob: string) => string): Promise<Buffer> {
  const directory = await temporaryDirectory(t)
  const git = (...words: string[]) => plainGit(['-C', directory, ...words])
  await git('init', '--quiet', '--bare')
  const pipe = (words: string[], input: string | Buffer) => {
    return execFileSync('git', ['-C', directory, ...words], { input })
      .toString()
      .trim()
  }
  const blob = pipe(['hash-object', '-w', '--stdin'], noise(40_000))
  const top = pipe(['mktree', '--missing'], tree(blob))
  await git('update-ref', 'refs/heads/main', await git('commit-tree', top, '-m', 'x'))
  const file = join(directory, 'bundle')
  await git('bundle', 'create', '--quiet', file, 'main')
  return readFile(file)
}

const fine = (blob: string) => `100644 blob ${blob}\tdata.bin\n`
const hostile: [string, (blob: string) => string][] = [
  ['PATH_UNSAFE', (blob) => `100644 blob ${blob}\t.GIT\n`],
  ['PATH_UNSAFE', (blob) => `100644 blob ${blob}\taux\n`],
  ['PATH_UNSAFE', () => `160000 commit ${'a'.repeat(40)}\tmodule\n`],
]

test('a bundle that does not hold founds nothing and leaves nothing, on both backends', async (t) => {
  const whole = await bundleOf(t, fine)
  for (const backend of ['native', 'isomorphic'] as const) {
    const { ask, send, left } = await founded(t, backend)
    const torn = Buffer.from(whole)
    torn[torn.length - 1_000] = (torn[torn.length - 1_000] ?? 0) ^ 0xff
    const wrong: [string, Buffer][] = [
      ['INVALID_INPUT', torn],
      ['INVALID_INPUT', whole.subarray(0, whole.length - 100)],
      ['INVALID_INPUT', whole.subarray(0, 30)],
      ['INVALID_INPUT', Buffer.concat([whole, Buffer.from('more')])],
      [
        'INVALID_INPUT',
        Buffer.from(whole.toString('latin1').replace(/^[0-9a-f]{40}/m, 'a'.repeat(40)), 'latin1'),
      ],
    ]
    for (const [code, tree] of hostile) wrong.push([code, await bundleOf(t, tree)])
    for (const [index, [code, body]] of wrong.entries()) {
      const problem = problemIn(await send('refused', BUNDLE, body))
      assert.equal(problem.code, code, `${backend} ${index}: ${problem.detail}`)
      assert.deepEqual(await left(), { repositories: [], temporary: [] }, `${backend} ${index}`)
    }
    assert.deepEqual(JSON.parse((await ask('GET', '/api/v1/datasets')).body), [])
    // The same name is free for who does it right, and is taken once.
    const both = await Promise.all([send('refused', BUNDLE, whole), send('refused', BUNDLE, whole)])
    assert.deepEqual(both.map(({ status }) => status).sort(), [201, 409])
  }
})

test('an upload that breaks off leaves nothing, whatever it was', async (t) => {
  const { url, token, ask, left } = await founded(t)
  const directory = await directoryOf(t, { 'a.bin': noise(300_000) })
  const tar = await buffer((await archiveOf(directory)).bytes)
  const bodies = {
    [BUNDLE]: await bundleOf(t, fine),
    'application/x-tar': tar,
    'application/gzip': gzipSync(tar),
  }
  for (const [type, body] of Object.entries(bodies)) {
    async function* breaking() {
      yield body.subarray(0, body.length / 2)
      throw new Error('the sender is gone')
    }
    const headers = { authorization: `Bearer ${token}`, 'content-type': type }
    const init = { method: 'POST', headers, body: ReadableStream.from(breaking()), duplex: 'half' } as const
    await assert.rejects(fetch(`${url}/api/v1/datasets/import?name=broken`, init), type)
    const isTidy = async () => JSON.stringify(await left()) === '{"repositories":[],"temporary":[]}'
    await eventually(isTidy, `a broken upload of ${type} left something behind`)
  }
  assert.deepEqual(JSON.parse((await ask('GET', '/api/v1/datasets')).body), [])
})

test('what is too large to be fetched in one go is said to be so', () => {
  const shared = { name: 'data', policy: 'shared' }
  // Whatever may be imported, and may be kept where nothing is set, can be copied.
  assert.ok(Math.max(importBytesMax, datasetsSettingsSchema.parse({}).quotaBytes) <= packBytesMax)
  assert.ok(packBytesMax <= unpackedBytesMax)
  assert.equal(sizeWarning(shared, packBytesMax), undefined)
  assert.match(sizeWarning(shared, packBytesMax + 1) ?? '', /cannot copy it: found several datasets/)
  assert.equal(sizeWarning({ ...shared, policy: 'local-only' }, packBytesMax + 1), undefined)
})

test('what nobody can import is refused with a code', async (t) => {
  const { send, ask } = await founded(t)
  const type = problemIn(await send('x', 'application/zip', Buffer.from('PK')))
  assert.equal(type.code, 'INVALID_INPUT')
  assert.match(
    type.detail,
    /comes as application\/x-tar, application\/gzip, application\/zstd, application\/x-git-bundle/,
  )
  assert.equal(problemIn(await send('x', 'application/gzip', Buffer.from('no gzip'))).code, 'INVALID_INPUT')
  assert.equal(problemIn(await send('x', 'application/x-tar', Buffer.alloc(0))).code, 'INVALID_INPUT')
  const wrong: [string, string, unknown, string][] = [
    ['POST', '/datasets', { name: 'x', policy: 'secret' }, 'INVALID_INPUT'],
    ['POST', '/datasets', { name: 'x', replicas: 0 }, 'INVALID_INPUT'],
    ['POST', '/datasets/absent/commits?step=Not%20A%20Step', {}, 'INVALID_INPUT'],
    ['POST', '/datasets/absent/fetch', undefined, 'DATASET_NOT_FOUND'],
    ['POST', '/datasets/absent/follow', undefined, 'DATASET_NOT_FOUND'],
    ['POST', '/datasets/absent/gc', undefined, 'DATASET_NOT_FOUND'],
    ['POST', '/datasets/absent/verify', undefined, 'DATASET_NOT_FOUND'],
    ['POST', '/datasets/absent/reset', { step: 'x', to: 'a'.repeat(40), reason: ' ' }, 'INVALID_INPUT'],
    ['PATCH', '/datasets/absent', { description: 'x' }, 'DATASET_NOT_FOUND'],
    ['DELETE', '/datasets/absent', undefined, 'DATASET_NOT_FOUND'],
    ['DELETE', '/local-datasets/absent', undefined, 'NOT_FOUND'],
    ['GET', '/local-datasets?files=perhaps', undefined, 'INVALID_INPUT'],
  ]
  for (const [method, path, value, code] of wrong) {
    const problem = problemIn(await ask(method, `/api/v1${path}`, value))
    assert.equal(problem.code, code, `${method} ${path}: ${problem.detail}`)
  }
})
