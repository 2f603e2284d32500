import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gitProblem } from '../../../src/api/git-problems.ts'
import { type ErrorCode, isNodeError } from '../../../src/base/errors.ts'
import {
  branchesPerHeadMax,
  pushCommandsMax,
  pushRefBytesMax,
  reasonCharactersMax,
} from '../../../src/base/limits.ts'
import { ChunkReader } from '../../../src/datasets/git/chunk-reader.ts'
import { NO_COMMIT } from '../../../src/datasets/git/git-directory.ts'
import { FLUSH, PacketReader, packet } from '../../../src/datasets/git/pkt-line.ts'
import { PacedBody } from '../../../src/datasets/push/paced-body.ts'
import { readPushRequest, refusalOf, refusalsOf } from '../../../src/datasets/push/push-commands.ts'
import { PushVoice, pushAdvertisement } from '../../../src/datasets/push/push-report.ts'

const [A, B] = ['a'.repeat(40), 'b'.repeat(40)]
const coded = (code: ErrorCode) => (error: unknown) => isNodeError(error, code)

function read(...parts: readonly Uint8Array[]) {
  return readPushRequest(new PacketReader(new ChunkReader(bytes(parts))))
}

async function* bytes(parts: readonly Uint8Array[]) {
  yield* parts
}

test('commands are read up to the pack, with what the client can do', async () => {
  const request = await read(
    packet(`shallow ${A}\n`),
    packet(`${NO_COMMIT} ${A} refs/heads/x-alice\0 report-status side-band-64k agent=git/2.39.5`),
    packet(`${A} ${NO_COMMIT} refs/tags/v1\n`),
    FLUSH,
  )
  assert.deepEqual(request.commands, [
    { ref: 'refs/heads/x-alice', from: undefined, to: A },
    { ref: 'refs/tags/v1', from: A, to: undefined },
  ])
  assert.deepEqual([...request.capabilities], ['report-status', 'side-band-64k', 'agent=git/2.39.5'])
  // With this git tries the way before a push that is too large to be sent twice.
  assert.deepEqual((await read(FLUSH)).commands, [])
})

test('what is no push is refused, within bounds', async () => {
  const line = (ref: string, to = A) => packet(`${NO_COMMIT} ${to} ${ref}\0report-status`)
  const wrong: [what: string, ...parts: Uint8Array[]][] = [
    ['nothing'],
    ['no end', line('refs/heads/a')],
    ['no packets', Buffer.from('PACK and more')],
    ['no id', packet(`${NO_COMMIT} master refs/heads/a`), FLUSH],
    ['an id in capitals', line('refs/heads/a', 'A'.repeat(40)), FLUSH],
    ['no ref', line('HEAD'), FLUSH],
    ['a ref with a line break', line('refs/heads/a\nb'), FLUSH],
    ['a ref with an escape', line('refs/heads/\u001b[2J'), FLUSH],
    ['a ref with a blank', line('refs/heads/a b'), FLUSH],
    ['a ref twice', line('refs/heads/a'), line('refs/heads/a'), FLUSH],
    ['a very long ref', line(`refs/heads/${'a'.repeat(pushRefBytesMax)}`), FLUSH],
    ['a signed push', packet(`push-cert\0report-status`), FLUSH],
    ['other ids', packet(`${NO_COMMIT} ${A} refs/heads/a\0object-format=sha256`), FLUSH],
  ]
  for (const [what, ...parts] of wrong) await assert.rejects(read(...parts), coded('INVALID_INPUT'), what)
  const many = Array.from({ length: pushCommandsMax + 1 }, (_, i) => line(`refs/heads/a${i}`))
  await assert.rejects(read(...many, FLUSH), coded('TOO_LARGE'))
  const shallow = Array.from({ length: pushCommandsMax + 1 }, () => packet(`shallow ${A}\n`))
  await assert.rejects(read(...shallow, FLUSH), coded('INVALID_INPUT'))
})

