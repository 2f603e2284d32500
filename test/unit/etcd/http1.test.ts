import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { silentLogger } from '../../../src/base/logger.ts'
import type { HttpAnswer, HttpRequest } from '../../../src/etcd/wire/gateway-duplex.ts'
import { Http1 } from '../../../src/etcd/wire/http1.ts'
import { eventually } from '../../support/eventually.ts'

const SHORT_MS = 200

async function open(t: TestContext, serve: (request: HttpRequest, answer: HttpAnswer) => void) {
  const http1 = new Http1(serve, silentLogger, SHORT_MS)
  const door = createServer((socket) => http1.accept(socket))
  door.listen(0, '127.0.0.1')
  await once(door, 'listening')
  t.after(() => door.close())
  const { port } = door.address() as AddressInfo
  const client = (): Socket => {
    const socket = connect(port, '127.0.0.1')
    socket.on('error', () => undefined)
    socket.resume()
    t.after(() => socket.destroy())
    return socket
  }
  return { http1, client }
}

const get = (path: string) => `GET ${path} HTTP/1.1\r\nhost: localhost\r\n\r\n`
const closed = (socket: Socket) => eventually(() => socket.destroyed, 'the connection was not ended')

test('of requests that come in a row the last keeps its connection, however long it takes', async (t) => {
  const watches: HttpAnswer[] = []
  const { client } = await open(t, (request, answer) => {
    if (request.url === '/watch') watches.push(answer)
    else answer.end('done')
  })
  const both = client()
  both.write(get('/range') + get('/watch'))
  await eventually(() => watches.length === 1, 'the second was not heard')
  // Connections that begin to be idle later are cut.
  for (let round = 0; round < 2; round++) {
    const idle = client()
    idle.write(get('/range'))
    await closed(idle)
  }
  assert.equal(both.destroyed, false, 'the watch was cut')
  watches[0]?.end('over')
  await closed(both)
})

test('at the end requests in a row come to theirs', async (t) => {
  const answers: HttpAnswer[] = []
  const { http1, client } = await open(t, (_, answer) => answers.push(answer))
  const socket = client()
  let read = ''
  socket.on('data', (piece: Buffer) => (read += piece.toString()))
  socket.write(get('/one') + get('/two'))
  await eventually(() => answers.length === 2, 'they were not heard')
  http1.stop()
  answers[0]?.end('first')
  await eventually(() => read.includes('first'), 'the first was not answered')
  answers[1]?.end('second')
  await closed(socket)
  assert.match(read, /second/)
})
