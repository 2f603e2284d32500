/** Messages to real receivers: an HTTP server that checks signatures as its author would, and a real mail server. */
import assert from 'node:assert/strict'
import { createPublicKey, verify } from 'node:crypto'
import { chmod, writeFile } from 'node:fs/promises'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import { type AddressInfo, createServer as createSocketServer } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { type TestContext, test } from 'node:test'
import { SMTPServer } from 'smtp-server'
import { Webhook } from 'standardwebhooks'
import { openDatabase } from '../../src/base/database.ts'
import { silentLogger } from '../../src/base/logger.ts'
import { withDeadline } from '../../src/base/wait.ts'
import { Notifications } from '../../src/monitoring/notifications.ts'
import { afterAttempt, type Delivery } from '../../src/monitoring/notify/deliveries.ts'
import type { ToldRun } from '../../src/monitoring/notify/message.ts'
import { notificationSettingsSchema } from '../../src/monitoring/settings.ts'
import { eventually } from '../support/eventually.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

const PEER = 'peer-a'
const RUN: ToldRun = {
  id: 'r1',
  pipeline: 'observatory',
  state: 'pulling',
  slot: 5,
  createdMs: 1,
  steps: [{ name: 'collect', tool: 'miner', state: 'pulling', outputDataset: 'd' }],
}
const ENDED: ToldRun = { ...RUN, state: 'failed', reason: 'the tool ended with exit code 3', endedMs: 9 }

interface Call {
  headers: IncomingHttpHeaders
  body: string
}

