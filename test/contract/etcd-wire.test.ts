import assert from 'node:assert/strict'
import { connect as connectHttp2 } from 'node:http2'
import { status } from '@grpc/grpc-js'
import { onEveryBackend, type Story } from '../support/etcd-backend.ts'
import { RawEtcd } from '../support/etcd-raw.ts'
import { bytes } from '../support/etcd-words.ts'
import { eventually } from '../support/eventually.ts'

const RANGE = '/etcdserverpb.KV/Range'
/** What a message may have at most on its way: a request of 1.5 MiB, and half a megabyte around it. */
const MESSAGE_BYTES_MAX = 2_097_152
const REQUEST_BYTES_MAX = 1_572_864
/** A key `a` in a request, as it travels. */
const KEY_A = [0x0a, 0x01, 0x61]

/** A call written by hand over HTTP/2. */
async function call(story: Story, path: string, headers: Record<string, string>, body: Buffer | undefined) {
  const session = connectHttp2(`http://${story.addresses[0]}`)
  story.after(() => session.close())
  const stream = session.request({
    ':method': 'POST',
    ':path': path,
    'content-type': 'application/grpc',
    te: 'trailers',
    ...headers,
  })
  const answer: Record<string, unknown> = {}
  const note = (more: object) => void Object.assign(answer, more)
  stream.on('response', note).on('trailers', note).on('error', note)
  stream.on('data', () => undefined)
  stream.end(body)
  await eventually(() => stream.closed, `${path} was not answered`)
  return answer
}

function framed(message: readonly number[], flag = 0, length = message.length): Buffer {
  const head = Buffer.alloc(5)
  head[0] = flag
  head.writeUInt32BE(length, 1)
  return Buffer.concat([head, Buffer.from(message)])
}

