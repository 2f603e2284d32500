import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isNodeError } from '../../../src/base/errors.ts'
import {
  checkSafeEnough,
  hostOf,
  isUpstreamBranch,
  parseUpstreamUrl,
  upstreamSchema,
} from '../../../src/datasets/upstream/upstream-address.ts'

const TAKEN: readonly (readonly [text: string, url: string, host: string])[] = [
  ['ssh://git@example.org/data.git', 'ssh://git@example.org/data.git', 'example.org'],
  ['ssh://example.org/data.git', 'ssh://git@example.org/data.git', 'example.org'],
  ['SSH://me@Example.ORG:22/data.git', 'ssh://me@example.org/data.git', 'example.org'],
  ['ssh://git@example.org:2222/~/data', 'ssh://git@example.org:2222/~/data', '[example.org]:2222'],
  ['ssh://git@[::1]:2222/srv/data.git', 'ssh://git@[::1]:2222/srv/data.git', '[::1]:2222'],
  ['git@example.org:group/data.git', 'git@example.org:group/data.git', 'example.org'],
  ['git@EXAMPLE.org:group/data.git', 'git@example.org:group/data.git', 'example.org'],
  ['git@example.org:/srv/data.git', 'ssh://git@example.org/srv/data.git', 'example.org'],
  ['https://example.org/group/data.git', 'https://example.org/group/data.git', 'example.org'],
  ['https://example.org:443/data', 'https://example.org/data', 'example.org'],
  ['https://me@example.org:8443/data', 'https://me@example.org:8443/data', '[example.org]:8443'],
  ['https://example.org./data%20set', 'https://example.org/data%20set', 'example.org'],
  ['http://127.0.0.1:8000/data', 'http://127.0.0.1:8000/data', '[127.0.0.1]:8000'],
]

test('an address is brought into one form', () => {
  for (const [text, url, host] of TAKEN) {
    const parsed = parseUpstreamUrl(text)
    assert.equal(parsed.url, url)
    assert.equal(hostOf(parsed), host)
    assert.deepEqual(parseUpstreamUrl(parsed.url), parsed, 'the one form is read as itself')
    assert(upstreamSchema.safeParse({ url, branch: 'main' }).success)
    assert.equal(upstreamSchema.safeParse({ url: text, branch: 'main' }).success, text === url)
  }
})

const REFUSED = [
  '',
  'data',
  '/srv/data.git',
  './data',
  'file:///srv/data.git',
  'git://example.org/data.git',
  'ext::sh -c touch% /tmp/x',
  'ext::sh',
  'fd::3',
  'rsync://example.org/data',
  'ftp://example.org/data',
  'host:path',
  'C:/data',
  'ssh://-oProxyCommand=touch/data',
  'ssh://git@-oProxyCommand=touch/data',
  'ssh://-oProxyCommand=x@example.org/data',
  'ssh://%2doProxyCommand=x/data',
  'ssh://git@%2dhost/data',
  '-oProxyCommand=x@example.org:data',
  'git@-oProxyCommand=x:data',
  'git@example.org:-upload-pack=x',
  'git@example.org::data',
  'git@example.org:',
  'git@example.org:~root/data',
  'ssh://git@example.org/-data',
  'ssh://git@example.org',
  'ssh://git@example.org/',
  'ssh:///data',
  'ssh://git@example.org:0/data',
  'ssh://git@example.org:65536/data',
  'ssh://git@example.org:ssh/data',
  'ssh://git@exa mple.org/data',
  'ssh://git@example..org/data',
  'ssh://git@[::1%25eth0]/data',
  'ssh://git@[example.org]/data',
  'ssh://git@example.org/a/../b',
  'ssh://git@example.org/a/%2e%2e/b',
  'ssh://git@example.org/a%0ab',
  'ssh://git@example.org/a%zz',
  'https://example.org/data?token=x',
  'https://example.org/data#x',
  'https://example.org/dä',
  'https://example.org\n/data',
  'https://example.org/da\x1b[2Jta',
  'https://example.org\\@evil.org/data',
  `https://example.org/${'a'.repeat(2_000)}`,
]

test('everything else is refused with the forms that are taken', () => {
  for (const text of REFUSED) {
    assert.throws(
      () => parseUpstreamUrl(text),
      (error) => isNodeError(error, 'INVALID_INPUT') && error.message.includes('https://'),
      JSON.stringify(text),
    )
    assert(!upstreamSchema.safeParse({ url: text, branch: 'main' }).success)
  }
})

test('a password is refused, not repeated, and there is a way out', () => {
  for (const text of [
    'https://me:s3cret@example.org/data',
    'ssh://me:s3cret@example.org/data',
    'me:s3cret@example.org:data',
  ]) {
    assert.throws(
      () => parseUpstreamUrl(text),
      (error) => {
        assert(isNodeError(error, 'INVALID_INPUT'))
        assert.match(error.message, /git\.credentialsFile/)
        assert.doesNotMatch(error.message + JSON.stringify(error.data), /s3cret/)
        return true
      },
    )
  }
})

test('plain http goes to this machine, and elsewhere only where the owner allows it', () => {
  for (const host of ['127.0.0.1', '127.9.9.9', 'localhost', '[::1]']) {
    checkSafeEnough(parseUpstreamUrl(`http://${host}:80/data`), false)
  }
  for (const host of ['127.0.0.1.evil.org', '10.0.0.1', 'example.org', 'localhost.evil.org']) {
    const address = parseUpstreamUrl(`http://${host}/data`)
    assert.throws(() => checkSafeEnough(address, false), /git\.allowHttp/)
    checkSafeEnough(address, true)
  }
})

test('names of branches are what git and everything on the way take as names', () => {
  for (const branch of ['main', 'release/2.0', 'a', 'feature/x_y-z', 'ground-truth', 'v1.2+b'])
    assert(isUpstreamBranch(branch), branch)
  for (const branch of [
    '',
    '-x',
    'a/-x',
    'a..b',
    'a/',
    '/a',
    'a//b',
    'a.lock',
    'a.lock/b',
    '.a',
    'a.',
    'a b',
    'a~1',
    'a:b',
    'a^',
    'a*',
    '@{u}',
    'a\n',
    'x'.repeat(300),
  ])
    assert(!isUpstreamBranch(branch), branch)
})
