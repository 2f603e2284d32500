import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isNodeError } from '../../src/base/errors.ts'
import { parseAddress } from '../../src/cli/git-remote-mao-address.ts'
import { gitSurroundings } from '../../src/cli/stock-git.ts'

test('an address names a federation and a dataset, or the only federation there is', () => {
  assert.deepEqual(parseAddress('mao://lab/data'), { federation: 'lab', datasets: ['data'] })
  assert.deepEqual(parseAddress('mao:///data/'), { federation: undefined, datasets: ['data'] })
  // A dataset may really be called so.
  assert.deepEqual(parseAddress('mao://lab/data.git'), { federation: 'lab', datasets: ['data.git', 'data'] })
})

test('nothing but names comes out of an address', () => {
  const tricks = [
    '',
    'mao:',
    'mao://',
    'mao://lab',
    'mao://lab/',
    'mao:////data',
    'mao://lab/--upload-pack=touch',
    'mao://--upload-pack=touch/data',
    'mao://x:secret@lab/data',
    'mao://@/data',
    'mao://lab/data/../../other',
    'mao://lab/..',
    'mao://lab/.git',
    'mao://lab/data?x=1',
    'mao://lab/data#x',
    'mao://lab/data%2f..',
    'mao://lab/data\nmao://lab/other',
    'mao://lab/data\n',
    'mao://lab\\data/x',
    'mao://lab:8080/data',
    'mao://LAB/data',
    'mao://lab/$(touch x)',
    'MAO://lab/data',
    'ext::sh -c touch',
    'http://127.0.0.1/git/data.git',
    ' mao://lab/data',
  ]
  for (const trick of tricks) {
    const isRefused = (error: unknown) =>
      isNodeError(error, 'INVALID_INPUT') && !error.message.includes('secret')
    assert.throws(() => parseAddress(trick), isRefused, trick)
  }
})

test('git gets the token for one address, beside the settings that it is given already', () => {
  const given = { GIT_CONFIG_COUNT: '1', GIT_CONFIG_KEY_0: 'a.b', GIT_CONFIG_VALUE_0: 'c', HOME: '/h' }
  const settings = (environment: Record<string, string | undefined>) => {
    const count = Number(environment.GIT_CONFIG_COUNT)
    return Array.from({ length: count }, (_, i) => [
      environment[`GIT_CONFIG_KEY_${i}`],
      environment[`GIT_CONFIG_VALUE_${i}`],
    ])
  }
  const near = gitSurroundings(given, { url: 'http://127.0.0.1:8080', token: 't' })
  assert.equal(near.HOME, '/h')
  assert.deepEqual(settings(near), [
    ['a.b', 'c'],
    ['http.http://127.0.0.1:8080/.extraHeader', ''],
    ['http.http://127.0.0.1:8080/.extraHeader', 'Authorization: Bearer t'],
    ['http.http://127.0.0.1:8080/.followRedirects', 'false'],
    ['credential.http://127.0.0.1:8080.helper', ''],
    ['http.http://127.0.0.1:8080/.proxy', ''],
  ])
  // A node elsewhere may well be behind a proxy; a count that is none is not counted on.
  const far = settings(gitSurroundings({ GIT_CONFIG_COUNT: 'x' }, { url: 'https://far.example', token: 't' }))
  assert.deepEqual(
    far.map(([key]) => key),
    [
      'http.https://far.example/.extraHeader',
      'http.https://far.example/.extraHeader',
      'http.https://far.example/.followRedirects',
      'credential.https://far.example.helper',
    ],
  )
})
