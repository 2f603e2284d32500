import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { finished } from 'node:stream/promises'
import { suite, type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { type ErrorCode, isNodeError } from '../../src/base/errors.ts'
import { packObjectsMax } from '../../src/base/limits.ts'
import { silentLogger } from '../../src/base/logger.ts'
import { fetchCommits } from '../../src/datasets/exchange/pack-client.ts'
import { PACK_PROTOCOL } from '../../src/datasets/exchange/pack-protocol.ts'
import { PackServer } from '../../src/datasets/exchange/pack-server.ts'
import { encodeTree } from '../../src/datasets/git/git-objects.ts'
import { ObjectReader, writeLoose } from '../../src/datasets/git/isomorphic-objects.ts'
import { pourInto } from '../../src/datasets/git/native-transfer.ts'
import { encodePack } from '../../src/datasets/git/pack-writer.ts'
import type { PackRepository } from '../../src/datasets/git/repository.ts'
import { byteStreamPair, StreamExchange, type Tap } from '../support/byte-stream-pair.ts'
import {
  BACKENDS,
  type BackendKind,
  gitBackend,
  PERSON,
  plantCommit,
  plantTree,
  TIME_MS,
} from '../support/git-backends.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

const coded = (code: ErrorCode) => (error: unknown) => isNodeError(error, code)
const MISSING = 'f'.repeat(40)

/** A server's repository, a client's, and a way to fetch from the one into the other. */
async function twoNodes(t: TestContext, server: BackendKind, client: BackendKind) {
  const exchange = new StreamExchange()
  const open = async (kind: BackendKind) =>
    (await gitBackend(t, kind)).open(join(await temporaryDirectory(t), 'data.git'))
  const [from, to] = [await open(server), await open(client)]
  const allowed = new Set(['client'])
  const serving = new PackServer({
    streams: exchange.of('server'),
    isMember: (peer) => allowed.has(peer),
    mayRead: (peer, dataset) => allowed.has(peer) && dataset === 'data',
    repository: async () => from,
    log: silentLogger,
  })
  await serving.start()
  t.after(() => serving.stop())
  const fetch = (wants: string[], signal = AbortSignal.timeout(20_000)) =>
    fetchCommits(exchange.of('client'), { dataset: 'data', repository: to, peer: 'server', wants, signal })
  return { exchange, from, to, allowed, fetch }
}

async function commitFiles(
  repository: PackRepository,
  contents: Readonly<Record<string, string | Buffer>>,
  parents: readonly string[] = [],
): Promise<string> {
  const files = []
  for (const [path, content] of Object.entries(contents)) {
    files.push({
      path,
      mode: '100644' as const,
      oid: await writeLoose(repository.path, 'blob', Buffer.from(content)),
    })
  }
  const tree = await repository.writeTree(files)
  return repository.writeCommit({
    tree,
    parents: [...parents],
    message: 'x',
    author: PERSON,
    timeMs: TIME_MS,
  })
}

/** Nothing of a failed fetch may stay: no object, no quarantine. */
async function assertUntouched(repository: PackRepository): Promise<void> {
  assert.deepEqual(await readdir(join(repository.path, 'objects/pack')), [])
  assert.deepEqual((await readdir(join(repository.path, 'objects'))).sort(), ['info', 'pack'])
  const beside = join(repository.path, '..', '.quarantine')
  assert.deepEqual(await readdir(beside).catch(() => []), [])
}

for (const server of BACKENDS) {
  for (const client of BACKENDS) {
    suite(`objects that a node with the ${server} backend serves and one with the ${client} backend fetches`, () => {
      test('a commit arrives with all it needs, and the next brings only what is new', async (t) => {
        const { from, to, fetch, exchange } = await twoNodes(t, server, client)
        const big = randomBytes(3_000_000)
        const first = await commitFiles(from, { 'a/b.csv': '1', big })
        await fetch([first])
        assert.deepEqual(await to.listFiles(first), await from.listFiles(first))
        await to.moveBranch('b', first, undefined)
        let passed = 0
        exchange.taps.set('server', (chunk) => {
          passed += chunk.length
          return chunk
        })
        const second = await commitFiles(from, { 'a/b.csv': '1\n2', big, c: 'new' }, [first])
        await fetch([second, first])
        assert.deepEqual(await to.listFiles(second), await from.listFiles(second))
        assert.equal(await to.isAncestor(first, second), true)
        assert.ok(passed < 100_000, `${passed} bytes for a small commit`)
        assert.equal(execFileSync('git', ['-C', to.path, 'fsck', '--strict', '--no-dangling']).toString(), '')
        const beside = join(to.path, '..', '.quarantine')
        assert.deepEqual(await readdir(beside), [])
      })

      test('what the peer does not have is told apart from a failure', async (t) => {
        const { to, fetch } = await twoNodes(t, server, client)
        await assert.rejects(fetch([MISSING]), coded('COMMIT_NOT_FOUND'))
        await assertUntouched(to)
      })

      test('a stranger gets nothing, and is told so', async (t) => {
        const { from, to, allowed, fetch } = await twoNodes(t, server, client)
        const commit = await commitFiles(from, { a: '1' })
        allowed.clear()
        await assert.rejects(fetch([commit]), coded('FORBIDDEN'))
        await assertUntouched(to)
      })

      test('a transfer that is cut anywhere is never taken for complete', async (t) => {
        const { from, to, fetch, exchange } = await twoNodes(t, server, client)
        const commit = await commitFiles(from, { big: randomBytes(600_000), small: 'x' })
        for (const share of [0.001, 0.3, 0.9, 0.99999]) {
          exchange.taps.set('server', cutAfter(share * 600_000))
          await assert.rejects(fetch([commit]), (error) => isNodeError(error), `cut at ${share}`)
          assert.equal(await to.hasCommit(commit), false)
          await assertUntouched(to)
        }
        exchange.taps.clear()
        await fetch([commit])
      })

      test('a flipped bit anywhere in the pack is noticed', async (t) => {
        const { from, to, fetch, exchange } = await twoNodes(t, server, client)
        const commit = await commitFiles(from, { big: randomBytes(600_000) })
        for (const at of [300_000, 599_000]) {
          exchange.taps.set('server', flipAt(at))
          await assert.rejects(fetch([commit]), (error) => isNodeError(error))
          await assertUntouched(to)
        }
      })

      for (const [what, mode, name] of [
        ['the entry ..', '40000', '..'],
        ['the entry .GIT', '40000', '.GIT'],
        ['a disguised .git', '40000', '.g\u200cit'],
        ['an entry with a slash', '100644', '../x'],
        ['a submodule', '160000', 'module'],
        ['an odd mode', '100664', 'file'],
      ] as const) {
        test(`a tree with ${what} is not let in`, async (t) => {
          const { from, to, fetch } = await twoNodes(t, server, client)
          const leaf = await writeLoose(from.path, 'blob', Buffer.from('evil'))
          const inner = await writeLoose(
            from.path,
            'tree',
            encodeTree([{ mode: '100644', name: 'config', oid: leaf }]),
          )
          const oid = mode === '40000' ? inner : leaf
          const commit = await plantCommit(from, [{ mode, name, oid }])
          await assert.rejects(
            fetch([commit]),
            // git's own fsck may be the first to see it; an isomorphic server may refuse to walk it.
            (error) =>
              ['PATH_UNSAFE', 'PACK_REJECTED', 'GIT_FAILED'].some((code) =>
                isNodeError(error, code as ErrorCode),
              ),
          )
          assert.equal(await to.hasCommit(commit), false)
          await assertUntouched(to)
        })
      }
    })
  }
}

for (const client of BACKENDS) {
  suite(`handmade packs before the ${client} backend`, () => {
    /** A client whose peer answers with `pack`, whatever it is. */
    async function offered(
      t: TestContext,
      pack: (repository: PackRepository) => Promise<{ pack: Buffer; want: string }>,
    ) {
      const { exchange, from, to, fetch } = await twoNodes(t, 'isomorphic', client)
      const made = await pack(from)
      await exchange.of('server').handle(PACK_PROTOCOL, async (stream) => {
        await stream.read()
        await stream.write(Buffer.from('{"dialect":"pack"}\n'))
        await stream.read()
        await stream.write(Buffer.concat([Buffer.from('{"pack":true}\n'), made.pack]))
        await stream.closeWrite()
      })
      return { to, fetched: fetch([made.want]) }
    }

    async function wholePack(from: PackRepository, leaveOut: (type: string) => boolean = () => false) {
      const want = await commitFiles(from, { a: 'one', b: 'two' })
      const { tree } = await from.readCommit(want)
      const blobs = (await from.listFiles(want)).map((file) => file.oid)
      const oids = [want, ...(leaveOut('tree') ? [] : [tree]), ...(leaveOut('blob') ? blobs.slice(1) : blobs)]
      const chunks: Uint8Array[] = []
      for await (const chunk of encodePack(new ObjectReader(from.path), oids)) chunks.push(chunk)
      return { want, pack: Buffer.concat(chunks) }
    }

    const signed = (pack: Buffer) => {
      const body = pack.subarray(0, -20)
      return Buffer.concat([body, createHash('sha1').update(body).digest()])
    }

    test('a whole one is taken', async (t) => {
      const { to, fetched } = await offered(t, (from) => wholePack(from))
      await fetched
      assert.equal((await to.branches()).size, 0)
    })

    for (const [what, spoil] of Object.entries<(whole: Buffer) => Buffer>({
      'a bad checksum': (whole) =>
        Buffer.concat([whole.subarray(0, -1), Buffer.from([~(whole.at(-1) as number) & 255])]),
      'no end': (whole) => whole.subarray(0, -30),
      'nothing in it': () => Buffer.alloc(0),
      'no pack at all': () => Buffer.from('<html>Not found</html>'.repeat(10)),
      'more objects than are taken': (whole) => {
        const pack = Buffer.from(whole)
        pack.writeUInt32BE(packObjectsMax + 1, 8)
        return signed(pack)
      },
      'fewer objects than announced': (whole) => {
        const pack = Buffer.from(whole)
        pack.writeUInt32BE(9, 8)
        return signed(pack)
      },
      'bytes behind its end': (whole) => Buffer.concat([whole, Buffer.alloc(50)]),
    })) {
      test(`one with ${what} is refused`, async (t) => {
        const { to, fetched } = await offered(t, async (from) => {
          const whole = await wholePack(from)
          return { want: whole.want, pack: spoil(whole.pack) }
        })
        await assert.rejects(fetched, coded('PACK_REJECTED'))
        await assertUntouched(to)
      })
    }

    for (const missing of ['tree', 'blob']) {
      test(`one that lacks a ${missing} is refused`, async (t) => {
        const { to, fetched } = await offered(t, (from) => wholePack(from, (type) => type === missing))
        await assert.rejects(fetched, coded('PACK_REJECTED'))
        await assertUntouched(to)
      })
    }

    test('one that smuggles in a commit without its tree is refused, complete as the rest may be', async (t) => {
      const { to, fetched } = await offered(t, async (from) => {
        const { want } = await wholePack(from)
        const { tree } = await from.readCommit(want)
        const blobs = (await from.listFiles(want)).map((file) => file.oid)
        const hollow = await plantTree(from, MISSING)
        const chunks: Uint8Array[] = []
        const oids = [want, tree, ...blobs, hollow]
        for await (const chunk of encodePack(new ObjectReader(from.path), oids)) chunks.push(chunk)
        return { want, pack: Buffer.concat(chunks) }
      })
      await assert.rejects(fetched, coded('PACK_REJECTED'))
      await assertUntouched(to)
    })

    test('one that holds something else than what was asked for is refused', async (t) => {
      const { to, fetched } = await offered(t, async (from) => ({
        ...(await wholePack(from)),
        want: MISSING,
      }))
      await assert.rejects(fetched, coded('PACK_REJECTED'))
      await assertUntouched(to)
    })
  })
}

test('a pack that announces too much is stopped at its header, while it is still being sent', async (t) => {
  const { exchange, to, fetch } = await twoNodes(t, 'native', 'native')
  const packet = (text: string) => `${(text.length + 4).toString(16).padStart(4, '0')}${text}`
  const advertisement = ['version 2\n', 'fetch=shallow\n', 'object-format=sha1\n'].map(packet).join('')
  let cut: unknown
  const served = new Promise<void>((resolve) => {
    void exchange.of('server').handle(PACK_PROTOCOL, async (stream) => {
      await stream.read()
      await stream.write(Buffer.from(`{"dialect":"upload-pack"}\n${advertisement}0000`))
      await stream.read()
      const header = packet('packfile\n') + packet('\x01PACK\0\0\0\x02\xff\xff\xff\xff')
      await stream.write(Buffer.from(header, 'latin1'))
      try {
        for (;;) await stream.write(Buffer.from(packet(`\x01${'x'.repeat(60_000)}`), 'latin1'))
      } catch (error) {
        cut = error
        resolve()
      }
    })
  })
  await assert.rejects(fetch([MISSING]), coded('PACK_REJECTED'))
  await served
  assert.ok(isNodeError(cut, 'STREAM_CLOSED'))
  await assertUntouched(to)
})

test('a peer that sends faster than git reads waits for it', async () => {
  const [ours, theirs] = byteStreamPair('us', 'them')
  const [chunk, count] = [Buffer.alloc(65_536, 7), 100]
  let sent = 0
  const sending = (async () => {
    for (; sent < count; sent += 1) await theirs.write(chunk)
    await theirs.closeWrite()
  })()
  // A git that is busy: it takes one chunk and does not come back for more until it is told to.
  let taken = 0
  let resume: () => void = () => undefined
  const busy = new Promise<void>((resolve) => {
    resume = resolve
  })
  const git = new Writable({
    highWaterMark: chunk.length,
    write: (bytes: Buffer, _encoding, done) => {
      taken += bytes.length
      void busy.then(() => done())
    },
  })
  const pouring = pourInto(git, ours, chunk.length * count)
  await sleep(100)
  assert.ok(sent < 10, `${sent} of ${count} chunks left the peer although nobody reads`)
  resume()
  await Promise.all([sending, pouring])
  await finished(git)
  assert.equal(taken, chunk.length * count)
})

test('a fetch that is called off ends at once and leaves nothing', async (t) => {
  const { from, to, fetch, exchange } = await twoNodes(t, 'native', 'native')
  const commit = await commitFiles(from, { big: randomBytes(4_000_000) })
  const calledOff = new AbortController()
  exchange.taps.set('server', (chunk) => {
    calledOff.abort(new Error('called off'))
    return chunk
  })
  await assert.rejects(fetch([commit], calledOff.signal), /called off/)
  await assertUntouched(to)
})

test('git reads neither hooks nor settings of the user', async (t) => {
  const home = await temporaryDirectory(t)
  await writeFile(
    join(home, '.gitconfig'),
    '[core]\n\thooksPath = /nowhere\n[fetch]\n\tfsckObjects = false\n[alias]\n\tlog = !false\n',
  )
  const before = process.env.HOME
  process.env.HOME = home
  t.after(() => {
    process.env.HOME = before
  })
  const { from, to, fetch } = await twoNodes(t, 'native', 'native')
  const commit = await commitFiles(from, { a: '1' })
  const hook = `#!/bin/sh\ntouch ${home}/ran\n`
  for (const { path } of [from, to]) {
    execFileSync('mkdir', ['-p', join(path, 'hooks')])
    for (const name of ['post-update', 'reference-transaction', 'pre-auto-gc', 'post-checkout']) {
      await writeFile(join(path, 'hooks', name), hook, { mode: 0o755 })
    }
  }
  await fetch([commit])
  await to.moveBranch('b', commit, undefined)
  assert.deepEqual(await readdir(home), ['.gitconfig'])
})

function cutAfter(bytes: number): Tap {
  let passed = 0
  return (chunk) => {
    passed += chunk.length
    if (passed > bytes) throw new Error('the cable was cut')
    return chunk
  }
}

function flipAt(at: number): Tap {
  let passed = 0
  return (chunk) => {
    const index = at - passed
    passed += chunk.length
    if (index >= 0 && index < chunk.length) chunk[index] = (chunk[index] as number) ^ 1
    return chunk
  }
}