test('only own branches pass, from where they are', () => {
  const place = { self: 'alice', members: ['alice', 'bob', 'eve'], held: new Map([['main-alice', A]]) }
  const judge = (ref: string, from?: string, to: string | undefined = B) =>
    refusalOf({ ref, from, to }, place)
  assert.equal(judge('refs/heads/new-alice'), undefined)
  assert.equal(judge('refs/heads/main-alice', A), undefined)
  const refused: [ref: string, from: string | undefined, to: string | undefined, why: RegExp][] = [
    ['refs/heads/main-alice', undefined, B, /has moved to aaaaaaaaaaaa meanwhile: fetch/],
    ['refs/heads/main-alice', B, A, /has moved to aaaaaaaaaaaa meanwhile: fetch/],
    ['refs/heads/gone-alice', A, B, /is not here any more: fetch/],
    ['refs/heads/main-bob', undefined, B, /^the branch main-bob is bob's: .*HEAD:main-bob-alice$/],
    ['refs/heads/main', undefined, B, /^the branch main is not yours: .*HEAD:main-alice$/],
    ['refs/heads/-alice', undefined, B, /not yours: .*HEAD:alice-alice$/],
    ['refs/heads/ground-truth', undefined, B, /agree: .*HEAD:main-alice$/],
    ['refs/heads/Straße/3-alice', undefined, B, /is no name .*HEAD:stra-e-3-alice$/],
    ['refs/heads/a..b-alice', undefined, B, /is no name .*HEAD:a-b-alice$/],
    [`refs/heads/${'a'.repeat(64)}-alice`, undefined, B, /is no name .*HEAD:a{40}-alice$/],
    ['refs/tags/v1', undefined, B, /branches alone/],
    ['refs/notes/commits', undefined, B, /branches alone/],
    ['refs/mao/heads/x-alice', undefined, B, /branches alone/],
  ]
  for (const [ref, from, to, why] of refused) assert.match(judge(ref, from, to) ?? '', why, ref)
  const deletion = refusalOf({ ref: 'refs/heads/main-alice', from: A, to: undefined }, place)
  assert.match(deletion ?? '', /branches stay/)
})

test('a member has no more branches than its head can tell of', () => {
  const held = new Map(Array.from({ length: branchesPerHeadMax - 1 }, (_, i) => [`s${i}-alice`, A]))
  held.set('main-bob', A)
  const place = { self: 'alice', members: ['alice', 'bob'], held }
  const commands = ['one', 'two'].map((step) => ({ ref: `refs/heads/${step}-alice`, from: undefined, to: B }))
  const moved = { ref: 'refs/heads/s0-alice', from: A, to: B }
  const refusals = refusalsOf([...commands, moved], place)
  assert.deepEqual([...refusals.keys()], ['refs/heads/two-alice'])
  assert.match(refusals.get('refs/heads/two-alice') ?? '', /at most 64 branches/)
})

test('a report is one packet a line, whatever stands in a reason', () => {
  const outcomes = [
    { ref: 'refs/heads/a' },
    { ref: 'refs/heads/b', refusal: `\u001b[2J\nok refs/heads/b${'x'.repeat(900)}` },
  ]
  const report = Buffer.concat([...new PushVoice(new Set(['report-status'])).report('bad\npack', outcomes)])
  const text = report.toString('utf8')
  const lines = text.split('\n')
  assert.deepEqual(lines.slice(0, 2), ['0014unpack bad pack', '0014ok refs/heads/a'])
  assert.match(lines[2] ?? '', /^[0-9a-f]{4}ng refs\/heads\/b {2}\[2J ok refs\/heads\/bx+$/)
  assert.ok((lines[2] ?? '').length < reasonCharactersMax + 40)
  assert.equal(lines[3], '0000')
  // Who cannot be told on a band is told nothing in between.
  assert.deepEqual([...new PushVoice(new Set()).progress('x')], [])
  assert.deepEqual([...new PushVoice(new Set(['side-band-64k', 'quiet'])).progress('x')], [])
  const banded = Buffer.concat([
    ...new PushVoice(new Set(['report-status', 'side-band-64k'])).report(undefined, []),
  ])
  assert.equal(banded.toString('latin1'), '0017\u0001000eunpack ok\n00000000')
})

test('an advertisement names the branches in order, and the capabilities also when there are none', () => {
  const empty = pushAdvertisement(new Map()).toString('latin1')
  assert.match(empty, new RegExp(`^[0-9a-f]{4}${NO_COMMIT} capabilities\\^\\{\\}\\0report-status .*\\n0000$`))
  const some = pushAdvertisement(
    new Map([
      ['b', A],
      ['a', B],
    ]),
  ).toString('latin1')
  assert.match(some, new RegExp(`^[0-9a-f]{4}${B} refs/heads/a\\0.*\\n[0-9a-f]{4}${A} refs/heads/b\\n0000$`))
  for (const absent of ['push-options', 'push-cert', 'report-status-v2']) assert.ok(!some.includes(absent))
})

test('a body has to go on coming', async () => {
  const collect = async (body: AsyncIterable<Uint8Array>) => {
    for await (const _ of body);
  }
  const stuck = new PacedBody(
    (async function* () {
      yield Buffer.from('a')
      await new Promise(() => undefined)
    })(),
    10,
    new AbortController().signal,
  )
  await assert.rejects(collect(stuck), coded('TIMED_OUT'))
  assert.equal(stuck.isCut, true)
  const stopped = new AbortController()
  stopped.abort(new Error('the node stops'))
  const late = new PacedBody(bytes([]), 1_000, stopped.signal)
  await assert.rejects(collect(late), /the node stops/)
  const whole = new PacedBody(bytes([Buffer.from('a')]), 1_000, new AbortController().signal)
  await collect(whole)
  assert.equal(whole.isCut, false)
})

test('git is told in the form that it shows; others get their problem', () => {
  const problem = { status: 404, code: 'DATASET_NOT_FOUND', detail: 'No dataset\nis named x' }
  const tell = (method: string, path: string, agent: string | undefined, status = 404) => {
    const told = gitProblem({ method, path, agent }, { ...problem, status })
    return told && [told.status, told.type, Buffer.from(told.body as Uint8Array).toString('latin1')]
  }
  const words = 'No dataset is named x (DATASET_NOT_FOUND)'
  const plain = 'text/plain; charset=utf-8'
  assert.deepEqual(tell('GET', '/git/x.git/info/refs', 'git/2.39.5'), [404, plain, `${words}\n`])
  assert.deepEqual(tell('POST', '/git/x.git/git-upload-pack', 'git/2.39.5'), [
    200,
    'application/x-git-upload-pack-result',
    `0032ERR ${words}\n`,
  ])
  assert.deepEqual(tell('POST', '/git/x.git/git-receive-pack', 'git/2.39.5')?.slice(0, 2), [
    200,
    'application/x-git-receive-pack-result',
  ])
  // git asks for a password only when it sees the status.
  assert.deepEqual(tell('POST', '/git/x.git/git-upload-pack', 'git/2.39.5', 401)?.[0], 401)
  assert.equal(tell('GET', '/git/x.git/info/refs', 'curl/8'), undefined)
  assert.equal(tell('GET', '/git/x.git/info/refs', undefined), undefined)
  assert.equal(tell('GET', '/api/v1/datasets', 'git/2.39.5'), undefined)
})
