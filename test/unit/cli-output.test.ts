import assert from 'node:assert/strict'
import { PassThrough } from 'node:stream'
import { test } from 'node:test'
import { InvalidArgumentError } from 'commander'
import { NodeError } from '../../src/base/errors.ts'
import { printable, strangersWords } from '../../src/base/strangers-words.ts'
import { parseCount, parseDuration, parsePort } from '../../src/cli/arguments.ts'
import { Output, shortId, spanText, timeText } from '../../src/cli/output.ts'

function output(options: { json?: boolean; environment?: Record<string, string>; terminal?: boolean } = {}) {
  const stdout = Object.assign(new PassThrough(), { isTTY: options.terminal === true })
  const stderr = new PassThrough()
  const { json = false, environment = {} } = options
  const out = new Output({ stdout, stderr, json, environment })
  const said = () => ({ stdout: String(stdout.read() ?? ''), stderr: String(stderr.read() ?? '') })
  return { out, said }
}

const ESCAPE = '\u001b'

test('people read the text, programs the JSON, and only that on stdout', () => {
  const people = output()
  people.out.result({ a: 1 }, () => 'one')
  people.out.note('by the way')
  assert.deepEqual(people.said(), { stdout: 'one\n', stderr: 'by the way\n' })

  const programs = output({ json: true })
  programs.out.result({ a: 1 }, () => 'one')
  programs.out.note('by the way')
  programs.out.raw('what a tool printed\n')
  const { stdout, stderr } = programs.said()
  assert.deepEqual(JSON.parse(stdout), { a: 1 })
  assert.equal(stderr, 'by the way\nwhat a tool printed\n')
})

test('a failure is a sentence with its code, and beside JSON a problem', () => {
  const error = new NodeError('TOOL_NOT_FOUND', 'No tool is named x', { name: 'x' })
  const people = output()
  people.out.failure(error)
  assert.deepEqual(people.said(), {
    stdout: '',
    stderr: 'maoctl: No tool is named x; "maoctl tool list" lists them (TOOL_NOT_FOUND)\n',
  })
  const programs = output({ json: true })
  programs.out.failure(error)
  const { stdout, stderr } = programs.said()
  assert.equal(stdout, '')
  const { code, status, data } = JSON.parse(stderr)
  assert.deepEqual({ code, status, data }, { code: 'TOOL_NOT_FOUND', status: 404, data: { name: 'x' } })
})

test('a table has columns and no lines', () => {
  const { out } = output()
  const table = out.table(
    ['name', 'image'],
    [
      ['a', 'one:1'],
      ['longer', 'two:2'],
    ],
  )
  assert.equal(table, 'NAME     IMAGE\na        one:1\nlonger   two:2')
  assert.equal(out.table(['name'], []), 'NAME')
})

test('colours come on a terminal only, and not when NO_COLOR asks for none', () => {
  const coloured = (options: Parameters<typeof output>[0]) =>
    output(options).out.state('failed').includes(ESCAPE)
  assert.equal(coloured({ terminal: true }), true)
  assert.equal(coloured({ terminal: false }), false)
  assert.equal(coloured({ terminal: true, environment: { NO_COLOR: '1' } }), false)
  assert.equal(coloured({ terminal: true, environment: { NO_COLOR: '' } }), true)
  assert.equal(coloured({ terminal: false, environment: { FORCE_COLOR: '1' } }), true)
  assert.equal(coloured({ terminal: false, environment: { FORCE_COLOR: '1', NO_COLOR: '1' } }), false)
})

