import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { request } from 'node:http'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { test } from 'node:test'
import { extract } from 'tar-stream'
import { type ListingView, listingSchema } from '../../src/api/dataset-views-browse.ts'
import { withDeadline } from '../../src/base/wait.ts'
import { problemIn } from '../support/api.ts'
import { commitFiles, directoryOf, gitReaders, startBrowsing } from '../support/browse.ts'
import { eventually } from '../support/eventually.ts'

const CSV = 'name,version\nalpha,1.0\nbeta,2.0\n'
const FILES = {
  'packages.csv': CSV,
  'tool.sh': '#!/bin/sh\n',
  link: '-> deep/er/100%.txt',
  'deep/er/100%.txt': 'percent\n',
  'deep/grün ☂.csv': 'a,b\n',
  'deep/two\u2028lines\u2029.csv': 'c,d\n',
  'page.html': '<script>alert(1)</script>',
  empty: '',
}

const listingOf = (body: string): ListingView => listingSchema.parse(JSON.parse(body))

test('a directory is listed page by page, with types, sizes and ids', async (t) => {
  const { get, founding } = await startBrowsing(t, FILES)
  const whole = listingOf((await get('/datasets/packages/tree')).body)
  assert.deepEqual(whole.at, { name: 'ground-truth', commit: founding })
  assert.deepEqual(
    whole.entries.map(({ path, type, size }) => [path, type, size]),
    [
      ['deep', 'directory', undefined],
      ['empty', 'file', 0],
      ['link', 'link', 16],
      ['packages.csv', 'file', CSV.length],
      ['page.html', 'file', 25],
      ['tool.sh', 'executable', 10],
    ],
  )
  const paths: string[] = []
  for (let after = ''; ; ) {
    const page = listingOf((await get(`/datasets/packages/tree?limit=4${after}`)).body)
    assert.equal(page.total, 6)
    paths.push(...page.entries.map(({ path }) => path))
    if (page.next === undefined) break
    after = `&after=${encodeURIComponent(page.next)}`
  }
  assert.deepEqual(
    paths,
    whole.entries.map(({ path }) => path),
  )
  const below = listingOf((await get('/datasets/packages/tree?path=deep&recursive=true')).body)
  assert.deepEqual(
    below.entries.map(({ path, size }) => [path, size]),
    [
      ['deep/er/100%.txt', 8],
      ['deep/grün ☂.csv', 4],
      ['deep/two\u2028lines\u2029.csv', 4],
    ],
  )
  const one = listingOf((await get('/datasets/packages/tree?path=packages.csv')).body)
  assert.deepEqual([one.total, one.entries[0]?.path], [1, 'packages.csv'])

  const near = problemIn(await get('/datasets/packages/tree?path=package.csv'))
  assert.equal(near.code, 'NOT_FOUND')
  assert.match(near.detail, /did you mean "packages.csv"\?/)
  assert.equal(problemIn(await get('/datasets/packages/tree?path=../x')).code, 'PATH_UNSAFE')
  assert.equal(problemIn(await get('/datasets/packages/tree?path=.git')).code, 'PATH_UNSAFE')
  assert.equal(problemIn(await get('/datasets/package/tree')).code, 'DATASET_NOT_FOUND')
  assert.equal(problemIn(await get('/datasets/packages/tree?limit=100000')).code, 'INVALID_INPUT')
})

