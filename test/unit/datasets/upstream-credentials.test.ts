import assert from 'node:assert/strict'
import { chmod, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { isNodeError } from '../../../src/base/errors.ts'
import { httpsAccess, pickCredentials, urlForGit } from '../../../src/datasets/upstream/https-access.ts'
import { parseUpstreamUrl } from '../../../src/datasets/upstream/upstream-address.ts'
import { temporaryDirectory } from '../../support/temporary-directory.ts'

const FILE = `
https://all:one@example.org
https://group:t%77o@example.org/group
https://port:three@example.org:8443
http://plain:four@example.org
not a line
https://me:five@users.org
https://you:six@users.org
https://wide@nopassword.org
`

const picked = (url: string) => pickCredentials(FILE, parseUpstreamUrl(url))?.password

test('credentials go to the host, port, kind and path that they are written for', () => {
  assert.equal(picked('https://example.org/data'), 'one')
  assert.equal(picked('https://EXAMPLE.org/group/data'), 'two')
  assert.equal(picked('https://example.org/group'), 'two')
  assert.equal(picked('https://example.org/groupies'), 'one')
  assert.equal(picked('https://example.org:8443/data'), 'three')
  assert.equal(picked('https://example.org:9443/data'), undefined)
  assert.equal(picked('http://example.org/data'), 'four')
  assert.equal(picked('https://example.org.evil.org/data'), undefined)
  assert.equal(picked('https://evil-example.org/data'), undefined)
  assert.equal(picked('https://you@users.org/data'), 'six')
  assert.equal(picked('https://she@users.org/data'), undefined)
  assert.equal(picked('https://nopassword.org/data'), '')
})

test('a secret stands in the environment of its call alone, bound to the one address', async (t) => {
  const credentialsFile = join(await temporaryDirectory(t), 'credentials')
  await writeFile(credentialsFile, 'https://me:s3cret@example.org\n', { mode: 0o600 })
  const address = parseUpstreamUrl('https://me@example.org/data')
  const access = await httpsAccess(address, { credentialsFile, caFile: '' })
  assert.equal(access.env.GIT_CONFIG_KEY_0, 'http.https://example.org/data.extraHeader')
  assert.equal(access.env.GIT_CONFIG_VALUE_0, `Authorization: Basic ${btoa('me:s3cret')}`)
  assert.deepEqual(access.secrets, [btoa('me:s3cret'), 's3cret'])
  assert.doesNotMatch(access.settings.join(' '), /s3cret/)
  assert.equal(urlForGit(address), 'https://example.org/data')
  await chmod(credentialsFile, 0o640)
  await assert.rejects(httpsAccess(address, { credentialsFile, caFile: '' }), (error) => {
    return isNodeError(error, 'FORBIDDEN') && error.message.includes(`chmod 600 ${credentialsFile}`)
  })
  await assert.rejects(
    httpsAccess(address, { credentialsFile: '', caFile: credentialsFile }),
    /holds no certificate/,
  )
})