test("texts of peers cannot steer the reader's terminal", () => {
  const evil = `${ESCAPE}]0;title\u0007${ESCAPE}[2Jgone\u009b31m`
  assert.doesNotMatch(printable(evil), /\p{Cc}/u)
  // Nor turn its writing round, so that what is read is not what was said; other signs of a script stay.
  const turning = '\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069'
  for (const sign of turning) {
    assert.equal(printable(`gnp${sign}.exe`), 'gnp\ufffd.exe')
    assert.equal(strangersWords(`gnp${sign}.exe`), 'gnp .exe')
  }
  assert.equal(printable('क्\u200dष\n'), 'क्\u200dष\n')
  const { out, said } = output({ terminal: true, environment: { NO_COLOR: '1' } })
  out.raw(`a\tb\r\n${evil}\n`)
  out.result({}, () => `${out.table(['x'], [[`two\nlines ${evil}`]])}\n${out.pairs([['name', evil]])}`)
  assert.doesNotMatch(said().stdout.replace(/[\n\t\r]/g, ''), /\p{Cc}/u)
  // A file gets the log as it is.
  const file = output()
  file.out.raw(evil)
  assert.equal(file.said().stdout, evil)
})

test('times, spans and ids are short and say the same everywhere', () => {
  assert.equal(timeText(0), '1970-01-01 00:00:00Z')
  assert.equal(timeText(undefined), '-')
  assert.deepEqual([20, 1_500, 61_000, 3_661_000].map(spanText), ['20 ms', '1.5 s', '1 min 1 s', '1 h 1 min'])
  assert.equal(shortId('0123456789abcdef'), '0123456789')
  assert.equal(shortId(undefined), '-')
})

test('arguments are read strictly', () => {
  assert.deepEqual(
    ['500ms', '90s', '10m', '1h30m', '7d'].map(parseDuration),
    [500, 90_000, 600_000, 5_400_000, 604_800_000],
  )
  for (const wrong of ['', '10', 'm', '10 m', '-1m', '1.5h', '10x', '1m!']) {
    assert.throws(() => parseDuration(wrong), InvalidArgumentError, wrong)
  }
  assert.equal(parseCount('3'), 3)
  for (const wrong of ['0', '-1', '1.5', 'x', ''])
    assert.throws(() => parseCount(wrong), InvalidArgumentError)
  assert.equal(parsePort('0'), 0)
  for (const wrong of ['65536', '-1', '', '80x', '1e3'])
    assert.throws(() => parsePort(wrong), InvalidArgumentError)
})

test('whatever a command renders, JSON included, steers no terminal and still says the same', () => {
  const evil = `${ESCAPE}]0;title\u0007${ESCAPE}[2Jgone\u009b31m\u202eturned\u007f`
  const people = output({ terminal: true })
  people.out.result({}, () => `${people.out.style('bold', 'ours')}\t${evil}\nnext`)
  people.out.item({}, () => evil)
  people.out.note(`${people.out.style('bold', 'ours')} ${evil}`)
  people.out.rawNote(evil)
  const { stdout, stderr } = people.said()
  const styled = `${ESCAPE}[1mours${ESCAPE}[22m`
  assert.ok(stdout.startsWith(`${styled}\t`), 'what was styled here stays')
  assert.ok(stderr.startsWith(styled))
  // Its stderr is no terminal, so that another program's bytes went there as they are: after the line of the note.
  const [note = ''] = stderr.split('\n')
  assert.doesNotMatch((stdout + note).replaceAll(styled, '').replace(/[\n\t]/g, ''), /[\p{Cc}\u202e]/u)

  const programs = output({ json: true, terminal: true })
  programs.out.result({ evil }, () => '')
  const whole = programs.said().stdout
  assert.doesNotMatch(whole.replaceAll('\n', ''), /[\p{Cc}\u202e]/u)
  assert.deepEqual(JSON.parse(whole), { evil })
  programs.out.item({ evil }, () => '')
  const line = programs.said().stdout
  assert.match(line, /\\u009b31m\\u202eturned\\u007f"\}\n$/)
  programs.out.failure(new NodeError('TOOL_NOT_FOUND', evil))
  assert.doesNotMatch(programs.said().stderr.trimEnd(), /[\p{Cc}\u202e]/u)
})
