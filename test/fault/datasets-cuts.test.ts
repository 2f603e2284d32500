/** Transfers that are cut at any byte, on real streams, in both dialects; the seed of a run is printed. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { isNodeError } from '../../src/base/errors.ts'
import { silentLogger } from '../../src/base/logger.ts'
import { fetchCommits } from '../../src/datasets/exchange/pack-client.ts'
import { PackServer } from '../../src/datasets/exchange/pack-server.ts'
import { writeLoose } from '../../src/datasets/git/isomorphic-objects.ts'
import type { PackRepository } from '../../src/datasets/git/repository.ts'
import type { ByteStream } from '../../src/network/byte-stream.ts'
import type { Network } from '../../src/network/network.ts'
import { noise } from '../support/dataset-node.ts'
import { BACKENDS, gitBackend, PERSON, TIME_MS } from '../support/git-backends.ts'
import { startLoopbackNetwork } from '../support/loopback-network.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { randomOf } from '../support/voting-world.ts'

const CUTS = 8
const SEED = Number(process.env.CUT_SEED ?? randomInt(1_000_000))

async function repositoryOf(t: TestContext, kind: (typeof BACKENDS)[number]): Promise<PackRepository> {
  return (await gitBackend(t, kind)).open(join(await temporaryDirectory(t), 'data.git'))
}

/** Commits with a few small files and a large one. @returns the last of them. */
async function history(repository: PackRepository): Promise<string> {
  let parents: string[] = []
  for (let round = 0; round < 5; round += 1) {
    const files = []
    for (const [path, bytes] of [
      ['large', 200_000],
      ['a/small', 50],
      ['b', 5_000],
    ] as const) {
      files.push({
        path,
        mode: '100644' as const,
        oid: await writeLoose(repository.path, 'blob', noise(bytes)),
      })
    }
    const tree = await repository.writeTree(files)
    parents = [await repository.writeCommit({ tree, parents, message: 'x', author: PERSON, timeMs: TIME_MS })]
  }
  return parents[0] as string
}

/** A stream that breaks once it has carried so many bytes of ours. */
function breaking(
  stream: ByteStream,
  after: number,
  passed: (bytes: number) => void,
  cut: () => void,
): ByteStream {
  let written = 0
  const write = async (bytes: Uint8Array) => {
    const whole = bytes.subarray(0, Math.max(0, after - written))
    written += bytes.length
    passed(whole.length)
    if (whole.length > 0) await stream.write(whole)
    if (written <= after) return
    cut()
    stream.abort(new Error('the cable was pulled'))
    throw new Error('the cable was pulled')
  }
  return {
    peer: stream.peer,
    read: () => stream.read(),
    write,
    closeWrite: () => stream.closeWrite(),
    abort: (error) => stream.abort(error),
  }
}

async function serve(network: Network, repository: PackRepository) {
  const line = { after: Number.POSITIVE_INFINITY, carried: 0, cuts: 0 }
  const server = new PackServer({
    streams: {
      handle: (protocol, answer) =>
        network.handle(protocol, (stream) =>
          answer(
            breaking(
              stream,
              line.after,
              (bytes) => {
                line.carried += bytes
              },
              () => {
                line.cuts += 1
              },
            ),
          ),
        ),
    },
    isMember: () => true,
    mayRead: () => true,
    repository: async () => repository,
    log: silentLogger,
  })
  await server.start()
  return { line, stop: () => server.stop() }
}

for (const client of BACKENDS) {
  test(`cut at random bytes, a fetch by the ${client} backend leaves nothing, and a later one all`, async (t) => {
    t.diagnostic(`CUT_SEED=${SEED}`)
    const random = randomOf(SEED)
    // Said before the networks say the same, so that what stands on them stops first.
    let stop = async (): Promise<void> => undefined
    t.after(() => stop())
    const [here, there] = [await startLoopbackNetwork(t), await startLoopbackNetwork(t)]
    const from = await repositoryOf(t, 'native')
    const commit = await history(from)
    // One pack is sent as it lies there, the same bytes each time.
    await from.moveBranch('b', commit, undefined)
    await from.collectGarbage({ pruneOlderThanMs: 0, keep: [] })
    const served = await serve(there, from)
    const { line } = served
    stop = served.stop
    const peer = await here.dial(there.addresses())
    const fetch = (repository: PackRepository) =>
      fetchCommits(here, {
        dataset: 'data',
        repository,
        peer,
        wants: [commit],
        signal: AbortSignal.timeout(20_000),
      })
    await fetch(await repositoryOf(t, client))
    const all = line.carried
    const repository = await repositoryOf(t, client)
    for (let cut = 0; line.cuts < CUTS; cut += 1) {
      // The last bytes and the first ones are the ones that a sloppy reader takes for an end.
      line.after = [0, all - 700, all - 1_400, all - 21][cut] ?? Math.floor(random() * all)
      const cuts = line.cuts
      const where = `CUT_SEED=${SEED}: cut after ${line.after} of ${all}`
      const outcome = await fetch(cut === 3 ? await repositoryOf(t, client) : repository).catch(
        (error) => error,
      )
      // git parts the same pack into packets now this way, now that: so near its end the cut may come too late.
      if (line.cuts === cuts && cut === 3) continue
      assert.ok(isNodeError(outcome), where)
      assert.equal(await repository.hasCommit(commit), false, where)
      assert.deepEqual(await readdir(join(repository.path, 'objects/pack')), [], where)
      assert.deepEqual(await readdir(join(repository.path, '..', '.quarantine')).catch(() => []), [], where)
    }
    line.after = Number.POSITIVE_INFINITY
    await fetch(repository)
    await repository.moveBranch('b', commit, undefined)
    const faults = execFileSync('git', ['-C', repository.path, 'fsck', '--full', '--strict'], {
      stdio: 'pipe',
    })
    assert.equal(faults.toString(), '')
    assert.deepEqual(await repository.listFiles(commit), await from.listFiles(commit))
  })
}