test('a file comes as it is, under headers that keep a browser from running it', async (t) => {
  const { get, founding } = await startBrowsing(t, FILES)
  const csv = await get('/datasets/packages/files/packages.csv')
  assert.equal(csv.status, 200)
  assert.equal(csv.body, CSV)
  const id = createHash('sha1').update(`blob ${CSV.length}\0${CSV}`).digest('hex')
  assert.equal(csv.headers.etag, `"${id}"`)
  assert.equal(csv.headers['content-length'], String(CSV.length))
  assert.equal(csv.headers['content-type'], 'text/csv; charset=utf-8')
  assert.equal(csv.headers['cache-control'], 'private, no-cache')
  assert.equal(csv.headers['mao-commit'], founding)
  const fixed = await get(`/datasets/packages/files/packages.csv?at=${founding}`)
  assert.match(String(fixed.headers['cache-control']), /immutable/)

  const page = await get('/datasets/packages/files/page.html')
  assert.equal(page.headers['content-type'], 'application/octet-stream')
  assert.equal(page.headers['x-content-type-options'], 'nosniff')
  assert.match(String(page.headers['content-security-policy']), /sandbox/)
  assert.match(String(page.headers['content-disposition']), /^attachment; filename="page.html"/)

  const umbrella = await get(`/datasets/packages/files/deep/${encodeURIComponent('grün ☂.csv')}`)
  assert.equal(umbrella.body, 'a,b\n')
  assert.match(
    String(umbrella.headers['content-disposition']),
    /filename="gr_n _.csv"; filename\*=UTF-8''gr%C3%BCn%20%E2%98%82.csv$/,
  )
  // Names may hold what ends a line elsewhere.
  const lines = await get(`/datasets/packages/files/deep/${encodeURIComponent('two\u2028lines\u2029.csv')}`)
  assert.equal(lines.body, 'c,d\n')
  assert.equal((await get('/datasets/packages/files/deep/er/100%25.txt')).body, 'percent\n')
  assert.equal((await get('/datasets/packages/files/deep%2Fer%2F100%25.txt')).body, 'percent\n')
  assert.equal((await get('/datasets/packages/files/empty')).headers['content-length'], '0')

  const link = problemIn(await get('/datasets/packages/files/link'))
  assert.equal(link.code, 'INVALID_INPUT')
  assert.equal(link.data?.target, 'deep/er/100%.txt')
  assert.match(problemIn(await get('/datasets/packages/files/deep')).detail, /is a directory/)
  assert.equal(problemIn(await get('/datasets/packages/files/link/etc/passwd')).code, 'NOT_FOUND')
  for (const path of ['..%2f..%2fapi-token', '%2e%2e/%2e%2e/api-token', '.git/config', '%00', '-rf', '%ff']) {
    const { status } = await get(`/datasets/packages/files/${path}`)
    assert.ok([404, 422].includes(status), `${path}: ${status}`)
  }
  assert.equal(problemIn(await get('/datasets/packages/files/empty?at=x&more=1')).code, 'INVALID_INPUT')
})

test('ranges, tags and HEAD keep the rules of HTTP', async (t) => {
  const { get } = await startBrowsing(t, { ...FILES, 'ten.bin': '0123456789' })
  const path = '/datasets/packages/files/ten.bin'
  const tag = String((await get(path)).headers.etag)
  for (const [range, status, body, told] of [
    ['bytes=2-4', 206, '234', 'bytes 2-4/10'],
    ['bytes=7-', 206, '789', 'bytes 7-9/10'],
    ['bytes=-3', 206, '789', 'bytes 7-9/10'],
    ['bytes=-99', 206, '0123456789', 'bytes 0-9/10'],
    ['bytes=0-99999999999999999999', 206, '0123456789', 'bytes 0-9/10'],
    // One answer to several ranges would be of another type; the whole file is an answer too (RFC 9110, 14.2).
    ['bytes=0-1,4-5', 200, '0123456789', undefined],
    ['bytes=4-2', 200, '0123456789', undefined],
    ['lines=1-2', 200, '0123456789', undefined],
    ['bytes=nonsense', 200, '0123456789', undefined],
  ] as const) {
    const answer = await get(path, { range })
    assert.equal(answer.status, status, range)
    assert.equal(answer.body, body, range)
    assert.equal(answer.headers['content-range'], told, range)
    assert.equal(answer.headers['content-length'], String(body.length), range)
  }
  for (const range of ['bytes=10-', 'bytes=11-12', 'bytes=-0']) {
    const answer = await get(path, { range })
    assert.equal(answer.status, 416, range)
    assert.equal(answer.headers['content-range'], 'bytes */10')
    assert.equal(problemIn(answer).code, 'INVALID_INPUT')
  }
  assert.equal((await get('/datasets/packages/files/empty', { range: 'bytes=0-' })).status, 416)

  for (const match of [tag, `W/${tag}`, `"other", ${tag}`, '*']) {
    const answer = await get(path, { 'if-none-match': match })
    assert.deepEqual([answer.status, answer.body, answer.headers.etag], [304, '', tag], match)
  }
  assert.equal((await get(path, { 'if-none-match': '"other"' })).status, 200)
  assert.equal((await get(path, { range: 'bytes=0-1', 'if-range': tag })).status, 206)
  assert.equal((await get(path, { range: 'bytes=0-1', 'if-range': '"other"' })).status, 200)
  assert.equal((await get(path, { range: 'bytes=0-1', 'if-range': `W/${tag}` })).status, 200)

  const head = await get(path, { range: 'bytes=0-1' }, 'HEAD')
  assert.deepEqual(
    [head.status, head.body, head.headers['content-length'], head.headers.etag],
    [200, '', '10', tag],
  )
  assert.equal((await get('/datasets/packages/files/nothing', {}, 'HEAD')).status, 404)
})

