import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer } from 'node:net'
import { test } from 'node:test'
import { problemIn, startTestApi } from '../support/api.ts'
import { maoctlHere } from '../support/maoctl.ts'

test('an operator sees the engines of a node, why one is down, and what a bridge on another machine takes', async (t) => {
  // The engine of this machine as if it were another's: behind a port.
  const port = createServer((socket) => {
    const engine = connect('/var/run/docker.sock')
    socket.pipe(engine).pipe(socket)
    for (const end of [socket, engine]) end.on('error', () => end.destroy())
  })
  port.listen(0, '127.0.0.1')
  await once(port, 'listening')
  t.after(() => port.close())
  const engines = {
    local: { capacity: { cpus: 1.5, gpus: ['nvidia:0'] } },
    far: { host: '127.0.0.1', port: (port.address() as AddressInfo).port, labels: { site: 'bern' } },
    gone: { socketPath: '/nonexistent/docker.sock' },
  }
  const { node, url, token, ask } = await startTestApi(t, 'alice', { docker: { engines } })
  await node.createFederation({ name: 'fed' })
  const environment = { MAO_URL: url, MAO_TOKEN: token }
  const maoctl = (...words: string[]) => maoctlHere(words, { environment })

  const list = await maoctl('engine', 'list')
  assert.equal(list.exit, 0, list.stderr)
  const rows = list.stdout.split('\n').map((line) => line.trim().split(/\s{2,}/))
  assert.deepEqual(rows[0], ['ENGINE', 'STATE', 'KIND', 'CPUS', 'MEMORY', 'GPUS', 'FILES', 'BRIDGE'])
  assert.deepEqual(rows[1]?.slice(0, 4), ['local', 'up', 'docker', '1.5'])
  assert.deepEqual(rows[1]?.slice(5, 7), ['nvidia:0', 'shared'])
  assert.deepEqual(rows[2]?.slice(-2), ['carried', 'refused'])
  assert.deepEqual(rows[3], ['gone', 'down'])
  assert.match(list.stderr, /gone: .*\/nonexistent\/docker\.sock: start Docker/)

  const show = await maoctl('engine', 'show', 'far')
  assert.match(show.stdout, /bridge: +refused: it runs on another machine/)
  assert.match(show.stdout, /labels: +site=bern/)

  const guard = await maoctl('engine', 'guard', 'far')
  assert.match(guard.stdout, /^iptables -w 5 -N MAO-F-.*\n/)
  assert.match(guard.stdout, /-d 169\.254\.0\.0\/16 -j REJECT/)
  assert.match(guard.stderr, /docker\.engines\.far\.networkGuarded: true/)
  assert.equal((await maoctl('engine', 'guard', 'gone')).exit, 6)

  const missing = await maoctl('engine', 'show', 'nope')
  assert.equal(missing.exit, 3)
  assert.match(missing.stderr, /no container engine named nope; it has local, far, gone/)
  const answer = await ask('GET', '/api/v1/engines/nope')
  assert.equal(problemIn(answer).code, 'NOT_FOUND')
  const all = JSON.parse((await ask('GET', '/api/v1/engines')).body)
  assert.deepEqual(
    all.map(({ id, up }: { id: string; up: boolean }) => [id, up]),
    [
      ['local', true],
      ['far', true],
      ['gone', false],
    ],
  )
})
