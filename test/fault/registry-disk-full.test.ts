import assert from 'node:assert/strict'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { isNodeError } from '../../src/base/errors.ts'
import { EVERY_KEY } from '../../src/registry/key-range.ts'
import { eventually } from '../support/eventually.ts'
import { type RegistryNode, startFederation, startRegistryNode } from '../support/registry-node.ts'
import { smallDisk } from '../support/small-disk.ts'

const bytes = (text: string) => new TextEncoder().encode(text)

/** Writes numbered records and local keys, and keeps count of what was acknowledged. */
class Author {
  readonly records: string[] = []
  readonly locals: string[] = []
  readonly refused: string[] = []
  #next = 0

  /** @returns the code of the refusal, if it was one. */
  async write(node: RegistryNode): Promise<string | undefined> {
    this.#next += 1
    const n = String(this.#next).padStart(5, '0')
    try {
      // Too large for the slack of the last page of a file, a few times over.
      await node.registry.put(`/tools/n${n}`, new Uint8Array(3_000).fill(this.#next % 251))
      this.records.push(n)
      await node.registry.keyValues.transact(async (tx) => {
        for (const key of [`/local/a${n}`, `/local/b${n}`]) await tx.put(key, bytes(n), 0n)
      })
      this.locals.push(n)
      return undefined
    } catch (error) {
      assert(isNodeError(error), String(error))
      this.refused.push(n)
      return error.code
    }
  }

  /** All that was acknowledged is there, each whole. */
  check({ registry }: RegistryNode): void {
    for (const n of this.records) {
      const value = registry.get(`/tools/n${n}`)?.value
      assert.equal(value?.length, 3_000, `record ${n} was lost`)
      assert(value?.every((byte) => byte === Number(n) % 251))
      assert(Buffer.from(value).equals(registry.keyValues.get(`/tools/n${n}`)?.value ?? new Uint8Array()))
    }
    for (const n of this.locals)
      for (const key of [`/local/a${n}`, `/local/b${n}`])
        assert.equal(Buffer.from(registry.keyValues.get(key)?.value ?? []).toString(), n, `${key} was lost`)
    for (const n of this.refused)
      assert.equal(
        registry.keyValues.get(`/local/a${n}`)?.modified,
        registry.keyValues.get(`/local/b${n}`)?.modified,
      )
    for (const { key } of registry.keyValues.range(EVERY_KEY))
      if (key.startsWith('/tools/')) assert(registry.get(key), `${key} is shown and not recorded`)
  }
}

test('on a full disk writes are refused with a code and reads work; with room again writes do, and nothing acknowledged is lost', async (t) => {
  const disk = await smallDisk(t, 32)
  const directory = join(disk.directory, 'alice')
  await mkdir(directory)
  const alice = await startRegistryNode(t, { directory })
  const author = new Author()
  let [restarts, node] = [0, alice]
  const again = async () => {
    await node.stop()
    restarts += 1
    node = await startRegistryNode(t, { genesis: alice.genesis, directory })
  }
  for (let round = 0; round < 3; round += 1) {
    for (let n = 0; n < 60; n += 1) assert.equal(await author.write(node), undefined)
    const { writes } = node.registry
    assert.equal(writes.failing, false)

    await disk.fill()
    await eventually(async () => (await author.write(node)) !== undefined, 'the disk is never full')
    const { revision } = node.registry
    const digest = node.registry.digest()
    for (let n = 0; n < 10; n += 1) assert.equal(await author.write(node), 'STORE_FAILED')
    assert.equal(node.registry.writes.failing, true)
    assert(node.registry.writes.failures >= writes.failures + 10)
    assert.equal(node.registry.keyValues.failing, true)
    assert.equal(node.registry.revision, revision, 'a refused write was counted')
    assert.equal(node.registry.digest(), digest, 'a refused write is shown')
    author.check(node)

    await disk.free()
    await eventually(async () => (await author.write(node)) === undefined, 'there is room, and writes fail')
    assert.equal(node.registry.writes.failing, false)
    for (let n = 0; n < 60; n += 1) assert.equal(await author.write(node), undefined)
    author.check(node)
    await again()
    author.check(node)
  }
  t.diagnostic(
    `${author.records.length} acknowledged, ${author.refused.length} refused, ${restarts} restarts`,
  )
})

test('a node that starts on a full disk loses and misreads nothing: it reads, or says what is wrong', async (t) => {
  const disk = await smallDisk(t, 32)
  const directory = join(disk.directory, 'alice')
  await mkdir(directory)
  const alice = await startRegistryNode(t, { directory })
  const author = new Author()
  for (let n = 0; n < 100; n += 1) await author.write(alice)
  const digest = alice.registry.digest()
  await disk.fill()
  await eventually(async () => (await author.write(alice)) !== undefined, 'the disk is never full')
  await alice.stop()

  for (let attempt = 0; attempt < 3; attempt += 1) {
    try {
      const full = await startRegistryNode(t, { genesis: alice.genesis, directory })
      author.check(full)
      await full.stop()
      t.diagnostic('it starts')
    } catch (error) {
      assert(isNodeError(error, 'STORE_FAILED'), String(error))
      assert.match(error.message, /No space left/)
      t.diagnostic(error.message)
    }
  }
  await disk.free()
  const again = await startRegistryNode(t, { genesis: alice.genesis, directory })
  author.check(again)
  assert.notEqual(digest, '')
  assert.equal(await author.write(again), undefined)
})

test('what others write while the disk is full comes when there is room again', async (t) => {
  const disk = await smallDisk(t, 32)
  const [alice] = await startFederation(t, [])
  assert(alice)
  const directory = join(disk.directory, 'bob')
  await mkdir(directory)
  const bob = await startRegistryNode(t, { genesis: alice.genesis, directory })
  await alice.members.admit(bob.identity.peerId, 'bob', 'member')
  await bob.network.dial(alice.network.addresses())
  await bob.sync.pullNow(alice.identity.peerId)
  await disk.fill()
  for (let n = 0; n < 20; n += 1) await alice.registry.put(`/tools/n${n}`, new Uint8Array(3_000))
  await eventually(() => bob.registry.writes.failing, 'the disk is never full')
  await disk.free()
  await eventually(async () => {
    // That there is room is not seen at once, and until then it is said.
    await bob.sync.pullNow(alice.identity.peerId).catch((error) => assert.equal(error.code, 'STORE_FAILED'))
    return bob.registry.digest() === alice.registry.digest()
  }, 'bob never caught up')
})
