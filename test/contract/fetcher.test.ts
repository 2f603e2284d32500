import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { silentLogger } from '../../src/base/logger.ts'
import { Fetcher, type FetcherParts } from '../../src/datasets/exchange/fetcher.ts'
import { PackServer } from '../../src/datasets/exchange/pack-server.ts'
import { writeLoose } from '../../src/datasets/git/isomorphic-objects.ts'
import type { PackRepository } from '../../src/datasets/git/repository.ts'
import { StreamExchange } from '../support/byte-stream-pair.ts'
import { gitBackend, PERSON, TIME_MS } from '../support/git-backends.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

async function repositoryOf(t: TestContext): Promise<PackRepository> {
  return (await gitBackend(t, 'native')).open(join(await temporaryDirectory(t), 'data.git'))
}

async function commitOf(repository: PackRepository, content: Buffer): Promise<string> {
  const oid = await writeLoose(repository.path, 'blob', content)
  const tree = await repository.writeTree([{ path: 'file', mode: '100644', oid }])
  return repository.writeCommit({ ...{ tree, parents: [], message: 'x' }, author: PERSON, timeMs: TIME_MS })
}

/** Serves one repository under the names of these peers. */
async function serving(t: TestContext, peers: readonly string[], repository: PackRepository) {
  const exchange = new StreamExchange()
  for (const peer of peers) {
    const always = { isMember: () => true, mayRead: () => true }
    const parts = { streams: exchange.of(peer), ...always, log: silentLogger }
    const server = new PackServer({ ...parts, repository: async () => repository })
    await server.start()
    t.after(() => server.stop())
  }
  return exchange
}

function fetcherOf(
  exchange: StreamExchange,
  repository: PackRepository,
  more: Partial<FetcherParts> = {},
): Fetcher {
  return new Fetcher({
    ...{ self: 'client', streams: exchange.of('client'), isMember: () => true, log: silentLogger },
    ...{ repository: async () => repository, tips: () => [], onProgress: () => undefined },
    ...more,
  })
}

test('what is on its way is waited for, and not moved twice', async (t) => {
  const from = await repositoryOf(t)
  const commit = await commitOf(from, randomBytes(1_500_000))
  const exchange = await serving(t, ['alice', 'bob'], from)
  const to = await repositoryOf(t)
  const fetcher = fetcherOf(exchange, to)
  const { signal } = new AbortController()
  const automatic = fetcher.fetch('data', [commit], { author: 'alice', missing: true, signal })
  const asked = fetcher.fetch('data', [commit], { author: 'alice', missing: true, urgent: true, signal })
  await Promise.all([automatic, asked])
  assert.deepEqual(exchange.opened, ['alice'])
  assert.deepEqual(await to.listFiles(commit), await from.listFiles(commit))
})
