import assert from 'node:assert/strict'
import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import fc from 'fast-check'
import { stepLogBytesMax } from '../../../src/base/limits.ts'
import { withDeadline } from '../../../src/base/wait.ts'
import { RunLogs } from '../../../src/execution/logs/logs.ts'
import { StepLog } from '../../../src/execution/logs/step-log.ts'
import { REDACTED, Redactor } from '../../../src/execution/secrets/redactor.ts'

let directory: string
let logs: RunLogs
before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'mao-logs-'))
  logs = new RunLogs(directory)
})
after(() => rm(directory, { recursive: true, force: true }))

async function all(pieces: AsyncIterable<Uint8Array>): Promise<string> {
  const read: Uint8Array[] = []
  for await (const piece of pieces) read.push(piece)
  return Buffer.concat(read).toString()
}

const bytes = (text: string) => new TextEncoder().encode(text)

test('a reader gets what is there, then what comes, and ends with the step', async () => {
  const log = await logs.open('r1', 'one', 'algorithm', [])
  await log.write('stdout', bytes('first\n'))
  const followed = all(logs.read({ run: 'r1', step: 'one', stage: 'algorithm' }, { follow: true }))
  assert.equal(await all(logs.read({ run: 'r1', step: 'one', stage: 'algorithm' })), 'first\n')
  await log.write('stderr', bytes('second\n'))
  await log.write('stdout', bytes('third\n'))
  await log.close()
  assert.equal(await withDeadline(followed, 5_000, 'following the log'), 'first\nsecond\nthird\n')
  assert.equal(
    await all(logs.read({ run: 'r1', step: 'one', stage: 'algorithm' }, { follow: true })),
    'first\nsecond\nthird\n',
  )
})

test('a reader that leaves does not wait for the tool', async () => {
  const log = await logs.open('r2', 'one', 'algorithm', [])
  const leave = new AbortController()
  const followed = all(
    logs.read({ run: 'r2', step: 'one', stage: 'algorithm' }, { follow: true, signal: leave.signal }),
  )
  setTimeout(() => leave.abort(), 20)
  assert.equal(await withDeadline(followed, 5_000, 'leaving the log'), '')
  await log.close()
})

test('a log of a step that never began is empty', async () => {
  assert.equal(await all(logs.read({ run: 'nobody', step: 'one', stage: 'algorithm' }, { follow: true })), '')
})

test('a log ends at its limit and says so, and the tool is not stopped by it', async () => {
  const log = await logs.open('r3', 'one', 'algorithm', [])
  const chunk = bytes('x'.repeat(1_000_000))
  for (let written = 0; written < stepLogBytesMax + 3_000_000; written += chunk.length) {
    await log.write('stdout', chunk)
  }
  await log.close()
  const { size } = await stat(join(directory, 'r3', 'one.log'))
  assert.ok(size > stepLogBytesMax && size < stepLogBytesMax + 200, `${size}`)
  assert.match(
    (await all(logs.read({ run: 'r3', step: 'one', stage: 'algorithm' }))).slice(-200),
    /reached its limit of 8388608 bytes/,
  )
})

test('letters that arrive in two chunks are whole', async () => {
  const log = await logs.open('r4', 'one', 'algorithm', [])
  const letters = bytes('Zürich €\n')
  for (const byte of letters) await log.write('stdout', Uint8Array.of(byte))
  await log.close()
  assert.equal(await all(logs.read({ run: 'r4', step: 'one', stage: 'algorithm' })), 'Zürich €\n')
})

test('a secret does not reach the file, whole or in two chunks', async () => {
  const log = await logs.open('r5', 'one', 'algorithm', ['hunter2'])
  await log.write('stdout', bytes('the password is hun'))
  await log.write('stderr', bytes('meanwhile hunter2\n'))
  await log.write('stdout', bytes('ter2, or hunt'))
  await log.close()
  const text = await all(logs.read({ run: 'r5', step: 'one', stage: 'algorithm' }))
  assert.doesNotMatch(text, /hunter2/)
  assert.match(text, /the password is .*\[secret\], or hunt$/s)
})

test('secrets are gone however the text is cut, and nothing else is', () => {
  const secrets = ['abc', 'abcd', 'ccb', 'line-one\nline-two']
  const letters = fc.array(fc.constantFrom('a', 'b', 'c', 'd', ' ', 'line-one', 'line-two', '\n'), {
    maxLength: 40,
  })
  fc.assert(
    fc.property(letters, fc.array(fc.nat(12), { maxLength: 20 }), (words, cuts) => {
      const text = words.join('')
      const whole = new Redactor(secrets)
      const expected = whole.push(text) + whole.end()
      const pieces = new Redactor(secrets)
      let shown = ''
      let at = 0
      for (const cut of cuts) {
        shown += pieces.push(text.slice(at, at + cut))
        at += cut
      }
      shown += pieces.push(text.slice(at)) + pieces.end()
      assert.equal(shown, expected)
      for (const secret of ['abc', 'ccb', 'line-one', 'line-two']) {
        assert.ok(!shown.replaceAll(REDACTED, '|').includes(secret), `${secret} in ${shown}`)
      }
    }),
  )
})