/** Somebody who takes webhooks, with the answers that it gives one after another, the last one from then on. */
async function listener(t: TestContext, answers: number[] = [204]) {
  const calls: Call[] = []
  const server = createServer(async (request, response) => {
    calls.push({ headers: request.headers, body: await text(request) })
    const status = answers.length > 1 ? answers.shift() : answers[0]
    response.writeHead(status ?? 204, { location: '/elsewhere' }).end(status === 204 ? '' : 'no room here')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => server.close())
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`, calls }
}

/** Notifications over a store that can be opened again, and a clock that the test moves. */
async function desk(t: TestContext, settings: unknown, directory?: string, runs: ToldRun[] = []) {
  const place = directory ?? (await temporaryDirectory(t))
  const database = await openDatabase(place)
  const clock = { ms: Date.now(), now: () => clock.ms }
  const hearers = new Set<(run: ToldRun) => void>()
  const notifications = new Notifications({
    settings: notificationSettingsSchema.parse(settings),
    keyFor: (purpose) => new Uint8Array(32).fill(purpose.length),
    onRun: (heard) => {
      hearers.add(heard)
      return () => hearers.delete(heard)
    },
    runs: () => runs,
    self: () => ({ peer: PEER, name: 'alice' }),
    database,
    clock,
    log: silentLogger,
  })
  await notifications.start()
  const close = async () => {
    await notifications.stop()
    await database.close()
  }
  const happens = (run: ToldRun) => {
    for (const hear of hearers) hear(run)
  }
  return { notifications, clock, happens, close, place }
}

const states = (list: Delivery[]) => list.map(({ state }) => state)

test('a receiver checks a message by the library of the standard, and hears of nothing that it did not ask for', async (t) => {
  const { url, calls } = await listener(t)
  const { notifications, happens, close } = await desk(t, {
    webhooks: { ops: { url, events: ['run.ended'] } },
  })
  t.after(close)
  happens(RUN)
  // Another member's run, with which it could mail this node's people what it likes, as often as it likes.
  happens({ ...ENDED, id: 'r0', owner: 'peer-b' })
  happens(ENDED)
  await eventually(() => states(notifications.deliveries.list())[0] === 'delivered', 'it was not delivered')
  assert.equal(calls.length, 1)
  const [call] = calls
  const key = notifications.key('ops')
  assert.match(key.text, /^whsec_/)
  const said = new Webhook(key.text).verify(call?.body ?? '', call?.headers as Record<string, string>)
  const { type, data } = said as { type: string; data: Record<string, unknown> }
  assert.equal(type, 'run.ended')
  assert.equal(data.reason, 'the tool ended with exit code 3')
  const tampered = (call?.body ?? '').replace('failed', 'succeed')
  assert.throws(() => new Webhook(key.text).verify(tampered, call?.headers as Record<string, string>))
})

test('an Ed25519 signature is checked with the public key alone', async (t) => {
  const { url, calls } = await listener(t)
  const { notifications, happens, close } = await desk(t, { webhooks: { ops: { url, signing: 'ed25519' } } })
  t.after(close)
  happens(ENDED)
  await eventually(() => calls.length === 1, 'nothing came')
  const raw = Buffer.from(notifications.key('ops').text.replace('whpk_', ''), 'base64')
  assert.equal(raw.length, 32)
  const key = createPublicKey({
    key: { kty: 'OKP', crv: 'Ed25519', x: raw.toString('base64url') },
    format: 'jwk',
  })
  const { headers, body } = calls[0] as Call
  const signed = Buffer.from(`${headers['webhook-id']}.${headers['webhook-timestamp']}.${body}`)
  const signature = String(headers['webhook-signature'])
  assert.match(signature, /^v1a,/)
  assert.equal(verify(null, signed, key, Buffer.from(signature.slice(4), 'base64')), true)
})

test('what was refused is tried again, also after a restart, and is one message to who takes it', async (t) => {
  const { url, calls } = await listener(t, [503, 302, 204])
  const settings = { webhooks: { ops: { url } } }
  const first = await desk(t, settings)
  first.happens(ENDED)
  await eventually(
    () => first.notifications.deliveries.list()[0]?.attempts.length === 1,
    'no attempt was made',
  )
  const [refused] = first.notifications.deliveries.list()
  assert.equal(refused?.state, 'waiting')
  assert.match(refused?.attempts[0]?.reason ?? '', /answered 503: no room here/)
  await first.close()
  const second = await desk(t, settings, first.place)
  t.after(second.close)
  assert.deepEqual(states(second.notifications.deliveries.list()), ['waiting'])
  // A redirect is not followed: what is signed goes where the owner said.
  await second.notifications.deliveries.again(refused?.id ?? '')
  await eventually(() => calls.length === 2, 'it was not tried again')
  await eventually(
    () => second.notifications.deliveries.list()[0]?.attempts.length === 1,
    'nothing was noted',
  )
  await second.notifications.deliveries.again(refused?.id ?? '')
  await eventually(
    () => states(second.notifications.deliveries.list())[0] === 'delivered',
    'it never arrived',
  )
  assert.equal(new Set(calls.map(({ headers }) => headers['webhook-id'])).size, 1)
  second.happens(ENDED)
  await second.notifications.test()
  await eventually(() => calls.length === 4, 'the test message did not come')
  assert.equal(second.notifications.deliveries.list().length, 2)
})

test('pauses grow and end: who does not answer for a day is given up', () => {
  let delivery: Delivery = {
    id: 'm.ops',
    receiver: 'ops',
    message: { id: 'm', event: 'spike', timeMs: 0, subject: '', text: '', data: {} },
    state: 'waiting',
    attempts: [],
    createdMs: 0,
    nextMs: 0,
  }
  const pauses: number[] = []
  while (delivery.state === 'waiting') {
    const timeMs = delivery.nextMs ?? 0
    delivery = afterAttempt(delivery, { timeMs, reason: 'no answer' })
    if (delivery.nextMs !== undefined) pauses.push(delivery.nextMs - timeMs)
  }
  assert.equal(delivery.state, 'given-up')
  assert.deepEqual(
    pauses,
    pauses.toSorted((a, b) => a - b),
  )
  assert.equal(delivery.attempts.length, pauses.length + 1)
})

test('a receiver that never answers delays nobody else', async (t) => {
  const mute = createSocketServer(() => undefined)
  await new Promise<void>((resolve) => mute.listen(0, '127.0.0.1', resolve))
  t.after(() => mute.close())
  const { url, calls } = await listener(t)
  const stuck = `http://127.0.0.1:${(mute.address() as AddressInfo).port}/`
  const { happens, close } = await desk(t, { webhooks: { stuck: { url: stuck }, ops: { url } } })
  t.after(close)
  for (let run = 0; run < 6; run += 1) happens({ ...ENDED, id: `r${run}` })
  await eventually(() => calls.length === 6, 'the others were held up')
})

