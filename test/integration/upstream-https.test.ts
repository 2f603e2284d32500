import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { chmod, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { isNodeError } from '../../src/base/errors.ts'
import { packObjectsMax } from '../../src/base/limits.ts'
import type { DatasetsSettings } from '../../src/datasets/settings.ts'
import type { UpstreamSettings } from '../../src/datasets/upstream/upstreams.ts'
import { type DatasetNode, startDatasetNode } from '../support/dataset-node.ts'
import { type GitHttpServer, selfSigned, startGitHttpServer } from '../support/git-http-server.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { agreeOn, type UpstreamRepository, upstreamRepository } from '../support/upstream-repository.ts'

const PASSWORD = 'pa55 w:rd/ü'

interface Story {
  readonly repository: UpstreamRepository
  readonly server: GitHttpServer
  readonly alice: DatasetNode
  readonly credentialsFile: string
  /** The dataset `data` names the server as its upstream. */
  readonly url: string
}

/** A git host over https with one account, and a node that has its credentials and trusts its certificate. */
async function story(
  t: TestContext,
  upstreamSettings: Partial<UpstreamSettings> = {},
  settings: Partial<DatasetsSettings> = {},
): Promise<Story> {
  const repository = await upstreamRepository(t)
  const account = { user: 'mao', password: PASSWORD }
  const server = await startGitHttpServer(t, { root: repository.root, account })
  const credentialsFile = join(await temporaryDirectory(t), 'credentials')
  const line = `https://mao:${encodeURIComponent(PASSWORD)}@127.0.0.1:${server.port}\n`
  await writeFile(credentialsFile, line, { mode: 0o600 })
  const upstreams = { credentialsFile, caFile: server.caFile, ...upstreamSettings }
  const alice = await startDatasetNode(t, { gossip: false, upstreams, settings })
  await alice.datasets.add('data')
  const url = `${server.url}/data.git`
  await alice.datasets.upstreams.set('data', { url, branch: 'main' })
  return { repository, server, alice, credentialsFile, url }
}

/** Fails with this code and words, and shows no secret to anybody. */
async function refuses(alice: DatasetNode, code: string, words: RegExp, direction: 'pull' | 'push' = 'pull') {
  await assert.rejects(alice.datasets.upstreams[direction]('data'), (error) => {
    assert(isNodeError(error), String(error))
    assert.equal(error.code, code, error.message)
    assert.match(error.message, words)
    return true
  })
  const { pulled, pushed } = await alice.datasets.upstreams.show('data')
  const kept = direction === 'pull' ? pulled : pushed
  assert.equal(kept?.code, code)
  const told = JSON.stringify([kept, alice.events, alice.registry.list('/')])
  for (const secret of [
    PASSWORD,
    encodeURIComponent(PASSWORD),
    Buffer.from(`mao:${PASSWORD}`).toString('base64'),
  ]) {
    assert(!told.includes(secret), 'a secret was told')
  }
}

async function nothingLeft({ directory }: DatasetNode): Promise<void> {
  assert.deepEqual(await readdir(join(directory, 'datasets', '.quarantine')), [])
}

test('a dataset begins with its upstream, follows it, and gives back', async (t) => {
  const { repository, server, alice, url } = await story(t)
  const first = await repository.commit({ 'table.csv': 'a,b\n1,2\n', 'deep/er.txt': 'x' })
  const pulled = await alice.datasets.upstreams.pull('data')
  assert.deepEqual(pulled, { url, branch: 'upstream-alice', commit: first, changed: true, initial: true })
  const shown = await alice.datasets.show('data')
  assert.equal(shown.truth, first)
  assert.deepEqual(
    shown.branches.map(({ branch, commit, announced, present }) => [branch, commit, announced, present]),
    [['upstream-alice', first, true, true]],
  )
  const again = await alice.datasets.upstreams.pull('data')
  assert.deepEqual([again.changed, again.initial], [false, false])

  const second = await repository.commit({ 'table.csv': 'a,b\n1,3\n' })
  const next = await alice.datasets.upstreams.pull('data')
  assert.deepEqual([next.commit, next.changed, next.initial], [second, true, false])
  assert.equal(await alice.datasets.truth('data'), first, 'only a round moves the truth')

  await alice.datasets.moveTruth('data', second)
  const held = await alice.datasets.commitDirectory({
    dataset: 'data',
    step: 'clean',
    directory: await temporaryDirectory(t),
    message: 'Nothing is left',
  })
  await repository.git('update-ref', 'refs/heads/main', first)
  const pushed = await alice.datasets.upstreams.push('data', { branches: true })
  assert.deepEqual(
    pushed.branches.map(({ branch, commit, outcome }) => [branch, commit, outcome]),
    [
      ['main', second, 'moved'],
      ['clean-alice', held.commit, 'created'],
    ],
  )
  assert.deepEqual([await repository.tip('main'), await repository.tip('clean-alice')], [second, held.commit])
  const calls = alice.events.filter(({ type }) => type === 'upstream')
  assert.deepEqual(
    calls.map((event) => [event.type === 'upstream' && event.direction, 'commit' in event && event.commit]),
    [
      ['pull', first],
      ['pull', second],
      ['push', second],
    ],
  )
  assert(server.heard.every(({ authorization }) => authorization?.startsWith('Basic ')))
  await nothingLeft(alice)
})

test('credentials are the right ones, kept shut, or nothing is moved', async (t) => {
  const { repository, alice, credentialsFile, server } = await story(t)
  await repository.commit({ a: '1' })
  await chmod(credentialsFile, 0o644)
  await refuses(alice, 'FORBIDDEN', /chmod 600/)
  assert.equal(server.heard.length, 0, 'nobody was asked')
  await chmod(credentialsFile, 0o600)
  await writeFile(credentialsFile, `https://mao:wrong@127.0.0.1:${server.port}\n`)
  await refuses(alice, 'UPSTREAM_FAILED', /does not let this node in.*git\.credentialsFile/)
  await writeFile(credentialsFile, '')
  await refuses(alice, 'UPSTREAM_FAILED', /git\.credentialsFile/)
  assert.deepEqual((await alice.datasets.show('data')).branches, [])
})

test('a certificate of an unknown authority is refused', async (t) => {
  const { cert } = await selfSigned(t)
  for (const caFile of [cert, '']) {
    const { repository, alice, server } = await story(t, { caFile })
    await repository.commit({ a: '1' })
    await refuses(alice, 'UPSTREAM_FAILED', /certificate of \[127\.0\.0\.1\]:\d+ does not hold.*git\.caFile/)
    assert.equal(server.heard.length, 0, 'no request was made')
  }
})

test('credentials do not follow a redirect, and neither does git', async (t) => {
  const { alice, server } = await story(t)
  const other = await startGitHttpServer(t, { root: '/nonexistent', tls: false })
  server.instead = (request, response) => {
    response.writeHead(302, { location: `${other.url}${request.url}` }).end()
  }
  await refuses(alice, 'UPSTREAM_FAILED', /sends this node to another address/)
  await alice.datasets.upstreams.set('data', { url: `${server.url}/data`, branch: 'main' })
  server.instead = (request, response) => {
    response.writeHead(301, { location: `${server.url}${request.url?.replace('/data', '/data.git')}` }).end()
  }
  await refuses(alice, 'UPSTREAM_FAILED', /name that address as the upstream/)
  assert.equal(other.heard.length, 0)
})

test('a transfer that is cut moves nothing, and the next one does', async (t) => {
  const { repository, alice, server } = await story(t)
  const commit = await repository.commit({ noise: randomBytes(300_000) })
  server.cutAfterBytes = 100_000
  await refuses(alice, 'UPSTREAM_FAILED', /was cut; nothing has moved/)
  assert.deepEqual((await alice.datasets.show('data')).branches, [])
  await nothingLeft(alice)
  server.cutAfterBytes = undefined
  assert.equal((await alice.datasets.upstreams.pull('data')).commit, commit)
})

test('what comes from an upstream is counted against the quota of its dataset', async (t) => {
  const { repository, alice } = await story(t, {}, { quotaBytes: 1_000_000, freeBytesMin: 0 })
  const first = await repository.commit({ small: '1' })
  await alice.datasets.upstreams.pull('data')
  await repository.commit({ noise: randomBytes(3_000_000) })
  await refuses(alice, 'QUOTA_EXCEEDED', /1000000 bytes/)
  assert.equal((await alice.datasets.show('data')).branches[0]?.commit, first)
  await nothingLeft(alice)
})

test('a pack that announces more objects than may come ends at once, with the server still talking', async (t) => {
  const { alice, server } = await story(t)
  const packet = (text: string) => (text.length + 4).toString(16).padStart(4, '0') + text
  const header = Buffer.alloc(12)
  header.write('PACK')
  header.writeUInt32BE(2, 4)
  header.writeUInt32BE(packObjectsMax + 1, 8)
  server.instead = (request, response) => {
    const answer = (kind: string, ...packets: string[]) => {
      response.writeHead(200, { 'content-type': `application/x-git-upload-pack-${kind}` })
      response.write(packets.join(''), 'latin1')
    }
    if (request.method === 'GET') {
      answer('advertisement', packet('# service=git-upload-pack\n'), '0000')
      response.end(`${packet('version 2\n')}${packet('ls-refs\n')}${packet('fetch\n')}0000`)
      return
    }
    let asked = ''
    request.on('data', (bytes) => {
      asked += String(bytes)
    })
    request.on('end', () => {
      if (asked.includes('command=ls-refs')) {
        answer('result', packet(`${'a'.repeat(40)} refs/heads/main\n`))
        response.end('0000')
      } else answer('result', packet('packfile\n'), packet(`\x01${header.toString('latin1')}`))
      // Of the pack nothing more comes, and no end either.
    })
  }
  await refuses(alice, 'PACK_REJECTED', /announces 5000001 objects/)
  await nothingLeft(alice)
})

test('a server that hands out plain files, and could lead anywhere with them, is refused', async (t) => {
  const { repository, alice, server } = await story(t)
  const commit = await repository.commit({ a: '1' })
  await repository.git('update-server-info')
  server.instead = (request, response) => {
    if (request.url?.includes('/info/refs')) {
      response.writeHead(200, { 'content-type': 'text/plain' }).end(`${commit}\trefs/heads/main\n`)
      return
    }
    const path = join(repository.root, new URL(request.url ?? '/', 'http://x').pathname)
    import('node:fs/promises')
      .then(({ readFile }) => readFile(path))
      .then(
        (bytes) => response.writeHead(200).end(bytes),
        () => response.writeHead(404).end(),
      )
  }
  await refuses(alice, 'PACK_REJECTED', /hands out plain files/)
  assert.deepEqual((await alice.datasets.show('data')).branches, [])
  await nothingLeft(alice)
})

test('what the server says against a push comes back clean and short, and nothing is forced', async (t) => {
  const { repository, alice, server } = await story(t)
  await repository.commit({ a: '1' })
  await alice.datasets.upstreams.pull('data')
  const ahead = await repository.commit({ a: '2' })
  await refuses(alice, 'NOT_FAST_FORWARD', /nothing is ever forced.*upstream pull data/, 'push')
  assert.equal(await repository.tip(), ahead)
  await repository.git('update-ref', 'refs/heads/main', `${ahead}~1`)
  await alice.datasets.upstreams.pull('data')
  await agreeOn(alice, await temporaryDirectory(t))
  const hook = join(repository.path, 'hooks', 'pre-receive')
  await writeFile(hook, '#!/bin/sh\nprintf "\\033[31mmain is protected\\033[0m $HTTP_X\\n" >&2\nexit 1\n', {
    mode: 0o755,
  })
  await refuses(alice, 'UPSTREAM_FAILED', /main .*hook declined.*main is protected/, 'push')
  const { pushed } = await alice.datasets.upstreams.show('data')
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is meant
  assert.doesNotMatch(pushed?.reason ?? '', /[\x00-\x1f\x7f-\x9f]/)
  await repository.git('config', 'http.receivepack', 'false')
  server.instead = (_request, response) => {
    response.writeHead(403, { 'content-type': 'text/plain' }).end('you may only read here\n')
  }
  await refuses(alice, 'UPSTREAM_FAILED', /does not let this node in/, 'push')
})
