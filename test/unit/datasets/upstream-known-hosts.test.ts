import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { test } from 'node:test'
import { knownKeys, parseScan, withKey } from '../../../src/datasets/upstream/known-hosts.ts'

const [A, B] = ['AAAAC3NzaC1lZDI1NTE5AAAAIHn4', 'AAAAC3NzaC1lZDI1NTE5AAAAIOQw']
const ed = (key: string) => ({ type: 'ssh-ed25519', key, fingerprint: '' })

test('what a host tells is read, its best kind of key first, and nothing else', () => {
  const text = [
    '# 127.0.0.1:22 SSH-2.0-OpenSSH',
    `example.org ssh-rsa ${A}`,
    `example.org ssh-ed25519 ${B}`,
    'example.org ssh-dss AAAA',
    'example.org ssh-ed25519 not/base64!',
    '',
  ].join('\n')
  assert.deepEqual(
    parseScan(text).map(({ type, key }) => [type, key]),
    [
      ['ssh-ed25519', B],
      ['ssh-rsa', A],
    ],
  )
  for (const { fingerprint } of parseScan(text)) assert.match(fingerprint, /^SHA256:[A-Za-z0-9+/]{43}$/)
})

test('a key takes the place of the one of its kind, and of no other', () => {
  const file = [
    '# kept',
    `example.org,other.org ssh-ed25519 ${A} a comment`,
    `example.org ssh-rsa ${A}`,
    `@revoked example.org ssh-ed25519 ${A}`,
    `[example.org]:2222 ssh-ed25519 ${A}`,
  ].join('\n')
  const changed = withKey(file, 'example.org', ed(B))
  assert.equal(
    changed,
    [
      '# kept',
      `other.org ssh-ed25519 ${A} a comment`,
      `example.org ssh-rsa ${A}`,
      `@revoked example.org ssh-ed25519 ${A}`,
      `[example.org]:2222 ssh-ed25519 ${A}`,
      `example.org ssh-ed25519 ${B}`,
      '',
    ].join('\n'),
  )
  const keys = (host: string) => knownKeys(changed, host).map(({ type, key }) => [type, key])
  assert.deepEqual(keys('example.org'), [
    ['ssh-rsa', A],
    ['ssh-ed25519', B],
  ])
  assert.deepEqual(keys('other.org'), [['ssh-ed25519', A]])
  assert.deepEqual(keys('[example.org]:2222'), [['ssh-ed25519', A]])
  assert.deepEqual(keys('example.com'), [])
  assert.equal(withKey('', 'example.org', ed(A)), `example.org ssh-ed25519 ${A}\n`)
})

test('hosts that are written as hashes are known as well', () => {
  const salt = Buffer.from('twenty bytes of salt')
  const hash = createHmac('sha1', salt).update('example.org').digest('base64')
  const file = `|1|${salt.toString('base64')}|${hash} ssh-ed25519 ${A}\n`
  assert.equal(knownKeys(file, 'example.org').length, 1)
  assert.equal(knownKeys(file, 'other.org').length, 0)
  assert.equal(withKey(file, 'example.org', ed(B)), `example.org ssh-ed25519 ${B}\n`)
})