onEveryBackend('etcd: what travels', (tell) => {
  tell('local', 'bytes that are no message are refused, and the server stays', async ({ raw }) => {
    const bad: Record<string, readonly number[]> = {
      'a field that is cut off': [0x0a, 0xff],
      'a tag that does not end': [0xff, 0xff, 0xff],
      'a length beyond the message': [...KEY_A, 0x12, 0x7f, 0x01],
      'a tag of zero': [0x00, 0x00],
      'a number that is too long': [...KEY_A, 0x18, ...Array(10).fill(0xff), 0x01],
      'bytes where a number is due': [...KEY_A, 0x1a, 0x01, 0x00],
      'a group that nobody began': [...KEY_A, 0x0c],
    }
    for (const [what, message] of Object.entries(bad)) {
      const { code, details } = await raw.send(RANGE, Buffer.from(message))
      assert.deepEqual({ what, code }, { what, code: status.INTERNAL })
      assert.match(details, /^grpc: error unmarshalling request: /, what)
    }
    assert.equal((await raw.send(RANGE, Buffer.from(KEY_A))).code, status.OK)
  })

  tell('local', 'fields that nobody knows are passed over', async ({ raw }) => {
    for (const more of [
      [0xa2, 0x06, 0x01, 0x02],
      [0xa0, 0x06, 0x7f],
      [0xa5, 0x06, 1, 2, 3, 4],
    ]) {
      assert.equal((await raw.send(RANGE, Buffer.from([...more, ...KEY_A]))).code, status.OK, String(more))
    }
  })

  tell('local', 'what comes twice counts as it came last', async ({ raw, key }) => {
    await raw.put({ key: key('b'), value: bytes('1') })
    const at = key('b')
    const twice = Buffer.concat([Buffer.from([...KEY_A, 0x0a, at.length]), at])
    const { code, message } = await raw.send(RANGE, twice)
    assert.equal(code, status.OK)
    assert(message.includes(at))
  })

  tell('local', 'services and methods that are not there are named', async ({ raw }) => {
    const unknown = async (path: string, details: string) => {
      const { code, details: said } = await raw.send(path, Buffer.alloc(0))
      assert.deepEqual({ code, said }, { code: status.UNIMPLEMENTED, said: details })
    }
    await unknown('/etcdserverpb.KV/Nonsense', 'unknown method Nonsense for service etcdserverpb.KV')
    await unknown('/nonsense.KV/Range', 'unknown service nonsense.KV')
    await unknown('/etcdserverpb.KV/', 'unknown method  for service etcdserverpb.KV')
  })

  tell('local', 'a message is as long as etcd takes it, and not longer', async ({ raw, key }) => {
    const big = await raw.send(RANGE, Buffer.alloc(MESSAGE_BYTES_MAX + 1))
    const details = `grpc: received message larger than max (${MESSAGE_BYTES_MAX + 1} vs. ${MESSAGE_BYTES_MAX})`
    assert.deepEqual([big.code, big.details], [status.RESOURCE_EXHAUSTED, details])
    const put = async (value: number) => {
      const answer = await raw.put({ key: key('a'), value: Buffer.alloc(value) }).catch((error) => error)
      return [answer.code, answer.details]
    }
    const tooLarge = [status.INVALID_ARGUMENT, 'etcdserver: request is too large']
    assert.deepEqual(await put(REQUEST_BYTES_MAX), tooLarge)
    assert.deepEqual(await put(REQUEST_BYTES_MAX + 200_000), tooLarge)
    assert.deepEqual(await put(REQUEST_BYTES_MAX - 1_000), [undefined, undefined])
    const [code] = await put(2 * 1024 * 1024)
    assert.equal(code, status.RESOURCE_EXHAUSTED)
  })

  tell('local', 'a call by hand is answered as gRPC says', async (story) => {
    const good = await call(story, RANGE, {}, framed(KEY_A))
    assert.deepEqual(
      [good[':status'], good['content-type'], good['grpc-status']],
      [200, 'application/grpc', '0'],
    )
    const suffixed = { 'content-type': 'application/grpc+proto' }
    assert.equal((await call(story, RANGE, suffixed, framed(KEY_A)))['grpc-status'], '0')
    const noKey = await call(story, RANGE, {}, framed([]))
    assert.deepEqual([noKey[':status'], noKey['grpc-status']], [200, '3'])
    assert.equal(noKey['grpc-message'], 'etcdserver: key is not provided')
  })

  tell('local', 'a call that is cut off or packed in an unknown way is refused', async (story) => {
    const said = async (body: Buffer | undefined, headers: Record<string, string> = {}) => {
      const answer = await call(story, RANGE, headers, body)
      return [Number(answer['grpc-status']), answer['grpc-message']]
    }
    const { UNKNOWN, UNIMPLEMENTED, INTERNAL } = status
    assert.deepEqual(await said(framed(KEY_A, 0, 100)), [UNKNOWN, 'unexpected EOF'])
    assert.deepEqual(await said(Buffer.from([0, 0])), [UNKNOWN, 'unexpected EOF'])
    assert.deepEqual(await said(undefined), [UNKNOWN, 'EOF'])
    for (const encoding of ['snappy', 'gzip']) {
      const packed = `grpc: Decompressor is not installed for grpc-encoding "${encoding}"`
      assert.deepEqual(await said(framed(KEY_A, 1), { 'grpc-encoding': encoding }), [UNIMPLEMENTED, packed])
    }
    const unnamed = 'grpc: compressed flag set with identity or empty encoding'
    assert.deepEqual(await said(framed(KEY_A, 1)), [INTERNAL, unnamed])
    assert.deepEqual(await said(framed(KEY_A, 2)), [INTERNAL, 'grpc: received unexpected payload format 2'])
    assert.equal((await said(Buffer.concat([framed(KEY_A), framed(KEY_A)])))[0], status.OK)
  })

  tell('local', 'a call that says odd things of itself is not served, in whatever words', async (story) => {
    for (const timeout of ['9x', '', 'S', '999999999S']) {
      const answer = await call(story, RANGE, { 'grpc-timeout': timeout }, framed(KEY_A))
      assert.notEqual(answer['grpc-status'], '0', `a timeout of "${timeout}"`)
    }
    for (const type of ['application/json', 'text/plain', 'application/grpc-web']) {
      const answer = await call(story, RANGE, { 'content-type': type }, framed(KEY_A))
      assert.notEqual(answer['grpc-status'], '0', type)
    }
    assert.equal((await call(story, RANGE, { 'grpc-timeout': '9S' }, framed(KEY_A)))['grpc-status'], '0')
  })

  tell('local', 'rubbish in a watch ends that watch alone', async ({ raw, addresses, after, key }) => {
    const other = new RawEtcd(addresses[0] as string)
    after(() => other.close())
    const watch = other.watch()
    await watch.create({ key: key('a') })
    const session = connectHttp2(`http://${addresses[0]}`)
    after(() => session.close())
    const headers = { ':method': 'POST', ':path': '/etcdserverpb.Watch/Watch', te: 'trailers' }
    const stream = session.request({ ...headers, 'content-type': 'application/grpc' })
    let said: unknown
    const note = (answer: Record<string, unknown>) => {
      said ??= answer['grpc-status']
    }
    stream
      .on('trailers', note)
      .on('response', note)
      .on('data', () => undefined)
    stream.write(framed([0x0a, 0xff]))
    await eventually(() => said !== undefined, 'the watch was not ended')
    assert.equal(said, String(status.INTERNAL))
    await raw.put({ key: key('a'), value: bytes('1') })
    assert.equal((await watch.events(1)).length, 1)
    watch.cancel()
  })
})
