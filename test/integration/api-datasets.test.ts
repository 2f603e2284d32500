import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { chmod, mkdir, readdir, readFile, readlink, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { gzipSync } from 'node:zlib'
import { type DatasetView, datasetSchema } from '../../src/api/dataset-views.ts'
import { gitRequestBytesMax } from '../../src/base/limits.ts'
import { archiveOf } from '../../src/cli/archive.ts'
import { askRaw, problemIn, startTestApi } from '../support/api.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

const run = promisify(execFile)

/** Git that knows nothing of the settings of whoever runs the tests, and asks nobody. */
async function git(words: readonly string[], more: Record<string, string> = {}): Promise<string> {
  const env = {
    PATH: process.env.PATH ?? '',
    GIT_CONFIG_NOSYSTEM: '1',
    HOME: '/nonexistent',
    GIT_TERMINAL_PROMPT: '0',
  }
  const { stdout } = await run('git', [...words], { env: { ...env, ...more }, timeout: 60_000 })
  return stdout.trim()
}

async function founded(t: Parameters<typeof startTestApi>[0]) {
  const api = await startTestApi(t, 'alice')
  await api.node.createFederation({ name: 'lab' })
  const upload = async (name: string, bytes: ReadableStream<Uint8Array>) => {
    const headers = { authorization: `Bearer ${api.token}`, 'content-type': 'application/x-tar' }
    const init = { method: 'POST', headers, body: bytes, duplex: 'half' } as const
    return fetch(`${api.url}/api/v1/datasets/import?name=${name}`, init)
  }
  return { ...api, upload }
}

async function someFiles(t: Parameters<typeof startTestApi>[0]): Promise<string> {
  const directory = await temporaryDirectory(t)
  await mkdir(join(directory, 'deep/er'), { recursive: true })
  await writeFile(join(directory, 'deep/er/file.txt'), 'deep\n')
  await writeFile(join(directory, 'empty'), '')
  await writeFile(join(directory, 'grün ☂.csv'), 'a,b\n')
  await writeFile(join(directory, 'tool.sh'), '#!/bin/sh\n')
  await chmod(join(directory, 'tool.sh'), 0o755)
  await symlink('deep/er/file.txt', join(directory, 'link'))
  await mkdir(join(directory, '.git'))
  await writeFile(join(directory, '.git/config'), 'not ours')
  return directory
}

test('a directory goes in as a tar and comes out by stock git, the same', async (t) => {
  const { url, token, ask, upload, node } = await founded(t)
  const { bytes, told } = await archiveOf(await someFiles(t))
  const response = await upload('manifests', bytes)
  assert.equal(response.status, 201, await response.clone().text())
  assert.deepEqual(told, { files: 5, leftOut: ['.git'], empty: [] })
  const imported = datasetSchema.parse(await response.json())
  assert.deepEqual(
    imported.branches.map(({ branch, member }) => [branch, member]),
    [['import-alice', 'alice']],
  )
  assert.deepEqual(await readdir(join(node.config.dataDirectory, 'tmp')), [])

  const target = await temporaryDirectory(t)
  const [clean, bearer, old] = ['clean', 'bearer', 'old'].map((name) => join(target, name)) as [
    string,
    string,
    string,
  ]
  await git([
    'clone',
    '--quiet',
    url.replace('http://', `http://git:${token}@`).concat('/git/manifests.git'),
    clean,
  ])
  assert.equal(await git(['-C', clean, 'rev-parse', 'HEAD']), imported.truth)
  assert.equal(await readFile(join(clean, 'deep/er/file.txt'), 'utf8'), 'deep\n')
  assert.equal(await readFile(join(clean, 'grün ☂.csv'), 'utf8'), 'a,b\n')
  assert.equal(await readlink(join(clean, 'link')), 'deep/er/file.txt')
  assert.notEqual((await stat(join(clean, 'tool.sh'))).mode & 0o100, 0)
  await git(['-C', clean, 'fsck', '--strict'])

  const header = ['-c', `http.extraHeader=Authorization: Bearer ${token}`]
  await git([...header, 'clone', '--quiet', '--depth', '1', `${url}/git/manifests.git`, bearer])
  await git([...header, '-c', 'protocol.version=0', 'clone', '--quiet', `${url}/git/manifests.git`, old])
  assert.equal(await git(['-C', old, 'rev-parse', 'HEAD']), imported.truth)

  const shown = datasetSchema.parse(JSON.parse((await ask('GET', '/api/v1/datasets/manifests')).body))
  assert.equal(shown.truth, imported.truth)
  const log = JSON.parse((await ask('GET', '/api/v1/datasets/manifests/log')).body) as { oid: string }[]
  assert.deepEqual(
    log.map(({ oid }) => oid),
    [imported.truth],
  )
})

test('git is told why it gets nothing, and may not push to any branch', async (t) => {
  const { url, token, ask } = await founded(t)
  await ask('POST', '/api/v1/datasets', { name: 'empty' })
  const target = await temporaryDirectory(t)
  const cloned = join(target, 'empty')
  const withToken = url.replace('http://', `http://git:${token}@`)
  await git(['clone', '--quiet', `${withToken}/git/empty.git`, cloned])
  await git([
    '-C',
    cloned,
    '-c',
    'user.name=a',
    '-c',
    'user.email=a@b',
    'commit',
    '--quiet',
    '--allow-empty',
    '-m',
    'x',
  ])
  await assert.rejects(
    git(['-C', cloned, 'push', '--quiet', 'origin', 'HEAD:refs/heads/mine']),
    /the branch mine is not yours/,
  )
  await assert.rejects(git(['clone', `${withToken}/git/absent.git`, join(target, 'absent')]), /not found|404/)
  await assert.rejects(
    git(['clone', `${url}/git/empty.git`, join(target, 'closed')]),
    /could not read Username/,
  )

  const headers = { authorization: `Bearer ${token}` }
  const paths = [
    '/git/..%2fempty.git',
    '/git/%2e%2e/empty.git',
    '/git/empty',
    '/git/EMPTY.git',
    '/git/-x.git',
  ]
  for (const path of paths) {
    const answer = await askRaw(`${url}${path}/info/refs?service=git-upload-pack`, { headers })
    assert.ok([400, 404].includes(answer.status), `${path}: ${answer.status}`)
  }
  const post = { method: 'POST', headers: { ...headers, 'content-encoding': 'gzip' } }
  const at = `${url}/git/empty.git/git-upload-pack`
  const bomb = gzipSync(Buffer.alloc(gitRequestBytesMax + 1))
  assert.equal(problemIn(await askRaw(at, { ...post, body: bomb })).code, 'TOO_LARGE')
  assert.equal(problemIn(await askRaw(at, { ...post, body: 'not gzip' })).code, 'INVALID_INPUT')
})

test('an import that cannot be leaves no dataset and no file behind', async (t) => {
  const { ask, upload, node } = await founded(t)
  const none = await temporaryDirectory(t)
  const problem = async (response: Response) => (await response.json()) as { code: string }
  const empty = await archiveOf(none)
  assert.equal((await problem(await upload('nothing', empty.bytes))).code, 'INVALID_INPUT')
  const garbage = ReadableStream.from([Buffer.from('this is no archive at all '.repeat(100))])
  assert.equal((await problem(await upload('garbage', garbage))).code, 'INVALID_INPUT')
  const badName = await archiveOf(await someFiles(t))
  assert.equal((await problem(await upload('Not%20A%20Name', badName.bytes))).code, 'INVALID_INPUT')

  async function* breaking() {
    yield* (await archiveOf(await someFiles(t))).bytes
    throw new Error('the sender is gone')
  }
  await assert.rejects(upload('broken', ReadableStream.from(breaking())))

  const { bytes } = await archiveOf(await someFiles(t))
  assert.equal((await upload('taken', bytes)).status, 201)
  const again = await archiveOf(await someFiles(t))
  assert.equal((await problem(await upload('taken', again.bytes))).code, 'ALREADY_EXISTS')

  const names = JSON.parse((await ask('GET', '/api/v1/datasets')).body) as DatasetView[]
  assert.deepEqual(
    names.map(({ name }) => name),
    ['taken'],
  )
  assert.deepEqual(await readdir(join(node.config.dataDirectory, 'tmp')), [])
  assert.equal(problemIn(await ask('GET', '/api/v1/datasets/absent')).code, 'DATASET_NOT_FOUND')
  assert.equal(problemIn(await ask('GET', '/api/v1/datasets/absent/log')).code, 'DATASET_NOT_FOUND')
  assert.equal(problemIn(await ask('GET', '/api/v1/datasets/taken/log?branch=absent')).code, 'NOT_FOUND')
})
