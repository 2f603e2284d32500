import assert from 'node:assert/strict'
import { PassThrough } from 'node:stream'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { isNodeError } from '../../src/base/errors.ts'
import { withDeadline } from '../../src/base/wait.ts'
import { askSecret } from '../../src/cli/ask-secret.ts'
import { Session } from '../../src/cli/session.ts'

/** What askSecret makes of these bytes, and all that the terminal showed meanwhile. */
async function asked(input: string | Buffer, isTTY: boolean): Promise<{ value: unknown; shown: string }> {
  const [stdin, stdout, stderr] = [new PassThrough(), new PassThrough(), new PassThrough()]
  if (isTTY) Object.assign(stdin, { isTTY, setRawMode: () => stdin })
  const session = new Session({ stdin, stdout, stderr, environment: {} }, {})
  const asking = askSecret(session, 'The value of TOKEN').catch((error: unknown) => error)
  stdin.end(input)
  const value = await withDeadline(asking, 5_000, 'asking')
  stdout.end()
  stderr.end()
  return { value, shown: (await text(stdout)) + (await text(stderr)) }
}

test('a person types a secret, mistakes and all, and nobody sees it', async () => {
  const { value, shown } = await asked('hunter3\x7f2\r', true)
  assert.equal(value, 'hunter2')
  assert.equal(shown, 'The value of TOKEN: \n')
})

test('a person who thinks better of it changes nothing', async () => {
  const { value, shown } = await asked('hun\x03', true)
  assert.ok(isNodeError(value, 'CANCELLED'), String(value))
  assert.doesNotMatch(shown, /hun/)
  assert.ok(isNodeError((await asked('\r', true)).value, 'INVALID_INPUT'))
})

test('a program sends it to standard input, of which one line break at the end is none of it', async () => {
  for (const [sent, value] of [
    ['abc', 'abc'],
    ['abc\n', 'abc'],
    ['abc\r\n', 'abc'],
    ['a\nb\n\n', 'a\nb\n'],
  ] as const) {
    assert.deepEqual(await asked(sent, false), { value, shown: '' })
  }
  assert.ok(isNodeError((await asked('\n', false)).value, 'INVALID_INPUT'))
  assert.ok(isNodeError((await asked(Buffer.alloc(70_000, 'x'), false)).value, 'TOO_LARGE'))
})