test('text without a beginning of a secret is shown at once', () => {
  const redactor = new Redactor(['hunter2'])
  assert.equal(redactor.push('progress 10 %\n'), 'progress 10 %\n')
  assert.equal(redactor.push('wait h'), 'wait ')
  assert.equal(redactor.push('ere'), 'here')
})

const SECRET = 'correct-horse/battery+5 "quoted"'

/** The forms in which tools print what they were given without meaning to. */
function printed(): [what: string, text: string][] {
  const base64 = [0, 1, 2].flatMap((before) => {
    const bytes = Buffer.concat([Buffer.alloc(before, 'x'), Buffer.from(`${SECRET} and more`)])
    const encoded = bytes.toString('base64')
    const wrapped = encoded.replaceAll(/(.{16})/g, '$1\n')
    return [encoded, wrapped, wrapped.replaceAll('\n', '\r\n'), bytes.toString('base64url')]
  })
  const hex = Buffer.from(SECRET).toString('hex')
  return [
    ['plain', SECRET],
    ...base64.map((text): [string, string] => ['base64', text]),
    ['hex', hex],
    ['hex in capitals', hex.toUpperCase()],
    ['hex in lines', hex.replaceAll(/(.{20})/g, '$1\n')],
    ['percent-encoded', encodeURIComponent(SECRET)],
    ['percent-encoded in a form', new URLSearchParams({ token: SECRET }).toString()],
    ['JSON', JSON.stringify({ token: SECRET })],
  ]
}

test('a secret is gone in every usual encoding, and however the chunks are cut', () => {
  for (const [what, text] of printed()) {
    const whole = new Redactor([SECRET])
    const expected = whole.push(`before ${text} after`) + whole.end()
    assert.match(expected, /^before .*\[secret\].* after$/s, what)
    // At most what base64 digits share with their neighbours is left of it.
    assert.ok(expected.length <= `before ${REDACTED} after`.length + 24, `${what}: ${expected}`)
    for (let cut = 1; cut < text.length + 14; cut += 1) {
      const pieces = new Redactor([SECRET])
      const [first, second] = [`before ${text} after`.slice(0, cut), `before ${text} after`.slice(cut)]
      assert.equal(
        pieces.push(first) + pieces.push(second) + pieces.end(),
        expected,
        `${what}, cut at ${cut}`,
      )
    }
    const bytewise = new Redactor([SECRET])
    const shown = [...`before ${text} after`].map((sign) => bytewise.push(sign)).join('') + bytewise.end()
    assert.equal(shown, expected, `${what}, sign by sign`)
  }
})

test('a secret in wrapped base64 is gone wherever in a line it begins, and a flood of empty lines is not kept', () => {
  for (let before = 0; before < 80; before += 1) {
    const whole = Buffer.from(`${'x'.repeat(before)}${SECRET}${'y'.repeat(60)}`).toString('base64')
    const redactor = new Redactor([SECRET])
    const shown = redactor.push(whole.replaceAll(/(.{76})/g, '$1\n')) + redactor.end()
    assert.ok(shown.includes(REDACTED), `after ${before} bytes: ${shown}`)
  }
  // The first digit of an encoded secret, and then nothing that an encoder would print.
  const [first = ''] = Buffer.from(SECRET).toString('base64')
  const flood = `${first}${'\n'.repeat(10)}`
  assert.equal(new Redactor([SECRET]).push(flood), flood)
})

test('a long log of digits is redacted in reasonable time', () => {
  const redactor = new Redactor([SECRET, 'another-secret-of-some-length', '0123456789abcdef'])
  const text = '0123456789abcde '.repeat(65_536)
  assert.equal(redactor.push(text) + redactor.end(), text)
})

test('a log that cannot be written lets go of its file', async () => {
  let closed = 0
  const file = {
    appendFile: async () => {
      throw new Error('the disk is full')
    },
    close: async () => {
      closed += 1
    },
  }
  const feed = { bytes: 0, closed: false, waiting: new Set<() => void>() }
  const log = new StepLog({ file: file as never, feed, secrets: [], onClose: () => undefined })
  await assert.rejects(log.write('stdout', bytes('words')), /disk is full/)
  await assert.rejects(log.close(), /disk is full/)
  assert.deepEqual([closed, feed.closed], [1, true])
})
