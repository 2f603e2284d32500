import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { suite, type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { deflateSync } from 'node:zlib'
import { transfersPerPeerMax } from '../../src/base/limits.ts'
import { type Logger, silentLogger } from '../../src/base/logger.ts'
import { type FetchRequest, fetchCommits } from '../../src/datasets/exchange/pack-client.ts'
import { PACK_PROTOCOL } from '../../src/datasets/exchange/pack-protocol.ts'
import { PackServer, type PackServerParts } from '../../src/datasets/exchange/pack-server.ts'
import { ObjectReader, writeLoose } from '../../src/datasets/git/isomorphic-objects.ts'
import { encodePack } from '../../src/datasets/git/pack-writer.ts'
import { bandPackets, FLUSH, packet } from '../../src/datasets/git/pkt-line.ts'
import type { PackRepository } from '../../src/datasets/git/repository.ts'
import type { ByteStream } from '../../src/network/byte-stream.ts'
import { StreamExchange } from '../support/byte-stream-pair.ts'
import { eventually } from '../support/eventually.ts'
import { BACKENDS, type BackendKind, gitBackend, PERSON, TIME_MS } from '../support/git-backends.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

const SLOW = { windowMs: 150, bytesMin: 10_000 }
const [DIALECT, ADVERTISED] = [
  '{"dialect":"upload-pack"}\n',
  [packet('version 2\n'), packet('fetch\n'), FLUSH],
]

async function repositoryOf(t: TestContext, kind: BackendKind): Promise<PackRepository> {
  return (await gitBackend(t, kind)).open(join(await temporaryDirectory(t), 'data.git'))
}

async function commitOf(
  repository: PackRepository,
  content: string | Buffer,
  parents: readonly string[] = [],
): Promise<string> {
  const oid = await writeLoose(repository.path, 'blob', Buffer.from(content as string))
  const tree = await repository.writeTree([{ path: 'file', mode: '100644', oid }])
  return repository.writeCommit({ tree, parents, message: 'x', author: PERSON, timeMs: TIME_MS })
}

async function serving(t: TestContext, repository: PackRepository, more: Partial<PackServerParts> = {}) {
  const exchange = new StreamExchange()
  const always = { isMember: () => true, mayRead: () => true }
  const parts = { streams: exchange.of('server'), ...always, log: silentLogger }
  const server = new PackServer({ ...parts, repository: async () => repository, ...more })
  await server.start()
  t.after(() => server.stop())
  return exchange
}

const fetching = (
  exchange: StreamExchange,
  request: Pick<FetchRequest, 'repository' | 'wants'> & Partial<FetchRequest>,
) =>
  fetchCommits(exchange.of('client'), {
    dataset: 'data',
    peer: 'server',
    signal: AbortSignal.timeout(20_000),
    ...request,
  })

async function assertNothingLeft(repository: PackRepository): Promise<void> {
  assert.deepEqual(await readdir(join(repository.path, 'objects/pack')), [])
  assert.deepEqual(await readdir(join(repository.path, '..', '.quarantine')).catch(() => []), [])
}

/** A server that answers in the dialect which the client speaks best, and then as it likes. */
function liar(
  exchange: StreamExchange,
  tell: (say: (bytes: string | Uint8Array) => Promise<void>) => Promise<void>,
) {
  return exchange.of('server').handle(PACK_PROTOCOL, async (stream) => {
    const say = (bytes: string | Uint8Array) => stream.write(Buffer.from(bytes as string))
    const hello = JSON.parse(Buffer.from((await stream.read()) ?? []).toString()) as { dialects: string[] }
    if (hello.dialects[0] === 'pack') await say('{"dialect":"pack"}\n')
    else await say(Buffer.concat([Buffer.from(DIALECT), ...ADVERTISED]))
    await stream.read()
    if (hello.dialects[0] === 'pack') await say('{"pack":true}\n')
    else await say(packet('packfile\n'))
    await tell(async (bytes) => {
      if (hello.dialects[0] === 'pack') await say(bytes)
      else for (const one of bandPackets(1, Buffer.from(bytes as string))) await say(one)
    })
  })
}

for (const client of BACKENDS) {
  suite(`a client with the ${client} backend`, () => {
    test('gives up a member that dribbles, however steadily, and keeps nothing of it', async (t) => {
      const exchange = new StreamExchange()
      let told = 0
      await liar(exchange, async (say) => {
        await say(Buffer.from('PACK\0\0\0\x02\0\0\0\x03', 'latin1'))
        // A file of 100,000 bytes, of which nothing is wrong but that it never comes to its end.
        await say(Buffer.of(0xb0, 0xea, 0x30))
        for (const byte of deflateSync(randomBytes(100_000))) {
          await say(Buffer.of(byte))
          told += 1
          await sleep(5)
        }
      })
      const repository = await repositoryOf(t, client)
      const wants = ['f'.repeat(40)]
      await assert.rejects(fetching(exchange, { repository, wants, pace: SLOW }), { code: 'TIMED_OUT' })
      assert.ok(told > 3, 'it was given up although it never dribbled')
      await assertNothingLeft(repository)
    })

    test('hears words that only say “at work” before a pack comes', async (t) => {
      const from = await repositoryOf(t, 'isomorphic')
      const commit = await commitOf(from, 'content')
      const exchange = new StreamExchange()
      await exchange.of('server').handle(PACK_PROTOCOL, async (stream) => {
        const { tree } = await from.readCommit(commit)
        const [file] = await from.listFiles(commit)
        await stream.read()
        await stream.write(Buffer.from('{"dialect":"pack"}\n'))
        await stream.read()
        await stream.write(Buffer.from('\n\n'))
        await stream.write(Buffer.from('\n{"pack":true}\n'))
        const oids = [commit, tree, file?.oid as string]
        for await (const chunk of encodePack(new ObjectReader(from.path), oids)) await stream.write(chunk)
        await stream.closeWrite()
      })
      const repository = await repositoryOf(t, client)
      await fetching(exchange, { repository, wants: [commit] })
      assert.equal(await repository.hasCommit(commit), true)
    })
  })
}

for (const kind of BACKENDS) {
  suite(`a server with the ${kind} backend`, () => {
    async function halfRead(t: TestContext, more: Partial<PackServerParts> = {}) {
      const repository = await repositoryOf(t, kind)
      const commit = await commitOf(repository, randomBytes(3_000_000))
      const exchange = await serving(t, repository, more)
      const stream = await exchange.of('client').open('server', PACK_PROTOCOL)
      await ask(stream, kind, commit)
      return { exchange, repository, commit, stream }
    }

    test('cuts a reader that is too slow', async (t) => {
      let gaveUp = false
      const debug = () => {
        gaveUp = true
      }
      const { stream } = await halfRead(t, { pace: SLOW, log: { ...silentLogger, debug } as Logger })
      await eventually(() => gaveUp, 'it waited for ever')
      // All that it had sent by then is dropped with the rest: a cut shows as a cut.
      await assert.rejects(readAll(stream), { code: 'STREAM_CLOSED' })
    })

    test('cuts whoever may no longer have the dataset, in the middle of it', async (t) => {
      let allowed = true
      let tell: () => void = () => undefined
      const { stream } = await halfRead(t, {
        mayRead: () => allowed,
        onChange: (changed) => {
          tell = changed
          return () => undefined
        },
      })
      tell()
      assert.ok(((await stream.read())?.length ?? 0) > 0, 'a change that is none cut the transfer')
      allowed = false
      tell()
      await assert.rejects(readAll(stream), { code: 'STREAM_CLOSED' })
    })

    test('serves one member so many at once and tells the next to come later', async (t) => {
      const { exchange, repository, commit } = await halfRead(t)
      for (let more = 1; more < transfersPerPeerMax; more += 1) {
        await ask(await exchange.of('client').open('server', PACK_PROTOCOL), kind, commit)
      }
      const to = await repositoryOf(t, 'native')
      await assert.rejects(fetching(exchange, { repository: to, wants: [commit] }), { code: 'QUEUE_FULL' })
      // Another member is not held up by it.
      const other = fetchCommits(exchange.of('other'), {
        dataset: 'data',
        peer: 'server',
        repository: to,
        wants: [commit],
      })
      await other
      assert.deepEqual(await to.listFiles(commit), await repository.listFiles(commit))
    })
  })
}

/** Asks as a client does, and leaves the answer unread. */
async function ask(stream: ByteStream, kind: BackendKind, commit: string): Promise<void> {
  const dialect = kind === 'native' ? 'upload-pack' : 'pack'
  await stream.write(Buffer.from(`{"dataset":"data","dialects":["${dialect}"]}\n`))
  await stream.read()
  const lines = [
    packet('command=fetch\n'),
    Buffer.from('0001'),
    packet(`want ${commit}\n`),
    packet('done\n'),
    FLUSH,
  ]
  const question =
    kind === 'native' ? Buffer.concat(lines) : Buffer.from(`{"wants":["${commit}"],"haves":[]}\n`)
  await stream.write(question)
  await stream.closeWrite()
}

async function readAll(stream: ByteStream): Promise<void> {
  while ((await stream.read()) !== undefined);
}

test('a client takes nothing that leads to a rest of what was here', async (t) => {
  const from = await repositoryOf(t, 'isomorphic')
  const commit = await commitOf(from, 'content that is lost here')
  const { tree } = await from.readCommit(commit)
  const repository = await repositoryOf(t, 'native')
  // A collector that was killed has left a directory without its file.
  const whole = await new ObjectReader(from.path).find(tree)
  assert.equal(await writeLoose(repository.path, 'tree', whole?.bytes ?? Buffer.alloc(0)), tree)
  const exchange = new StreamExchange()
  await exchange.of('server').handle(PACK_PROTOCOL, async (stream) => {
    await stream.read()
    await stream.write(Buffer.from('{"dialect":"pack"}\n'))
    await stream.read()
    await stream.write(Buffer.from('{"pack":true}\n'))
    for await (const chunk of encodePack(new ObjectReader(from.path), [commit])) await stream.write(chunk)
    await stream.closeWrite()
  })
  await assert.rejects(fetching(exchange, { repository, wants: [commit] }), { code: 'PACK_REJECTED' })
  assert.equal(await repository.hasCommit(commit), false)
})

test('a line more in a large file costs a line, not the file', async (t) => {
  const from = await repositoryOf(t, 'native')
  const lines = Array.from({ length: 40_000 }, (_, i) => `${i},${randomBytes(20).toString('hex')}\n`).join('')
  const first = await commitOf(from, lines)
  const exchange = await serving(t, from)
  const repository = await repositoryOf(t, 'native')
  await fetching(exchange, { repository, wants: [first] })
  await repository.moveBranch('b', first, undefined)
  let passed = 0
  exchange.taps.set('server', (chunk) => {
    passed += chunk.length
    return chunk
  })
  const second = await commitOf(from, `${lines}40000,one more\n`, [first])
  await fetching(exchange, { repository, wants: [second] })
  assert.ok(passed < 5_000, `${passed} bytes for one line`)
  await repository.moveBranch('b', second, first)
  const faults = execFileSync('git', ['-C', repository.path, 'fsck', '--full', '--strict', '--no-dangling'], {
    stdio: 'pipe',
  })
  assert.equal(faults.toString(), '')
})

test('a client tells how far it has come: bytes, and how many objects there will be', async (t) => {
  const from = await repositoryOf(t, 'native')
  const commit = await commitOf(from, randomBytes(1_500_000))
  const exchange = await serving(t, from)
  // A line on which it takes a while.
  const slowly = exchange.of('client')
  const streams: typeof slowly = {
    ...slowly,
    open: async (...args) => {
      const stream = await slowly.open(...args)
      const read = async () => {
        await sleep(40)
        return stream.read()
      }
      return {
        peer: stream.peer,
        read,
        write: (bytes) => stream.write(bytes),
        closeWrite: () => stream.closeWrite(),
        abort: (error) => stream.abort(error),
      }
    },
  }
  const told: { phase: string; bytes: number; objectsTotal?: number }[] = []
  const repository = await repositoryOf(t, 'native')
  const [peer, dataset] = ['server', 'data']
  await fetchCommits(streams, {
    dataset,
    peer,
    repository,
    wants: [commit],
    onProgress: (word) => told.push(word),
  })
  await eventually(() => told.length > 0, 'nothing was told')
  assert.ok(told.every(({ objectsTotal }) => objectsTotal === 3))
  assert.ok(told.every(({ bytes }, i) => bytes >= (told[i - 1]?.bytes ?? 1)))
})