test('a branch, a member and a commit are told apart, and what no branch reaches is not given out', async (t) => {
  const { get, node, founding } = await startBrowsing(t, FILES)
  const assessed = await commitFiles(t, node, 'packages', 'assess', { 'packages.csv': 'assessed\n' })
  const commitAt = async (words: string) => {
    const answer = await get(`/datasets/packages/tree?at=${words}`)
    return answer.status === 200 ? listingOf(answer.body).at.commit : problemIn(answer)
  }
  assert.equal(await commitAt('ground-truth'), founding)
  assert.equal(await commitAt('assess-alice'), assessed)
  assert.equal(await commitAt(assessed), assessed)
  assert.equal(await commitAt(assessed.slice(0, 12)), assessed)
  const several = await commitAt('alice')
  assert.ok(typeof several === 'object' && several.code === 'INVALID_INPUT')
  assert.match(
    several.detail,
    /alice has 2 branches in packages; name one of them: assess-alice, import-alice/,
  )
  const wrong = await commitAt('asess-alice')
  assert.ok(typeof wrong === 'object' && wrong.code === 'NOT_FOUND')
  assert.match(wrong.detail, /did you mean "assess-alice"\?/)

  const repository = await node.federation.datasets.repository('packages')
  const { tree } = await repository.readCommit(assessed)
  const person = { name: 'x', email: 'x@example.invalid' }
  const stray = await repository.writeCommit({
    tree,
    parents: [founding],
    message: 'stray\n',
    author: person,
    timeMs: 1_000,
  })
  for (const words of [
    stray,
    stray.slice(0, 12),
    tree,
    '--help',
    '-x',
    'HEAD',
    'refs/heads/assess-alice',
    `${assessed}^`,
  ]) {
    const answer = await get(`/datasets/packages/files/packages.csv?at=${encodeURIComponent(words)}`)
    assert.ok(['COMMIT_NOT_FOUND', 'NOT_FOUND'].includes(problemIn(answer).code), words)
  }
  const log = JSON.parse((await get('/datasets/packages/log?at=assess-alice')).body) as { oid: string }[]
  assert.equal(log[0]?.oid, assessed)
  assert.deepEqual(JSON.parse((await get('/datasets/packages/log?branch=assess-alice')).body), log)

  const secret = await directoryOf(t, { 'mine.csv': CSV })
  await node.federation.datasets.importDirectory('secret', secret, { policy: 'local-only' })
  assert.equal((await get('/datasets/secret/files/mine.csv')).body, CSV)

  await node.federation.datasets.add('hollow')
  assert.deepEqual(JSON.parse((await get('/datasets/hollow/log')).body), [])
  assert.match(problemIn(await get('/datasets/hollow/tree')).detail, /Nothing is agreed on in hollow yet/)
})

test('who has a listing, a log or a diff already is told so', async (t) => {
  const { get, node } = await startBrowsing(t, FILES)
  await commitFiles(t, node, 'packages', 'assess', { ...FILES, 'more.txt': '1\n' })
  const [tree, log, diff] = ['tree?at=assess-alice', 'log?at=assess-alice', 'diff?to=assess-alice']
  for (const asked of [tree, log, diff]) {
    const path = `/datasets/packages/${asked}`
    const first = await get(path)
    const tag = String(first.headers.etag)
    assert.match(tag, /^W\/"\S+"$/, asked)
    assert.equal(first.headers['cache-control'], 'private, no-cache')
    const again = await get(path, { 'if-none-match': tag })
    assert.deepEqual([again.status, again.body, again.headers.etag], [304, '', tag], asked)
    const other = await get(`${path}&limit=1`, { 'if-none-match': tag })
    assert.equal(other.status, 200, 'another question has another answer')
  }
  const tags = await Promise.all(
    [tree, `${tree}&path=deep`, log, diff].map(
      async (asked) => (await get(`/datasets/packages/${asked}`)).headers.etag,
    ),
  )
  assert.equal(new Set(tags).size, tags.length)
  const nothing = await get(`/datasets/packages/${tree}&path=nothing`, { 'if-none-match': '*' })
  assert.deepEqual([nothing.status, nothing.headers.etag], [404, undefined])
  await commitFiles(t, node, 'packages', 'assess', { ...FILES, 'more.txt': '2\n' })
  const moved = await get(`/datasets/packages/${tree}`, { 'if-none-match': String(tags[0]) })
  assert.equal(moved.status, 200, 'the branch is elsewhere now')
})

