import assert from 'node:assert/strict'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { suite, type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { fetchAliveWordsMax, fetchLineBytesMax, gitRequestBytesMax } from '../../src/base/limits.ts'
import { silentLogger } from '../../src/base/logger.ts'
import { fetchCommits } from '../../src/datasets/exchange/pack-client.ts'
import { PACK_PROTOCOL } from '../../src/datasets/exchange/pack-protocol.ts'
import { PackServer, type PackServerParts } from '../../src/datasets/exchange/pack-server.ts'
import { writeLoose } from '../../src/datasets/git/isomorphic-objects.ts'
import { DELIMITER, packet } from '../../src/datasets/git/pkt-line.ts'
import type { PackRepository } from '../../src/datasets/git/repository.ts'
import type { ByteStream } from '../../src/network/byte-stream.ts'
import { StreamExchange } from '../support/byte-stream-pair.ts'
import { gitBackend, PERSON, TIME_MS } from '../support/git-backends.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

const KIB = 1024
const LINE_FEEDS = Buffer.alloc(32 * KIB, '\n')
/** More than anybody has to hear before it hangs up, with what the stream itself holds. */
const HEARD_MAX = 1024 * KIB

async function dataset(t: TestContext): Promise<{ repository: PackRepository; commit: string }> {
  const backend = await gitBackend(t, 'native')
  const repository = await backend.open(join(await temporaryDirectory(t), 'data.git'))
  const oid = await writeLoose(repository.path, 'blob', Buffer.from('content'))
  const tree = await repository.writeTree([{ path: 'file', mode: '100644', oid }])
  const commit = await repository.writeCommit({
    ...{ tree, parents: [], message: 'x', author: PERSON, timeMs: TIME_MS },
  })
  return { repository, commit }
}

async function serving(
  t: TestContext,
  parts: Pick<PackServerParts, 'repository'> & Partial<PackServerParts>,
) {
  const exchange = new StreamExchange()
  const isMember = (peer: string) => peer !== 'stranger'
  const server = new PackServer({
    ...{ streams: exchange.of('server'), isMember, mayRead: isMember, log: silentLogger },
    ...parts,
  })
  await server.start()
  t.after(() => server.stop())
  return { open: (as: string) => exchange.of(as).open('server', PACK_PROTOCOL) }
}

/** Says the same without end. @returns how many bytes were taken before the stream was cut. */
async function sayForEver(
  stream: ByteStream,
  bytes: Uint8Array,
  bytesMax: number = 4 * HEARD_MAX,
): Promise<number> {
  let taken = 0
  for (; taken < bytesMax; taken += bytes.length) {
    try {
      await stream.write(bytes)
    } catch {
      break
    }
  }
  return taken
}

/** Everything that comes until the end or a cut. */
async function heard(stream: ByteStream): Promise<string> {
  const chunks: Uint8Array[] = []
  try {
    for (let chunk = await stream.read(); chunk !== undefined; chunk = await stream.read()) chunks.push(chunk)
  } catch {
    // A cut ends it as well.
  }
  return Buffer.concat(chunks).toString()
}

suite('a server of packs', () => {
  for (const who of ['stranger', 'member']) {
    test(`does not listen to a ${who} who says nothing without end`, async (t) => {
      const server = await serving(t, { repository: async () => assert.fail('it was opened') })
      const stream = await server.open(who)
      const [answer, taken] = await Promise.all([heard(stream), sayForEver(stream, LINE_FEEDS)])
      assert.match(answer, /^\{"error":\{"code":"\w+"/)
      assert.ok(taken < HEARD_MAX, `${taken} bytes of nothing were taken`)
    })
  }

  test('tells a stranger off before it has said a word', async (t) => {
    const server = await serving(t, { repository: async () => assert.fail('it was opened') })
    const stream = await server.open('stranger')
    assert.match(await heard(stream), /"FORBIDDEN"/)
  })

  async function asking(t: TestContext, pace: Partial<PackServerParts> = {}) {
    const { repository, commit } = await dataset(t)
    const server = await serving(t, { repository: async () => repository, ...pace })
    const stream = await server.open('member')
    await stream.write(Buffer.from('{"dataset":"data","dialects":["upload-pack"]}\n'))
    await stream.write(
      Buffer.concat([
        packet('command=fetch\n'),
        DELIMITER,
        packet(`want ${commit}\n`),
        packet('thin-pack\n'),
      ]),
    )
    return { stream, have: packet(`have ${commit}\n`) }
  }

  test('ends a question that does not end', async (t) => {
    const { stream, have } = await asking(t)
    const part = Buffer.concat(Array.from({ length: 10_000 }, () => have))
    const [, taken] = await Promise.all([heard(stream), sayForEver(stream, part, 4 * gitRequestBytesMax)])
    assert.ok(taken < gitRequestBytesMax + HEARD_MAX, `${taken} bytes of a question were taken`)
  })

  test('gives up a member that dribbles its question', async (t) => {
    const { stream, have } = await asking(t, { pace: { windowMs: 150, bytesMin: 10_000 } })
    const dribbled = (async () => {
      for (let said = 0; said < 1_000; said += 1) {
        await stream.write(have)
        await sleep(5)
      }
    })()
    void heard(stream)
    await assert.rejects(dribbled, { code: 'STREAM_CLOSED' })
  })

  test('gives nothing of a dataset that is withdrawn while its repository is being opened', async (t) => {
    const { repository, commit } = await dataset(t)
    let may = true
    let tell: () => void = () => undefined
    const server = await serving(t, {
      mayRead: () => may,
      onChange: (changed) => {
        tell = changed
        return () => undefined
      },
      repository: async () => {
        may = false
        tell()
        return repository
      },
    })
    const stream = await server.open('member')
    await stream.write(Buffer.from('{"dataset":"data","dialects":["pack"]}\n'))
    await stream.write(Buffer.from(`{"wants":["${commit}"],"haves":[]}\n`))
    await stream.closeWrite()
    assert.match(await heard(stream), /^\{"error":\{"code":"FORBIDDEN"/)
  })
})

test('a client hears so many words that only say “at work”, and no more', async (t) => {
  const { repository } = await dataset(t)
  const exchange = new StreamExchange()
  let taken = 0
  await exchange.of('server').handle(PACK_PROTOCOL, async (stream) => {
    await stream.read()
    await stream.write(Buffer.from('{"dialect":"pack"}\n'))
    taken = await sayForEver(stream, LINE_FEEDS)
  })
  const request = { dataset: 'data', repository, peer: 'server', wants: ['f'.repeat(40)] }
  await assert.rejects(fetchCommits(exchange.of('client'), request), { code: 'INVALID_INPUT' })
  assert.ok(taken < HEARD_MAX + fetchAliveWordsMax + fetchLineBytesMax, `${taken} bytes were taken`)
  assert.deepEqual(await readdir(join(repository.path, '..', '.quarantine')).catch(() => []), [])
})
