import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { frameBytesMax } from '../../src/base/limits.ts'
import { generateIdentity } from '../../src/identity/node-key.ts'
import type { ByteStream } from '../../src/network/byte-stream.ts'
import { Frames } from '../../src/network/frames.ts'
import { loopbackNetwork, startLoopbackNetwork } from '../support/loopback-network.ts'

const PROTOCOL = '/test/bytes/1'
const MIB = 1024 * 1024

/** A stream between two nodes: one end in hand, the other given to `serve`. */
async function streamTo(t: TestContext, serve: (stream: ByteStream) => Promise<void>): Promise<ByteStream> {
  const [here, there] = [await startLoopbackNetwork(t), await startLoopbackNetwork(t)]
  await there.handle(PROTOCOL, serve)
  const peer = await here.dial(there.addresses())
  return here.open(peer, PROTOCOL)
}

test('a slow reader gets every byte, and neither side piles them up', { timeout: 60_000 }, async (t) => {
  const total = 192 * MIB
  const chunk = randomBytes(MIB)
  const sent = createHash('sha256')
  for (let n = 0; n < total / MIB; n += 1) sent.update(chunk)
  const stream = await streamTo(t, async (other) => {
    for (let n = 0; n < total / MIB; n += 1) await other.write(chunk)
    await other.closeWrite()
  })
  const before = process.memoryUsage().rss
  let [received, most] = [0, 0]
  const hash = createHash('sha256')
  for (let part = await stream.read(); part !== undefined; part = await stream.read()) {
    hash.update(part)
    received += part.length
    if (received % (8 * MIB) < part.length) await sleep(10)
    most = Math.max(most, process.memoryUsage().rss - before)
  }
  assert.equal(received, total)
  assert.equal(hash.digest('hex'), sent.digest('hex'))
  // Both ends live in this process; without back-pressure the whole 192 MiB would stand in memory.
  assert(most < 128 * MIB, `memory grew by ${Math.round(most / MIB)} MiB`)
})

test('a reader that stops and goes on, again and again, stops the other side each time', async (t) => {
  const total = 96 * MIB
  const chunk = randomBytes(MIB)
  let sent = 0
  const stream = await streamTo(t, async (other) => {
    for (; sent < total; sent += MIB) await other.write(chunk)
    await other.closeWrite()
  })
  let [received, ahead] = [0, 0]
  for (let part = await stream.read(); part !== undefined; part = await stream.read()) {
    received += part.length
    ahead = Math.max(ahead, sent - received)
    // Long enough for what is under way to come, and for a pause that was forgotten to let in more.
    if (received % (MIB / 2) < part.length) await sleep(3)
  }
  assert.equal(received, total)
  assert(ahead < 16 * MIB, `${Math.round(ahead / MIB)} MiB were under way`)
})

test('a stream that is cut never looks like one that has ended', async (t) => {
  const stream = await streamTo(t, async (other) => {
    await other.write(new Uint8Array(1_000))
    await sleep(100)
    other.abort(new Error('pulled the plug'))
  })
  assert.equal((await stream.read())?.length, 1_000)
  await assert.rejects(stream.read(), { code: 'STREAM_CLOSED' })
})

test('half a conversation: one side ends, the other still answers', async (t) => {
  const stream = await streamTo(t, async (other) => {
    let size = 0
    for (let part = await other.read(); part !== undefined; part = await other.read()) size += part.length
    await other.write(new TextEncoder().encode(`got ${size}`))
    await other.closeWrite()
  })
  await stream.write(new Uint8Array(3 * MIB))
  await stream.closeWrite()
  assert.equal(new TextDecoder().decode(await stream.read()), `got ${3 * MIB}`)
  assert.equal(await stream.read(), undefined)
})

test('frames of any size up to the bound come whole; an oversize one is refused on both sides', async (t) => {
  const failures: unknown[] = []
  const stream = await streamTo(t, async (other) => {
    const frames = new Frames(other)
    try {
      for (let frame = await frames.read(); frame !== undefined; frame = await frames.read())
        await frames.write(frame)
    } catch (error) {
      failures.push(error)
      throw error
    }
  })
  const frames = new Frames(stream)
  for (const size of [0, 1, 65_536, frameBytesMax]) {
    const message = randomBytes(size)
    const echoed = frames.read()
    await frames.write(message)
    assert.deepEqual(Buffer.from((await echoed) as Uint8Array), message)
  }
  await assert.rejects(frames.write(new Uint8Array(frameBytesMax + 1)), { code: 'TOO_LARGE' })
  // A liar announces ten mebibytes: the other side resets the stream and lives on.
  await stream.write(new Uint8Array([0, 0xa0, 0, 0]))
  await assert.rejects(stream.read(), { code: 'STREAM_CLOSED' })
  assert.equal((failures[0] as { code?: string }).code, 'TOO_LARGE')
})

test('nobody answers: the error says so', async (t) => {
  const network = await startLoopbackNetwork(t)
  const { peerId } = await generateIdentity()
  await assert.rejects(network.dial([`/ip4/127.0.0.1/tcp/9/p2p/${peerId}`]), { code: 'PEER_UNREACHABLE' })
  await assert.rejects(network.dial(['not an address']), { code: 'INVALID_INPUT' })
  await assert.rejects(network.open(peerId, PROTOCOL), { code: 'PEER_UNREACHABLE' })
})

test('a port that is taken is named', async (t) => {
  const first = await startLoopbackNetwork(t)
  const port = /\/tcp\/(\d+)/.exec(first.addresses()[0] as string)?.[1]
  const second = await loopbackNetwork(t, { port: Number(port) })
  await assert.rejects(second.start(), { code: 'PORT_IN_USE' })
})