test('an archive is the same bytes each time, and holds what the commit holds', async (t) => {
  const long = `${'long/'.repeat(30)}${'name'.repeat(30)}.txt`
  const { get, url, token, founding } = await startBrowsing(t, { ...FILES, [long]: 'far away\n' })
  const fetchTar = async (query: string) => {
    const headers = { authorization: `Bearer ${token}` }
    const response = await fetch(`${url}/api/v1/datasets/packages/archive${query}`, { headers })
    return { response, bytes: Buffer.from(await response.arrayBuffer()) }
  }
  const { response, bytes } = await fetchTar('')
  assert.equal(response.headers.get('content-type'), 'application/x-tar')
  assert.ok(bytes.equals((await fetchTar(`?at=${founding}`)).bytes))
  const entries: [string, string | null | undefined, number | undefined, string][] = []
  const reading = extract()
  reading.on('entry', async ({ name, type, mode, uid, linkname }, content, next) => {
    assert.equal(uid, 0)
    const chunks: Uint8Array[] = []
    for await (const chunk of content) chunks.push(chunk as Uint8Array)
    entries.push([name, type, mode, linkname ?? Buffer.concat(chunks).toString()])
    next()
  })
  await pipeline(Readable.from([bytes]), reading)
  assert.deepEqual(entries, [
    ['deep/er/100%.txt', 'file', 0o644, 'percent\n'],
    ['deep/grün ☂.csv', 'file', 0o644, 'a,b\n'],
    ['deep/two\u2028lines\u2029.csv', 'file', 0o644, 'c,d\n'],
    ['empty', 'file', 0o644, ''],
    ['link', 'symlink', 0o777, 'deep/er/100%.txt'],
    [long, 'file', 0o644, 'far away\n'],
    ['packages.csv', 'file', 0o644, CSV],
    ['page.html', 'file', 0o644, FILES['page.html']],
    ['tool.sh', 'file', 0o755, '#!/bin/sh\n'],
  ])
  const below = await fetchTar('?path=deep/er')
  assert.equal(below.bytes.toString('latin1', 0, 16), 'deep/er/100%.txt')
  const tag = response.headers.get('etag') ?? ''
  assert.equal((await get('/datasets/packages/archive', { 'if-none-match': tag })).status, 304)
  assert.equal((await get('/datasets/packages/archive', {}, 'HEAD')).status, 200)
  assert.equal(problemIn(await get('/datasets/packages/archive?path=nothing')).code, 'NOT_FOUND')
})

test('a large file flows by, and its git ends with a client that hangs up', async (t) => {
  const bytes = randomBytes(24 * 1024 * 1024)
  const { url, token, node } = await startBrowsing(t, { 'big.bin': bytes, 'small.csv': CSV })
  const { dataDirectory } = node.config
  const headers = { authorization: `Bearer ${token}` }
  for (const path of ['files/big.bin', 'archive']) {
    const at = `${url}/api/v1/datasets/packages/${path}`
    await withDeadline(
      new Promise<void>((resolve, reject) => {
        const asking = request(at, { headers }, (response) => {
          response.once('data', () => {
            asking.destroy()
            resolve()
          })
        })
        asking.once('error', (error) => {
          if (!asking.destroyed) reject(error)
        })
        asking.end()
      }),
      20_000,
      'The beginning of the file',
    )
    await eventually(
      () => gitReaders(dataDirectory) === 0,
      `git still reads for ${path} though nobody listens`,
    )
  }
  const response = await fetch(`${url}/api/v1/datasets/packages/files/big.bin`, { headers })
  const hash = createHash('sha256')
  await pipeline(Readable.fromWeb(response.body as never), hash)
  assert.equal(hash.digest('hex'), createHash('sha256').update(bytes).digest('hex'))
  const archived = await fetch(`${url}/api/v1/datasets/packages/archive`, { headers })
  const tar = Buffer.from(await archived.arrayBuffer())
  assert.ok(tar.subarray(512, 512 + bytes.length).equals(bytes))
  assert.equal(tar.toString('latin1', 512 + bytes.length, 512 + bytes.length + 9), 'small.csv')
})