test('a mail goes to a mail server that asks for a password', async (t) => {
  const mails: string[] = []
  const server = new SMTPServer({
    authOptional: false,
    allowInsecureAuth: true,
    disabledCommands: ['STARTTLS'],
    onAuth: ({ username, password }, _session, done) => {
      if (username === 'mao' && password === 'open sesame') done(null, { user: username })
      else done(new Error('Invalid username or password'))
    },
    onData: (stream, _session, done) => {
      text(stream).then((mail) => {
        mails.push(mail)
        done()
      }, done)
    },
  })
  server.on('error', () => undefined)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => new Promise<void>((resolve) => server.close(resolve)))
  const place = await temporaryDirectory(t)
  const passwordFile = join(place, 'mail-password')
  await writeFile(passwordFile, 'open sesame\n', { mode: 0o600 })
  const { port } = server.server.address() as AddressInfo
  const mail = { host: '127.0.0.1', port, security: 'none', user: 'mao', passwordFile }
  const { notifications, happens, close } = await desk(t, {
    mail: { ...mail, from: 'node@lab.example', to: ['ops@lab.example', 'pi@lab.example'] },
  })
  t.after(close)
  await chmod(passwordFile, 0o644)
  happens(ENDED)
  const attempts = () => notifications.deliveries.list()[0]?.attempts ?? []
  await eventually(() => attempts().length === 1, 'no attempt was made')
  assert.match(attempts()[0]?.reason ?? '', /can be read by others/)
  await chmod(passwordFile, 0o600)
  await notifications.deliveries.again(notifications.deliveries.list()[0]?.id ?? '')
  await eventually(() => mails.length === 1, 'no mail came')
  assert.match(mails[0] ?? '', /To: ops@lab\.example, pi@lab\.example/)
  assert.match(mails[0] ?? '', /Subject: observatory: run r1 on alice has ended: failed/)
  assert.match(mails[0] ?? '', /the tool ended with exit code 3/)
  assert.doesNotMatch(mails[0] ?? '', /open sesame/)
})

test('a run that ended in the instant of a crash is told of at the next start, and only that one', async (t) => {
  const { url, calls } = await listener(t)
  const settings = { webhooks: { ops: { url } } }
  const first = await desk(t, settings)
  const now = Date.now()
  const told = { ...ENDED, endedMs: now }
  first.happens(told)
  await eventually(() => states(first.notifications.deliveries.list())[0] === 'delivered', 'it was not told')
  await first.close()
  const missed = { ...ENDED, id: 'r2', endedMs: now + 1 }
  const old = { ...ENDED, id: 'r0', endedMs: now - 3_600_000 }
  const second = await desk(t, settings, first.place, [old, told, missed])
  t.after(second.close)
  await eventually(() => calls.length === 2, 'the other was not told')
  const runs = second.notifications.deliveries.list().map(({ message }) => message.data.run)
  assert.deepEqual(runs, ['r2', 'r1'])
})

test('a mail server that goes on talking for ever does not keep the node from stopping', async (t) => {
  const tarpit = createSocketServer((socket) => {
    const talking = setInterval(() => socket.write('220-wait a little\r\n'), 50)
    socket.on('error', () => undefined)
    socket.on('close', () => clearInterval(talking))
  })
  await new Promise<void>((resolve) => tarpit.listen(0, '127.0.0.1', resolve))
  t.after(() => tarpit.close())
  const { port } = tarpit.address() as AddressInfo
  const mail = {
    host: '127.0.0.1',
    port,
    security: 'none',
    from: 'node@lab.example',
    to: ['ops@lab.example'],
  }
  const { notifications, happens, close } = await desk(t, { mail })
  happens(ENDED)
  await eventually(() => notifications.deliveries.list().length === 1, 'nothing was to be sent')
  await withDeadline(close(), 5_000, 'Stopping')
  assert.deepEqual(states(notifications.deliveries.list()), ['waiting'])
})

test('settings that cannot work are refused at start with what is missing', async (t) => {
  const started = desk(t, { mail: { host: 'mail.lab.example', security: 'none' } })
  await assert.rejects(started, /the sender is missing.*nobody is named.*on this machine/)
})
