import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readPorcelain } from '../../../src/datasets/git/native-remote.ts'
import { changedFingerprint, cleanWords, diagnose } from '../../../src/datasets/upstream/remote-words.ts'
import { parseUpstreamUrl } from '../../../src/datasets/upstream/upstream-address.ts'

test('words of strangers neither steer a terminal nor go on for ever', () => {
  const said = cleanWords(
    `remote: \x1b[31mno\x07\u202e\u009b2J\nfatal: x\n\nfatal: x\nhint: y\n${'z'.repeat(9_000)}`,
    200,
  )
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is meant
  assert.doesNotMatch(said, /[\x00-\x1f\x7f-\x9f\u202e]/)
  assert.equal(said.length, 200)
  assert.equal(cleanWords('fatal: no\nfatal: no\nremote:\nhint: y\n'), 'no')
})

const SAID: readonly (readonly [stderr: string, code: string, words: RegExp])[] = [
  ["fatal: couldn't find remote ref refs/heads/main\n", 'NOT_FOUND', /no branch main/],
  ['git@example.org: Permission denied (publickey).\n', 'UPSTREAM_FAILED', /upstream key/],
  [
    "fatal: could not read Username for 'https://example.org': terminal prompts disabled\n",
    'UPSTREAM_FAILED',
    /git\.credentialsFile/,
  ],
  ['fatal: unable to access: The requested URL returned error: 302\n', 'UPSTREAM_FAILED', /another address/],
  [
    'fatal: unable to access: server certificate verification failed. CAfile: none\n',
    'UPSTREAM_FAILED',
    /git\.caFile/,
  ],
  [
    'error: object 12: hasDotgit: contains .git\nfatal: fsck error in packed object\n',
    'PACK_REJECTED',
    /refused by git/,
  ],
  [
    'fetch-pack: unexpected disconnect while reading sideband packet\nfatal: early EOF\n',
    'UPSTREAM_FAILED',
    /was cut/,
  ],
  ['error: cannot run ssh: No such file or directory\n', 'UNSUPPORTED', /openssh-client/],
  ["git: 'remote-https' is not a git command. See 'git --help'.\n", 'UNSUPPORTED', /install git/],
  ['', 'UPSTREAM_FAILED', /no reason/],
]

test('a failed call says what to do next', () => {
  const address = parseUpstreamUrl('git@example.org:data')
  for (const [stderr, code, words] of SAID) {
    const error = diagnose(stderr, address, 'main')
    assert.equal(error.code, code, stderr)
    assert.match(error.message, words)
  }
})

test('only a changed key of a host has a fingerprint in what ssh says', () => {
  const print = `SHA256:${'a'.repeat(43)}`
  const changed = `The fingerprint for the ED25519 key sent by the remote host is\n${print}.\nHost key for x has changed and you have requested strict checking.\n`
  assert.equal(changedFingerprint(changed), print)
  assert.equal(changedFingerprint('Host key verification failed.'), undefined)
})

test('what became of each branch is read from the lines of a push', () => {
  const [a, b, c, d] = ['a', 'b', 'c', 'd'].map((letter) => ({
    commit: letter.repeat(40),
    branch: letter,
  })) as [
    { commit: string; branch: string },
    { commit: string; branch: string },
    { commit: string; branch: string },
    { commit: string; branch: string },
  ]
  const line = (flag: string, { commit, branch }: typeof a, summary: string) =>
    `${flag}\t${commit}:refs/heads/${branch}\t${summary}\n`
  const text = `To ssh://x\n${line('*', a, '[new branch]')}${line(' ', b, '1..2')}${line('=', c, '[up to date]')}${line('!', d, '[remote rejected] (hook declined)')}Done\n`
  assert.deepEqual(readPorcelain(text, [a, b, c, d]), [
    { ...a, outcome: 'created' },
    { ...b, outcome: 'moved' },
    { ...c, outcome: 'up-to-date' },
    { ...d, outcome: 'refused', reason: '[remote rejected] (hook declined)' },
  ])
  assert.deepEqual(readPorcelain(text, [{ commit: 'e', branch: 'elsewhere' }]), [])
})
